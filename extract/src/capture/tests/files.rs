//! Real captures, where they lie beside the repository or where `GANGLION_SHARED` says.

use crate::capture::{Capture, CaptureError};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn captures() -> Vec<PathBuf> {
    let shared = std::env::var_os("GANGLION_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let mut files = Vec::new();
    for group in std::fs::read_dir(shared.join("data/pcap")).into_iter().flatten().flatten() {
        for file in std::fs::read_dir(group.path()).into_iter().flatten().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if [".pcap", ".pcapng", ".pcap.gz", ".pcapng.gz"].iter().any(|ending| name.ends_with(ending)) {
                files.push(file.path());
            }
        }
    }
    files.sort();
    files
}

/// What is compared of a capture.
#[derive(Debug, PartialEq, Eq)]
struct Totals {
    packets: u64,
    original_bytes: u64,
    /// Times of the earliest and the latest packet, in ns.
    times_ns: Option<(i64, i64)>,
}

fn read(path: &Path) -> (Totals, Result<(), CaptureError>) {
    let mut totals = Totals { packets: 0, original_bytes: 0, times_ns: None };
    let mut capture = match Capture::open(path) {
        Ok(capture) => capture,
        Err(error) => return (totals, Err(error)),
    };
    loop {
        match capture.next() {
            Ok(Some(frame)) => {
                let _ = frame.packet();
                let time = frame.time_ns;
                let (first, last) = totals.times_ns.unwrap_or((time, time));
                totals.packets += 1;
                totals.original_bytes += u64::from(frame.original_bytes);
                totals.times_ns = Some((first.min(time), last.max(time)));
            }
            Ok(None) => return (totals, Ok(())),
            Err(error) => return (totals, Err(error)),
        }
    }
}

/// "1470104373.025824" in ns; files with coarse clocks have fewer digits, files with broken ones more.
fn nanoseconds(seconds: &str) -> Option<i64> {
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let ns: i128 = format!("{whole}{fraction:0<9}").parse().ok()?;
    Some(i64::try_from(ns).unwrap_or(i64::MAX))
}

/// The same by capinfos, of the files that it can read; `None` where it is not installed.
fn capinfos(files: &[PathBuf]) -> Option<HashMap<PathBuf, Totals>> {
    let arguments = ["-T", "-r", "-M", "-S", "-c", "-d", "-a", "-e"];
    let output = Command::new("capinfos").args(arguments).args(files).output().ok()?;
    let totals = |line: &str| {
        let [name, packets, bytes, first, last] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
        let totals = Totals {
            packets: packets.parse().ok()?,
            original_bytes: bytes.parse().ok()?,
            times_ns: nanoseconds(first).zip(nanoseconds(last)),
        };
        Some((PathBuf::from(name), totals))
    };
    Some(String::from_utf8_lossy(&output.stdout).lines().filter_map(totals).collect())
}

#[test]
fn real_captures_have_the_packets_bytes_and_times_that_capinfos_says() {
    let files = captures();
    if files.is_empty() {
        eprintln!("skipped: no captures beside the repository; GANGLION_SHARED names their place");
        return;
    }
    let expected = capinfos(&files);
    if expected.is_none() {
        eprintln!("reading alone: capinfos is not installed");
    }
    let (mut compared, mut refused, mut wrong) = (0, 0, Vec::new());
    for file in &files {
        match (read(file), expected.as_ref().map(|expected| expected.get(file))) {
            ((_, Err(CaptureError::LinkType { .. })), _) => refused += 1,
            // Of a damaged file it counts what is good before the damage, too.
            ((ours, Ok(()) | Err(CaptureError::Damaged { .. })), Some(Some(theirs))) if ours == *theirs => {
                compared += 1
            }
            ((_, Ok(()) | Err(CaptureError::Damaged { .. })), None) => {}
            (ours, theirs) => wrong.push(format!("{}: {ours:?}, capinfos {theirs:?}", file.display())),
        }
    }
    println!("{compared} captures equal, {refused} of a refused link type");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(expected.is_none() || compared > refused);
}
