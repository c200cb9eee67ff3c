//! `ganglion flow` on the captures that come with the project: rows, exit codes, and what is said.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers too")]

mod switches;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const PAIRS: [(&str, u64); 4] =
    [("fin_variants_odd_headers", 8), ("ftp_bruteforce", 30), ("ftp_data_dns_ipv6", 130), ("smb_vlan_long", 3)];
const TCPDUMP_HEADER_BYTES: usize = 24;

fn pair(name: &str, end: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../extract/tests/oracle/pairs").join(format!("{name}.{end}"))
}

fn capture(name: &str) -> PathBuf {
    pair(name, "pcap.gz")
}

/// The capture without its compression.
fn plain(name: &str) -> Vec<u8> {
    let output = Command::new("gzip").arg("-dc").arg(capture(name)).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn ganglion() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ganglion"))
}

fn extract(inputs: &[&Path], output: &Path, more: &[&str]) -> Output {
    let mut command = ganglion();
    command.args(["flow", "extract", "--profile", "cicflowmeter"]).args(inputs).arg("-o").arg(output).args(more);
    command.output().unwrap()
}

fn diff(first: &Path, second: &Path, more: &[&str]) -> Output {
    ganglion().args(["flow", "diff"]).arg(first).arg(second).args(more).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&out(output)).unwrap()
}

/// A folder, and a path in it.
fn place(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    (folder, path)
}

fn files_in(folder: &TempDir) -> usize {
    fs::read_dir(folder.path()).unwrap().count()
}

#[test]
fn rows_are_the_reference_tools() {
    let (folder, rows) = place("rows.csv");
    for (name, count) in PAIRS {
        let done = extract(&[&capture(name)], &rows, &["--json"]);
        assert_eq!(code(&done), 0, "{name}: {}", err(&done));
        let ours = fs::read_to_string(&rows).unwrap();
        assert_eq!((ours.lines().count() as u64 - 1, json(&done)["rows"].as_u64()), (count, Some(count)), "{name}");
        // Rows that the reference makes of frames that are not IPv4 are not imitated.
        let reference = fs::read_to_string(pair(name, "csv")).unwrap();
        let real = folder.path().join("reference.csv");
        let lines = reference.lines().filter(|line| !line.starts_with("8.6.0.1") && !line.starts_with("134.221."));
        fs::write(&real, lines.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        let compared = diff(&real, &rows, &[]);
        assert_eq!(code(&compared), 0, "{name}: {}", out(&compared));
        assert!(out(&compared).contains(&format!("{count} rows in both")), "{}", out(&compared));
        let compared = json(&diff(&real, &rows, &["--json"]));
        assert_eq!((compared["same"].as_bool(), compared["columns"].as_array().map(Vec::len)), (Some(true), Some(94)));
    }
}

#[test]
fn the_summary_counts() {
    let (_folder, rows) = place("rows.csv");
    let done = extract(&[&capture("ftp_data_dns_ipv6")], &rows, &["--json"]);
    let summary = json(&done);
    assert_eq!((summary["files"].as_u64(), summary["frames"].as_u64()), (Some(1), Some(1350)));
    assert!(summary["not_ipv4"].as_u64() > Some(0) && summary["tuples"].as_u64() > Some(0), "{summary}");
    assert!(summary["peak_memory_bytes"].as_u64() > Some(1_000_000), "{summary}");
    assert_eq!(summary["faults"], Value::Array(vec![]));
    let said = extract(&[&capture("ftp_data_dns_ipv6")], &rows, &[]);
    assert!(
        out(&said).is_empty() && err(&said).contains("130 rows of 1 350 frames; captures read: 1"),
        "{}",
        err(&said)
    );
    assert!(!err(&said).contains('\u{1b}'), "no bar where there is no terminal: {}", err(&said));
}

#[test]
fn a_damaged_capture_gives_the_rows_before_and_says_where() {
    let whole = plain("ftp_bruteforce");
    let cut_at = whole.len() - 5;
    let (folder, rows) = place("rows.csv");
    let cut = folder.path().join("cut.pcap");
    fs::write(&cut, &whole[..cut_at]).unwrap();
    let done = extract(&[&cut], &rows, &["--json"]);
    assert_eq!(code(&done), 3, "{}", err(&done));
    let byte = json(&done)["faults"][0]["byte"].as_u64().unwrap();
    assert!(err(&done).contains(&format!("cut.pcap: damaged at byte {byte}: the file ends there")), "{}", err(&done));
    assert_eq!(json(&done)["frames"], 605, "all packets but the last of 606");
    // Cut there, the capture is whole, and its rows are the same.
    let whole_again = folder.path().join("whole.pcap");
    fs::write(&whole_again, &whole[..usize::try_from(byte).unwrap()]).unwrap();
    let rows_again = folder.path().join("again.csv");
    assert_eq!(code(&extract(&[&whole_again], &rows_again, &[])), 0);
    assert_eq!(fs::read_to_string(&rows).unwrap(), fs::read_to_string(&rows_again).unwrap());

    // A length that can't be, of the first packet: no rows, only the header line.
    let mut bad = whole.clone();
    bad[TCPDUMP_HEADER_BYTES + 8..TCPDUMP_HEADER_BYTES + 12].fill(0xff);
    fs::write(&cut, bad).unwrap();
    let done = extract(&[&cut], &rows, &[]);
    assert_eq!((code(&done), fs::read_to_string(&rows).unwrap().lines().count()), (3, 1));
    assert!(err(&done).contains("damaged at byte 24: a packet of 4294967295 bytes"), "{}", err(&done));

    fs::write(&cut, "").unwrap();
    let done = extract(&[&cut], &rows, &[]);
    assert_eq!((code(&done), fs::read_to_string(&rows).unwrap().lines().count()), (3, 1));
    assert!(err(&done).contains("damaged at byte 0: the file is empty"), "{}", err(&done));
}

#[test]
fn of_many_captures_the_good_ones_are_in_the_output() {
    let (folder, rows) = place("rows.csv");
    let captures: Vec<_> = PAIRS.iter().map(|(name, _)| capture(name)).collect();
    let mut inputs: Vec<_> = captures.iter().map(PathBuf::as_path).collect();
    let done = extract(&inputs, &rows, &["--json"]);
    assert_eq!(code(&done), 0, "{}", err(&done));
    let all: u64 = PAIRS.iter().map(|(_, count)| count).sum();
    assert_eq!((json(&done)["files"].as_u64(), json(&done)["rows"].as_u64()), (Some(4), Some(all)));
    // They are of 2003, 2014, 2013 and 2012.
    assert_eq!(json(&done)["backwards"].as_u64().map(|times| times >= 2), Some(true));
    assert!(err(&done).contains("warning: time runs backwards"), "{}", err(&done));

    let none = folder.path().join("none.pcap");
    fs::write(&none, "no capture at all").unwrap();
    inputs.insert(1, &none);
    let done = extract(&inputs, &rows, &["--json"]);
    assert_eq!(
        (code(&done), json(&done)["rows"].as_u64(), json(&done)["files_unread"].as_u64()),
        (3, Some(all), Some(1))
    );
    assert!(err(&done).contains("none.pcap: not a capture"), "{}", err(&done));
}

/// A pcapng capture of two interfaces, 802.11 and Ethernet, with one frame of 60 zero bytes per number.
fn pcapng(frames_of: &[u32]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let bytes = u32::try_from(body.len() + 12).unwrap().to_le_bytes();
        [&kind.to_le_bytes()[..], &bytes, body, &bytes].concat()
    };
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    let mut file = block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]));
    file.extend([105, 1].map(|link| block(1, &words(&[link, 0]))).concat());
    for interface in frames_of {
        file.extend(block(6, &[words(&[*interface, 0, 0, 60, 60]), vec![0; 60]].concat()));
    }
    file
}

#[test]
fn frames_of_a_link_type_that_is_not_read_are_counted() {
    let (folder, rows) = place("rows.csv");
    let input = folder.path().join("two.pcapng");
    fs::write(&input, pcapng(&[1, 0, 1, 0, 0])).unwrap();
    let done = extract(&[&input], &rows, &["--json"]);
    let summary = json(&done);
    assert_eq!((code(&done), summary["frames"].as_u64(), summary["not_ipv4"].as_u64()), (3, Some(2), Some(2)));
    assert_eq!(summary["faults"].as_array().map(Vec::len), Some(1));
    assert_eq!(summary["faults"][0]["frames_refused"], 3);
    assert!(err(&done).contains("link type 105 (802.11"), "{}", err(&done));
    assert!(err(&done).contains("warning: 3 frames were left out: "), "{}", err(&done));
}

#[test]
fn from_standard_input_to_standard_output() {
    let mut command = ganglion();
    command.args(["flow", "extract", "-", "-o", "-", "--profile", "cicflowmeter", "--json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&plain("fin_variants_odd_headers")).unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!(code(&done), 0, "{}", err(&done));
    let summary: Value = serde_json::from_str(err(&done).lines().last().unwrap()).unwrap();
    assert_eq!(summary["rows"], 8, "the summary gives way to the rows");
    let (_folder, rows) = place("rows.csv");
    fs::write(&rows, &done.stdout).unwrap();
    assert_eq!(code(&diff(&pair("fin_variants_odd_headers", "csv"), &rows, &[])), 0);
}

#[test]
fn json_lines_hold_the_same_values() {
    let (folder, rows) = place("rows.jsonl");
    let csv = folder.path().join("rows.csv");
    for path in [&rows, &csv] {
        assert_eq!(code(&extract(&[&capture("ftp_bruteforce")], path, &[])), 0);
    }
    let lines = fs::read_to_string(&rows).unwrap();
    let csv = fs::read_to_string(&csv).unwrap();
    let names: Vec<_> = csv.lines().next().unwrap().split(',').collect();
    assert_eq!(lines.lines().count(), 30);
    for (object, line) in lines.lines().zip(csv.lines().skip(1)) {
        let object: Value = serde_json::from_str(object).unwrap();
        for (name, cell) in names.iter().zip(line.split(',')) {
            match &object[name] {
                Value::String(text) => assert_eq!(text, cell, "{name}"),
                number => {
                    // serde_json reads a float that takes 17 digits to its neighbour.
                    let (x, y): (f64, f64) = (number.as_f64().unwrap(), cell.parse().unwrap());
                    assert!((x - y).abs() <= f64::EPSILON * y.abs(), "{name}: {x} {y}");
                }
            }
        }
    }
}

#[test]
fn an_output_that_fails_is_as_it_was() {
    let input = capture("ftp_bruteforce");
    let (folder, rows) = place("rows.csv");
    let no_folder = extract(&[&input], &folder.path().join("none/rows.csv"), &[]);
    assert_eq!(code(&no_folder), 1);
    assert!(err(&no_folder).contains("none/rows.csv: can't be written: "), "{}", err(&no_folder));
    assert_eq!(code(&extract(&[&input], folder.path(), &["--format", "csv"])), 1, "a folder");
    let full = extract(&[&input], Path::new("/dev/full"), &["--format", "csv"]);
    assert_eq!(code(&full), 1);
    assert!(err(&full).contains("/dev/full: can't be written: No space left"), "{}", err(&full));
    assert!(Path::new("/dev/full").exists(), "a device is never replaced");

    fs::write(&rows, "before").unwrap();
    let none = folder.path().join("none.pcap");
    fs::write(&none, "no capture at all").unwrap();
    let done = extract(&[&none], &rows, &[]);
    assert_eq!((code(&done), fs::read_to_string(&rows).unwrap().as_str()), (1, "before"), "{}", err(&done));
    let done = extract(&[&none], Path::new("-"), &[]);
    assert_eq!((code(&done), out(&done).as_str()), (1, ""));
    assert_eq!(files_in(&folder), 2, "no temporary file is left");
}

#[test]
fn an_extraction_that_is_stopped_leaves_nothing() {
    let (folder, rows) = place("rows.csv");
    let mut command = ganglion();
    command.args(["flow", "extract", "-", "--profile", "cicflowmeter", "-o"]).arg(&rows).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let begun = std::time::Instant::now();
    while files_in(&folder) == 0 {
        assert!(begun.elapsed().as_secs() < 20, "no temporary file");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // The file is there a moment before the signal is waited for.
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    assert_eq!(files_in(&folder), 0);
}

#[test]
fn mistakes_are_told_before_anything_is_done() {
    let input = capture("ftp_bruteforce");
    let (folder, rows) = place("rows.csv");
    let own = folder.path().join("own.pcap");
    fs::write(&own, plain("ftp_bruteforce")).unwrap();
    let bad = folder.path().join("bad.yaml");
    fs::write(&bad, "rules:\n  - label: x\n    scr: 198.18.0.1\n").unwrap();
    let cases: [(Output, &str); 10] = [
        (extract(&[&input], &folder.path().join("rows"), &[]), "--format parquet, csv or jsonl"),
        (extract(&[&input, &folder.path().join("absent.pcap")], &rows, &[]), "absent.pcap: can't be opened"),
        (extract(&[folder.path()], &rows, &[]), "a folder; name the captures in it"),
        (extract(&[&own], &own, &["--format", "csv"]), "take the capture's place"),
        (extract(&[&input], &rows, &["--columns", "ganglion"]), "--columns ganglion needs --profile ganglion"),
        (extract(&[&input], &rows, &["--context"]), "--context needs --profile ganglion"),
        (extract(&[&input], &rows, &["--filter", "tcp prot 80"]), "\"tcp prot 80\" is no filter: "),
        (extract(&[&input], &rows, &["--labels", bad.to_str().unwrap()]), "bad.yaml: rule 1: unknown field `scr`"),
        (extract(&[&input], &rows, &["--labels", "/nonexistent.yaml"]), "/nonexistent.yaml: can't be read"),
        (extract(&[&input], &rows, &["--jobs", "0"]), "--jobs"),
    ];
    for (output, said) in cases {
        assert_eq!(code(&output), 2, "{said}");
        assert!(err(&output).contains(said), "{}", err(&output));
    }
    assert_eq!(files_in(&folder), 2);
}

#[test]
fn differences_are_named_and_give_exit_1() {
    let reference = pair("ftp_bruteforce", "csv");
    let text = fs::read_to_string(&reference).unwrap();
    let (folder, changed) = place("changed.csv");
    let (header, rest) = text.split_once('\n').unwrap();
    // Another duration, and one row less.
    let rest = rest.replacen(",2179919,", ",2179920,", 1);
    let (rest, _) = rest.trim_end().rsplit_once('\n').unwrap();
    fs::write(&changed, format!("{header}\n{rest}\n")).unwrap();
    let compared = diff(&reference, &changed, &[]);
    assert_eq!(code(&compared), 1);
    assert!(out(&compared).contains("2179919 / 2179920"), "{}", out(&compared));
    assert!(out(&compared).contains("1 rows only in the first: "), "{}", out(&compared));
    let compared = json(&diff(&reference, &changed, &["--json"]));
    assert_eq!((compared["same"].as_bool(), compared["rows_compared"].as_u64()), (Some(false), Some(29)));
    let duration =
        compared["columns"].as_array().unwrap().iter().find(|column| column["name"] == "Flow Duration").unwrap();
    assert_eq!((duration["equal"].as_u64(), duration["different"].as_u64()), (Some(28), Some(1)));
    assert_eq!(compared["only_in_first"]["rows"].as_array().map(Vec::len), Some(1));

    let cut = folder.path().join("cut.csv");
    fs::write(&cut, format!("{header}\n1,2,3\n")).unwrap();
    let other = diff(&reference, &cut, &[]);
    assert_eq!(code(&other), 2, "what can't be compared is no difference");
    assert!(err(&other).contains("cut.csv: line 2 has 3 cells, the header 94"), "{}", err(&other));
    fs::write(&cut, "a,b\n1,2\n").unwrap();
    let other = diff(&reference, &cut, &[]);
    assert!(code(&other) == 2 && err(&other).contains("no column \"Flow ID\""), "{}", err(&other));
    fs::write(&cut, b"Flow ID,Timestamp\n\xff,2\n").unwrap();
    assert!(err(&diff(&cut, &reference, &[])).contains("cut.csv: no text at byte 18"));
}

#[test]
fn show_is_a_table_of_the_main_columns() {
    let rows = pair("ftp_bruteforce", "csv");
    let shown = ganglion().args(["flow", "show", "--limit", "2"]).arg(&rows).output().unwrap();
    let text = out(&shown);
    assert_eq!((code(&shown), text.lines().count()), (0, 4), "{text}");
    assert!(text.starts_with("TIME (UTC)") && text.ends_with("2 of 30 flows\n"), "{text}");
    let first = text.lines().nth(1).unwrap();
    for part in ["2014-01-14 17:37:42.987999", "192.168.56.1 :54026", "192.168.56.101 :21", "tcp", "2.2 s", "11 + 9"] {
        assert!(first.contains(part), "{part}: {first}");
    }
    let none = ganglion().args(["flow", "show"]).arg(capture("ftp_bruteforce")).output().unwrap();
    assert_eq!(code(&none), 2);
    assert!(err(&none).contains("no text at byte"), "{}", err(&none));
}

#[test]
fn live_flows_and_flows_of_captures_tell_themselves_apart() {
    let help = |words: &[&str]| {
        let output = ganglion().args(words).arg("--help").output().unwrap();
        assert_eq!(code(&output), 0, "{words:?}: {}", err(&output));
        // Wrapped at some width.
        out(&output).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(help(&["flows"]).contains("Live flows in the kernel (of captures: `ganglion flow`)"));
    assert!(
        help(&["flow"]).contains("Flow rows of capture files: extract, compare, show (live ones: `ganglion flows`)")
    );
    let extract = help(&["flow", "extract"]);
    for word in ["[default: ganglion]", "--labels", "--filter", "docs/extract.md"] {
        assert!(extract.contains(word), "{word}: {extract}");
    }
    for code in 0..=3 {
        assert!(extract.contains(&format!(" {code} ")), "{extract}");
    }
    // It asks the sensor, as ever.
    let flows = ganglion().args(["flows", "--control", "/nonexistent/sensor.sock"]).output().unwrap();
    assert_eq!(code(&flows), 4, "{}", err(&flows));
}
