//! `ganglion model eval` and `bench` as a user runs them, good files and bad ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Columns of the bundle as the corrected tool spells them, as CSE-CIC-IDS2018 does, and as ISCX 2017 does.
const SPELLINGS: [[&str; 12]; 3] = [
    [
        "Flow Duration",
        "Total Fwd Packet",
        "Total Bwd packets",
        "Total Length of Fwd Packet",
        "Total Length of Bwd Packet",
        "Flow Bytes/s",
        "Flow Packets/s",
        "Flow IAT Mean",
        "SYN Flag Count",
        "RST Flag Count",
        "Down/Up Ratio",
        "FWD Init Win Bytes",
    ],
    [
        "Flow Duration",
        "Tot Fwd Pkts",
        "Tot Bwd Pkts",
        "TotLen Fwd Pkts",
        "TotLen Bwd Pkts",
        "Flow Byts/s",
        "Flow Pkts/s",
        "Flow IAT Mean",
        "SYN Flag Cnt",
        "RST Flag Cnt",
        "Down/Up Ratio",
        "Init Fwd Win Byts",
    ],
    [
        " Flow Duration",
        " Total Fwd Packets",
        " Total Backward Packets",
        "Total Length of Fwd Packets",
        " Total Length of Bwd Packets",
        "Flow Bytes/s",
        " Flow Packets/s",
        " Flow IAT Mean",
        " SYN Flag Count",
        " RST Flag Count",
        " Down/Up Ratio",
        "Init_Win_bytes_forward",
    ],
];
const LABELS: [&str; 4] = ["BENIGN", "DoS Hulk", "PortScan", "SSH-Patator"];

fn bundle() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../brain/tests/tables")
}

fn ganglion(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ganglion")).args(args).output().unwrap()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn eval(&self, data: &str, more: &[&str]) -> Output {
        let out = self.0.path().join("out.json").display().to_string();
        let _ = std::fs::remove_file(&out);
        let bundle = bundle().display().to_string();
        ganglion(&[&["model", "eval", &bundle, "--data", data, "--json", &out], more].concat())
    }

    fn result(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.0.path().join("out.json")).unwrap()).unwrap()
    }

    #[track_caller]
    fn refused(&self, data: &str, more: &[&str], code: i32, words: &[&str]) {
        let output = self.eval(data, more);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        println!("{error}");
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(words.iter().all(|word| error.contains(word)), "{words:?} in: {error}");
        // Beside the log's.
        assert_eq!(error.lines().filter(|line| line.starts_with("ganglion:")).count(), 1, "{error}");
        assert!(!self.0.path().join("out.json").exists());
    }
}

/// Rows of the bundle's own with labels in turn.
fn rows(count: usize) -> Vec<String> {
    let manifest: Value = serde_json::from_slice(&std::fs::read(bundle().join("manifest.json")).unwrap()).unwrap();
    let own = manifest["background"].as_array().unwrap();
    let cells = |row: &Value| row.as_array().unwrap().iter().map(Value::to_string).collect::<Vec<_>>().join(",");
    (0..count).map(|at| format!("{},{}", cells(&own[at % own.len()]), LABELS[at % 4])).collect()
}

fn table(names: &[&str], label: &str, rows: &[String]) -> String {
    format!("{},{label}\n{}\n", names.join(","), rows.join("\n"))
}

#[test]
fn every_spelling_gives_the_same_result() {
    let (folder, mut results) = (Folder::new(), Vec::new());
    for (names, label) in SPELLINGS.iter().zip(["Label", "label", " Label"]) {
        let output = folder.eval(&folder.file("a.csv", &table(names, label, &rows(200))), &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("macro F1") && text.contains("PortScan"), "{text}");
        results.push(folder.result());
    }
    assert!(results.iter().all(|result| *result == results[0]));
    let result = &results[0];
    assert_eq!(
        (result["rows"].as_u64(), result["dropped"].as_object().map(|dropped| dropped.len())),
        (Some(200), Some(0))
    );
    let classes: Vec<_> =
        result["confusion"]["classes"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
    let mut f1 = Vec::new();
    for (line, name) in classes.iter().enumerate() {
        let counts = |at: usize| result["confusion"]["counts"][at].as_array().unwrap().clone();
        let is: u64 = counts(line).iter().map(|count| count.as_u64().unwrap()).sum();
        let said: u64 = (0..classes.len()).map(|at| counts(at)[line].as_u64().unwrap()).sum();
        let right = counts(line)[line].as_u64().unwrap();
        let class = &result["per_class"][name];
        assert_eq!(class["rows"].as_u64(), Some(is), "{name}");
        if is > 0 {
            let due = 2.0 * right as f64 / (is + said) as f64;
            assert!((class["f1"].as_f64().unwrap() - due).abs() < 1e-12);
            f1.push(due);
        }
    }
    let mean = f1.iter().sum::<f64>() / f1.len() as f64;
    assert!((result["macro_f1"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert!(result["macro_f1_50"].is_number() && result["auroc"].is_number() && result["auroc_anomaly"].is_number());
}

#[test]
fn rows_that_cannot_be_scored_are_dropped_and_counted() {
    let folder = Folder::new();
    let mut rows = rows(8);
    let broken = |row: &str, cell: &str| format!("{cell},{}", row.split_once(',').unwrap().1);
    rows[1] = broken(&rows[1], "NaN");
    rows[2] = broken(&rows[2], "Infinity");
    rows[3] = broken(&rows[3], "");
    rows[4] = broken(&rows[4], "many");
    rows.push(format!("{},Label", SPELLINGS[0].join(",")));
    rows.push(rows[5].replace("DoS Hulk", ""));
    rows.push(rows[6].replace("PortScan", "DoS Hulk - Attempted"));
    let output = folder.eval(&folder.file("a.csv", &table(&SPELLINGS[0], "Label", &rows)), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let result = folder.result();
    assert_eq!(result["rows"], 4);
    for reason in ["nan", "infinite", "missing", "no_number", "repeated_header", "no_label", "label_left_out"] {
        assert_eq!(result["dropped"][reason], 1, "{reason}: {}", result["dropped"]);
    }
}

#[test]
fn columns_that_are_missing_or_of_another_type_are_all_named() {
    let folder = Folder::new();
    let mut names = SPELLINGS[0];
    (names[1], names[9]) = ("Forward stuff", "Reset stuff");
    let data = folder.file("a.csv", &table(&names, "Label", &rows(3)));
    folder.refused(&data, &[], 2, &["2 columns are missing", "Total Fwd Packet", "RST Flag Count", "Forward stuff"]);
    let words = rows(3).iter().map(|row| format!("long,{}", row.split_once(',').unwrap().1)).collect::<Vec<_>>();
    let data = folder.file("b.csv", &table(&SPELLINGS[0], "Label", &words));
    folder.refused(&data, &[], 2, &["wrong type", "Flow Duration", "long"]);
    let data = folder.file("c.csv", &table(&SPELLINGS[0], "Kind", &rows(3)));
    folder.refused(&data, &[], 2, &["no label column", "--label-column", "Kind"]);
    assert!(folder.eval(&data, &["--label-column", "Kind"]).status.success());
}

#[test]
fn labels_that_nobody_knows_are_all_named_and_can_be_mapped() {
    let folder = Folder::new();
    let renamed: Vec<_> =
        rows(8).iter().map(|row| row.replace("PortScan", "nmap").replace("DoS Hulk", "stress")).collect();
    let data = folder.file("a.csv", &table(&SPELLINGS[0], "Label", &renamed));
    folder.refused(&data, &[], 2, &["\"nmap\" (2 rows)", "\"stress\" (2 rows)", "--label-map"]);
    let map = folder.file("map.yaml", "nmap: PortScan\nstress: drop\n");
    assert!(folder.eval(&data, &["--label-map", &map]).status.success());
    let result = folder.result();
    assert_eq!((result["rows"].as_u64(), result["dropped"]["label_left_out"].as_u64()), (Some(6), Some(2)));
    let wrong = folder.file("wrong.yaml", "nmap: Sweep\n");
    folder.refused(&data, &["--label-map", &wrong], 2, &["wrong.yaml", "Sweep", "PortScan"]);
}

#[test]
fn small_empty_and_cut_files_are_told_apart() {
    let folder = Folder::new();
    let one = folder.file("one.csv", &table(&SPELLINGS[0], "Label", &rows(1)));
    assert!(folder.eval(&one, &[]).status.success());
    let result = folder.result();
    assert_eq!((result["rows"].as_u64(), result["auroc"].is_null()), (Some(1), true));
    folder.refused(&folder.file("empty.csv", ""), &[], 2, &["empty.csv", "empty"]);
    let header = format!("{},Label\n", SPELLINGS[0].join(","));
    folder.refused(&folder.file("header.csv", &header), &[], 1, &["no row to score"]);
    let whole = table(&SPELLINGS[0], "Label", &rows(50));
    let cut = &whole[..whole.trim_end().rfind(',').unwrap() - 20];
    folder.refused(&folder.file("cut.csv", cut), &[], 1, &["cut.csv", "line 51", "cut there"]);
    folder.refused(&folder.file("cut.parquet", "PAR1 and no end"), &[], 2, &["cut.parquet", "Parquet"]);
    folder.refused("/nowhere/a.csv", &[], 2, &["/nowhere/a.csv"]);
}

#[test]
fn a_bench_says_how_fast_a_bundle_is() {
    let bundle = bundle().display().to_string();
    let args = ["model", "bench", &bundle, "--seconds", "0.05", "--batch", "1,64", "--threads", "2", "--json"];
    let output = ganglion(&[args.as_slice(), &["--compare", &bundle, "--rate", "0"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let speed = answer["speed"].as_array().unwrap();
    // Three ways, two batch sizes, two bundles.
    assert!(speed.len() == 12 && speed.iter().all(|one| one["rows_per_s"].as_f64().unwrap() > 0.0), "{answer}");
    assert_eq!((answer["compared"]["same_class"].as_f64(), answer["latency"].is_null()), (Some(1.0), true));
    assert_eq!(answer["provider"], "CPU");
    assert!(speed.iter().all(|one| one["p50_us"].as_f64().unwrap() <= one["p99_us"].as_f64().unwrap()), "{answer}");
}

/// Where a document has what: "speed[].batch number".
fn layout(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| layout(value, &format!("{at}.{key}"), found)),
        Value::Array(values) => values.iter().for_each(|value| layout(value, &format!("{at}[]"), found)),
        _ => {
            found.insert(at.to_owned());
        }
    }
}

#[test]
fn the_trainer_reads_what_a_bench_writes() {
    let bundle = bundle().display().to_string();
    let output = ganglion(&["model", "bench", &bundle, "--seconds", "0.05", "--batch", "1", "--rate", "100", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // What the trainer's tests read.
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../trainer/tests/bench.json");
    let [mine, theirs] = [output.stdout, std::fs::read(sample).unwrap()].map(|text| {
        let mut found = BTreeSet::new();
        layout(&serde_json::from_slice(&text).unwrap(), "", &mut found);
        found
    });
    assert_eq!(mine, theirs, "left: `ganglion model bench --json`, right: trainer/tests/bench.json");
}
