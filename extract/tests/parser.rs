//! The parser against etherparse on packets of real captures, as they are and mutated.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::path::{Path, PathBuf};
use std::process::Command;

use ganglion_extract::capture::{Capture, LinkType, Reading};
use ganglion_flow::Frame;
use ganglion_flow::packet::{Network, NotAFlow, Packet, SCTP, TCP, UDP};

#[path = "../../flow/src/packet/tests/agreement.rs"]
mod agreement;

/// Frames of one capture that are tried.
const FRAMES: usize = 3000;
/// Mutations of each.
const MUTATIONS: usize = 3;

fn committed() -> Vec<PathBuf> {
    captures(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/pairs"))
}

/// Captures in a folder and those below it.
fn captures(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            found.extend(captures(&path));
        } else if name.contains(".pcap") || name.ends_with(".cap") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// What lies in archives beside the repository: hundreds of odd captures of other projects' tests.
fn archived() -> Vec<PathBuf> {
    let shared = std::env::var_os("GANGLION_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let unpacked = Path::new(env!("CARGO_TARGET_TMPDIR")).join("parser");
    for archive in std::fs::read_dir(shared.join("data/pcap/proto")).into_iter().flatten().flatten() {
        std::fs::create_dir_all(&unpacked).unwrap();
        let status = Command::new("tar").arg("xzf").arg(archive.path()).arg("-C").arg(&unpacked).status();
        assert!(status.unwrap().success(), "tar does not unpack {}", archive.path().display());
    }
    captures(&unpacked)
}

/// Numbers that only look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    /// Other bytes among the headers, or an end amid them.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len().min(160));
            bytes[at] = self.below(256) as u8;
        }
        if self.below(4) == 0 {
            bytes.truncate(1 + self.below(bytes.len()));
        }
    }
}

/// Packets compared, later fragments that found their flow, and packets in tunnels.
#[derive(Debug, Default)]
struct Tally {
    compared: usize,
    fragments: usize,
    inner: usize,
}

fn compare(file: &Path, dice: &mut Dice, tally: &mut Tally) {
    // Formats and link types that are refused have tests of their own.
    let Ok(mut capture) = Capture::open(file) else { return };
    let mut reading = Reading::new(true);
    for _ in 0..FRAMES {
        let Ok(Some(frame)) = capture.next() else { return };
        if let Ok((packet, _)) = reading.packet(&frame) {
            tally.fragments += usize::from(frame.packet() == Err(NotAFlow::Fragment));
            tally.inner += usize::from(frame.packet().is_ok_and(|outer| outer.key(0) != packet.key(0)));
        }
        if frame.link != LinkType::Ethernet || frame.bytes.is_empty() {
            continue;
        }
        for i in 0..=MUTATIONS {
            let mut bytes = frame.bytes.to_vec();
            if i > 0 {
                dice.mutate(&mut bytes);
            }
            if let Err(why) = agreement::assert_agrees(&bytes) {
                panic!("{}, frame at {}: {why}\n{bytes:02x?}", file.display(), frame.offset);
            }
            tally.compared += 1;
        }
    }
}

#[test]
fn real_packets_are_read_as_etherparse_reads_them() {
    let (mut dice, mut tally) = (Dice(3), Tally::default());
    for file in committed() {
        compare(&file, &mut dice, &mut tally);
    }
    assert!(tally.compared > 4000, "{tally:?}");
    let archived = archived();
    if archived.is_empty() {
        println!("{tally:?}; skipped: no captures beside the repository, GANGLION_SHARED names their place");
        return;
    }
    for file in &archived {
        compare(file, &mut dice, &mut tally);
    }
    println!("{tally:?} in {} captures", archived.len());
    assert!(tally.fragments > 0 && tally.inner > 0, "{tally:?}");
}
