//! `ganglion pcap score` as a user runs it, on captures that are made here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const ATTACKER: [u8; 4] = [198, 18, 9, 9];
const VICTIM: [u8; 4] = [198, 18, 1, 1];
const SYN: u8 = 2;
const RST_ACK: u8 = 0x14;

fn bundle(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../brain/tests").join(name)
}

/// A classic capture of Ethernet frames, 10 ms apart.
fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for (at, frame) in frames.iter().enumerate() {
        let time_us = at as u32 * 10_000;
        let length = frame.len() as u32;
        for word in [1_700_000_000 + time_us / 1_000_000, time_us % 1_000_000, length, length] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    bytes
}

fn frame(src: [u8; 4], dst: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    frame.extend((20 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
    frame.extend(src);
    frame.extend(dst);
    frame.extend(payload);
    frame
}

fn tcp(from: u16, to: u16, flags: u8) -> Vec<u8> {
    let mut header = [from.to_be_bytes(), to.to_be_bytes()].concat();
    header.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 4, 0, 0, 0, 0, 0]);
    header
}

/// One address asks for many ports, and every one is closed.
fn scan() -> Vec<u8> {
    let asked = (1..=300_u16).flat_map(|port| {
        let ask = frame(ATTACKER, VICTIM, 6, &tcp(40_000, port, SYN));
        [ask, frame(VICTIM, ATTACKER, 6, &tcp(port, 40_000, RST_ACK))]
    });
    capture(&asked.collect::<Vec<_>>())
}

/// One address sends echo requests under many identifiers.
fn echoes() -> Vec<u8> {
    let echo = |id: u16| frame(ATTACKER, VICTIM, 1, &[&[8, 0, 0, 0][..], &id.to_be_bytes(), &[0, 1]].concat());
    capture(&(1..=400).map(echo).collect::<Vec<_>>())
}

fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.pcap");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn score(path: &Path, bundle: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ganglion"));
    command.args(["pcap", "score"]).arg(path).arg("--bundle").arg(bundle).args(more).output().unwrap()
}

/// The objects, the sums last.
fn lines(output: &Output) -> (Vec<Value>, Value) {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sums = lines.pop().unwrap();
    assert_eq!(sums["kind"], "summary", "{}", String::from_utf8_lossy(&output.stderr));
    (lines, sums)
}

#[test]
fn a_scan_is_found_by_cicflowmeters_columns_and_explained() {
    let (_folder, path) = file(&scan());
    let output = score(&path, &bundle("tables"), &["--json"]);
    let (alerts, sums) = lines(&output);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!((sums["frames"].as_u64(), sums["profile"].as_str()), (Some(600), Some("cicflowmeter")));
    assert_eq!(sums["rows_by_class"]["PortScan"], sums["rows"], "{sums}");
    assert!(!alerts.is_empty() && sums["alerts"].as_u64() == Some(alerts.len() as u64), "{sums}");
    let alert = &alerts[0];
    assert_eq!((alert["kind"].as_str(), alert["class"].as_str()), (Some("alert"), Some("PortScan")));
    assert!(alert["target"].as_str().unwrap().contains("198.18.9.9"), "{alert}");
    assert!(alert["time"].as_str().unwrap().starts_with("2023-11-14T22:13"), "{alert}");
    let explanation = &alert["explanation"];
    let number = |value: &Value| value.as_f64().unwrap();
    let top = explanation["top"].as_array().unwrap();
    let sum = top.iter().map(|one| number(&one["contribution"])).sum::<f64>() + number(&explanation["rest"]);
    let due = number(&explanation["value"]) - number(&explanation["base"]);
    assert!(!top.is_empty() && (sum - due).abs() < 1e-4, "{explanation}");

    let text = String::from_utf8(score(&path, &bundle("tables"), &[]).stdout).unwrap();
    assert!(text.contains("PortScan") && text.contains("on average") && text.contains("600 frames"), "{text}");
    let text = String::from_utf8(score(&path, &bundle("tables"), &["--no-explain"]).stdout).unwrap();
    assert!(text.contains("PortScan") && !text.contains("on average"), "{text}");
}

#[test]
fn a_flood_is_found_by_live_features() {
    let (_folder, path) = file(&echoes());
    let (alerts, sums) = lines(&score(&path, &bundle("bundle"), &["--json"]));
    assert_eq!((sums["profile"].as_str(), sums["rows_by_class"]["DoS"].as_u64() > Some(200)), (Some("ganglion"), true));
    // Each echo is a flow; 8, 32 and 128 of them make a record of their source and one of their destination.
    assert_eq!(sums["rows"].as_u64(), Some(400 + 3 * 2), "{sums}");
    assert!(alerts.iter().any(|alert| alert["class"] == "DoS"), "{sums}");
    // What the machine itself sends is told and never blocked.
    let (alerts, _) = lines(&score(&path, &bundle("bundle"), &["--json", "--own", "198.18.9.9"]));
    assert!(alerts.iter().all(|alert| alert["action"] == "alert"), "{alerts:?}");
}

#[test]
fn damaged_and_foreign_files_have_their_exit_codes() {
    let whole = scan();
    let (_folder, path) = file(&whole[..whole.len() - 7]);
    let output = score(&path, &bundle("tables"), &["--json"]);
    let (_, sums) = lines(&output);
    assert_eq!((output.status.code(), sums["frames"].as_u64()), (Some(3), Some(599)));
    assert_eq!(sums["faults"].as_array().map(Vec::len), Some(1));
    let (_folder, path) = file(b"no capture at all, but long enough to be one");
    assert_eq!(score(&path, &bundle("tables"), &[]).status.code(), Some(1));
    assert_eq!(score(Path::new("/nowhere.pcap"), &bundle("tables"), &[]).status.code(), Some(2));
    let (_folder, path) = file(&capture(&[]));
    let (alerts, sums) = lines(&score(&path, &bundle("tables"), &["--json"]));
    assert_eq!((alerts.len(), sums["rows"].as_u64()), (0, Some(0)));
}
