//! Real captures, where they lie beside the repository or where `GANGLION_SHARED` says.

use crate::capture::{Capture, CaptureError};
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

/// Packets and how it ended.
fn count(path: &Path) -> (u64, Result<(), CaptureError>) {
    let mut capture = match Capture::open(path) {
        Ok(capture) => capture,
        Err(error) => return (0, Err(error)),
    };
    let mut packets = 0;
    loop {
        match capture.next() {
            Ok(Some(frame)) => {
                let _ = frame.packet();
                packets += 1;
            }
            Ok(None) => return (packets, Ok(())),
            Err(error) => return (packets, Err(error)),
        }
    }
}

/// Packets of all `files` by capinfos, in their order; `None` where it is not installed.
fn capinfos(files: &[PathBuf]) -> Option<Vec<(PathBuf, Option<u64>)>> {
    let output = Command::new("capinfos").args(["-T", "-r", "-M", "-c"]).args(files).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut counted: Vec<_> = files.iter().map(|file| (file.clone(), None)).collect();
    for line in text.lines() {
        let Some((name, packets)) = line.rsplit_once('\t') else { continue };
        if let Some(entry) = counted.iter_mut().find(|(file, _)| file.as_os_str() == name) {
            entry.1 = packets.trim().parse().ok();
        }
    }
    Some(counted)
}

#[test]
fn real_captures_have_as_many_packets_as_capinfos_says() {
    let files = captures();
    if files.is_empty() {
        eprintln!("skipped: no captures beside the repository; GANGLION_SHARED names their place");
        return;
    }
    let Some(expected) = capinfos(&files) else {
        eprintln!("reading alone: capinfos is not installed");
        files.iter().for_each(|file| drop(count(file)));
        return;
    };
    let (mut compared, mut refused, mut wrong) = (0, 0, Vec::new());
    for (file, expected) in expected {
        match (count(&file), expected) {
            ((_, Err(CaptureError::LinkType { .. })), _) => refused += 1,
            // Of a damaged file it counts what is good before the damage, too.
            ((packets, Ok(()) | Err(CaptureError::Damaged { .. })), Some(expected)) if packets == expected => {
                compared += 1
            }
            (ours, theirs) => wrong.push(format!("{}: {ours:?}, capinfos {theirs:?}", file.display())),
        }
    }
    println!("{compared} captures equal, {refused} of a refused link type");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > refused);
}
