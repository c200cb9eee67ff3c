//! The models of a brain, as a table and as JSON.

use ganglion_proto::v1::{Drift, ModelList, ServedModel};
use serde_json::{Value, json};

use crate::table::{Align, render};
use crate::units;

/// From here on an index says that something has shifted.
const SHIFTED: f64 = 0.25;
/// More are not named in the table's remarks.
const NAMED: usize = 5;

pub(super) fn view(list: &ModelList) -> Value {
    json!({
        "active": list.active,
        "can_roll_back": list.can_roll_back,
        "models": list.models.iter().map(model).collect::<Vec<_>>(),
    })
}

fn model(model: &ServedModel) -> Value {
    json!({
        "name": model.name,
        "digest": model.digest,
        "folder": model.folder,
        "trust": model.trust,
        "signed_by": (!model.signed_by.is_empty()).then_some(&model.signed_by),
        "role": model.role,
        "share": model.share,
        "provider": model.provider,
        "rows": model.rows,
        "failures": model.failures,
        "batch_p50_us": model.p50_us,
        "batch_p99_us": model.p99_us,
        "batch_rows_mean": model.batch_rows,
        "alike": model.alike,
        "unlike": model.unlike,
        "drift": model.drift.as_ref().map(drift),
    })
}

fn drift(drift: &Drift) -> Value {
    let largest: Vec<_> = drift.largest.iter().map(|s| json!({ "of": s.of, "index": s.index })).collect();
    json!({
        "rows": drift.rows,
        "window_s": drift.window_s,
        "inputs": drift.inputs,
        "scores": drift.scores,
        "largest": largest,
    })
}

pub(super) fn show(list: &ModelList) -> String {
    let columns = [
        ("ROLE", Align::Left),
        ("SHARE", Align::Right),
        ("MODEL", Align::Left),
        ("DIGEST", Align::Left),
        ("TRUST", Align::Left),
        ("ROWS", Align::Right),
        ("FAILED", Align::Right),
        ("BATCH", Align::Right),
        ("P50", Align::Right),
        ("P99", Align::Right),
        ("ALIKE", Align::Right),
        ("DRIFT", Align::Right),
    ];
    let mut text = render(&columns, list.models.iter().map(row));
    for model in &list.models {
        let largest = model.drift.iter().flat_map(|drift| &drift.largest);
        let shifted: Vec<_> = largest.filter(|s| s.index >= SHIFTED).take(NAMED).collect();
        if !shifted.is_empty() {
            let named: Vec<_> = shifted.iter().map(|s| format!("{} {:.2}", s.of, s.index)).collect();
            text += &format!("\n{} ({}) sees what it did not learn from: {}", model.name, model.role, named.join(", "));
        }
    }
    if list.active.starts_with("vote(") {
        text += &format!("\nactive: {}", list.active);
    }
    text
}

fn row(model: &ServedModel) -> Vec<String> {
    let share = if model.share > 0.0 { percent(model.share) } else { "-".into() };
    let time = |us: f64| if model.rows > 0 { format!("{us:.0} µs") } else { "-".into() };
    let compared = model.alike + model.unlike;
    let alike = if compared > 0 { percent(model.alike as f64 / compared as f64) } else { "-".into() };
    vec![
        model.role.clone(),
        share,
        model.name.clone(),
        model.digest.chars().take(8).collect(),
        model.trust.clone(),
        units::grouped(model.rows),
        units::grouped(model.failures),
        if model.rows > 0 { format!("{:.0}", model.batch_rows) } else { "-".into() },
        time(model.p50_us),
        time(model.p99_us),
        alike,
        model.drift.as_ref().map_or_else(|| "-".into(), indexes),
    ]
}

fn indexes(drift: &Drift) -> String {
    let one = |index: Option<f64>| index.map_or_else(|| "-".into(), |index| format!("{index:.2}"));
    if drift.inputs.is_none() && drift.scores.is_none() {
        return "-".into();
    }
    format!("{} / {}", one(drift.inputs), one(drift.scores))
}

fn percent(share: f64) -> String {
    let text = format!("{:.2}", 100.0 * share);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganglion_proto::v1::Stability;

    #[test]
    fn the_table_names_what_has_shifted() {
        let largest = vec![
            Stability { of: "flow_packets".into(), index: 0.7 },
            Stability { of: "payload_mean_bytes".into(), index: 0.2 },
        ];
        let drift = Drift { rows: 5_000, window_s: 600, inputs: Some(0.7), scores: None, largest };
        let active = ServedModel {
            name: "lab 1".into(),
            digest: "0123456789abcdef".into(),
            role: "active".into(),
            share: 0.95,
            rows: 12_345,
            p50_us: 410.4,
            drift: Some(drift),
            ..ServedModel::default()
        };
        let shadow =
            ServedModel { name: "b 2".into(), role: "shadow".into(), alike: 3, unlike: 1, ..Default::default() };
        let list = ModelList { models: vec![active, shadow], active: "lab 1".into(), can_roll_back: false };
        let text = show(&list);
        for part in ["95 %", "01234567 ", "12 345", "410 µs", "0.70 / -", "75 %", "learn from: flow_packets 0.70"] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
        assert!(!text.contains("payload_mean_bytes"));
        assert_eq!(view(&list)["models"][0]["drift"]["largest"][1]["of"], "payload_mean_bytes");
    }
}
