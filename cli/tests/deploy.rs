//! Dashboard and alert rules ask for metrics that exist, by the names the code registers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// Names that begin with `prefix` in a text, without what histograms append.
fn names(text: &str, prefix: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = text.split(|c| !is_part(c)).filter(|word| word.starts_with(prefix));
    let bare = words.map(|word| {
        ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).to_owned()
    });
    bare.collect()
}

fn asked_for(prefix: &str) -> BTreeSet<String> {
    let files = ["deploy/grafana/ganglion.json", "deploy/prometheus/ganglion.rules.yml"];
    files.iter().flat_map(|file| names(&read(file), prefix)).collect()
}

#[test]
fn sensor_metrics_exist() {
    let there: BTreeSet<_> = ganglion_sensor::metrics::names::ALL.iter().map(|metric| metric.name.to_owned()).collect();
    let asked = asked_for("ganglion_sensor_");
    assert!(asked.len() > 10, "{asked:?}");
    let unknown: Vec<_> = asked.difference(&there).collect();
    assert!(unknown.is_empty(), "not registered by the sensor: {unknown:?}");
}

#[test]
fn brain_metrics_exist() {
    // The brain composes its names: a prefix, and a literal in its files of metrics.
    let source = read("brain/src/metrics.rs") + &read("brain/src/metrics/models.rs");
    let asked = asked_for("ganglion_brain_");
    assert!(asked.len() > 5, "{asked:?}");
    let unknown: Vec<_> = asked
        .iter()
        .filter(|name| !source.contains(&format!("\"{}\"", name.trim_start_matches("ganglion_brain_"))))
        .collect();
    assert!(unknown.is_empty(), "not registered by the brain: {unknown:?}");
}

#[test]
fn kernel_counters_in_queries_exist() {
    let labels: BTreeSet<_> = ganglion_flow::Counter::ALL.iter().map(|counter| counter.label()).collect();
    let text =
        read("deploy/grafana/ganglion.json").replace("\\\"", "\"") + &read("deploy/prometheus/ganglion.rules.yml");
    let mut checked = 0;
    for part in text.split("what=").skip(1) {
        let value = part.trim_start_matches('~').split('"').nth(1).unwrap();
        for label in value.split('|') {
            let found = match label.strip_suffix(".*") {
                Some(prefix) => labels.iter().any(|known| known.starts_with(prefix)),
                None => labels.contains(label),
            };
            assert!(found, "no counter `{label}`");
            checked += 1;
        }
    }
    assert!(checked > 10);
}

#[test]
fn recorded_series_are_defined() {
    let rules = read("deploy/prometheus/ganglion.rules.yml");
    let defined: BTreeSet<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).collect();
    for name in asked_for("instance") {
        let is_recorded = !name.contains(':') || defined.contains(name.as_str());
        assert!(is_recorded, "{name} is no recording rule");
    }
}
