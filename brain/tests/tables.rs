//! A bundle of CICFlowMeter's columns: not for live flows; explained as the `shap` package explains it; run on the CPU
//! where a GPU was asked for and none is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use ganglion_brain::bundle::Bundle;
use ganglion_brain::class;
use ganglion_brain::explain::{Budget, Source};
use ganglion_brain::model::{Preference, Provider, Settings};
use std::path::{Path, PathBuf};
use std::time::Duration;

const LONG: Budget = Budget { time: Duration::from_secs(60), rounds: 150, batch_rows: 4_096 };

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables")
}

fn open(settings: &Settings) -> Bundle {
    Bundle::open(&folder(), settings).unwrap()
}

#[test]
fn it_is_refused_for_live_flows() {
    let error = Bundle::load(&folder()).unwrap_err().to_string();
    assert!(error.contains("capture files and tables, not for live flows"), "{error}");
    let mut bundle = open(&Settings::default());
    assert!(!bundle.is_live());
    let error = bundle.model.score(&[ganglion_features::Context::default().observe(&record())]).unwrap_err();
    assert!(error.to_string().contains("not for live flows"), "{error}");
}

fn record() -> ganglion_flow::record::Record {
    use ganglion_flow::Wire;
    ganglion_flow::record::Record::Flow(ganglion_flow::record::FlowRecord::ZERO)
}

#[test]
fn features_that_name_hosts_are_refused() {
    let copy = tempfile::tempdir().unwrap();
    for name in ["model.onnx", "manifest.json"] {
        std::fs::copy(folder().join(name), copy.path().join(name)).unwrap();
    }
    let manifest = copy.path().join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("\"Flow Duration\"", "\"Dst Port\"")).unwrap();
    let error = Bundle::open(copy.path(), &Settings::default()).unwrap_err().to_string();
    assert!(error.contains("other features") && error.contains("Dst Port"), "{error}");
}

#[test]
fn shares_are_those_of_the_shap_package() {
    let text = std::fs::read_to_string(folder().join("shap.json")).unwrap();
    let due: serde_json::Value = serde_json::from_str(&text).unwrap();
    let numbers = |value: &serde_json::Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    };
    let mut source = Source::of(&open(&Settings::default()), LONG).unwrap().expect("it has background rows");
    let rows = due["rows"].as_array().unwrap();
    assert!(rows.len() >= 5);
    for (at, row) in rows.iter().enumerate() {
        let row: Vec<f32> = numbers(row).into_iter().map(|value| value as f32).collect();
        let class = class::from_number(due["classes"][at].as_u64().unwrap() as u32).unwrap();
        let found = source.shares(&row, class).unwrap().unwrap();
        assert!((found.base - due["base"][at].as_f64().unwrap()).abs() < 1e-5);
        assert!((found.shares.iter().sum::<f64>() - (found.value - found.base)).abs() < 1e-6);
        let exact = numbers(&due["values"][at]);
        let largest = |values: &[f64]| (0..values.len()).max_by(|a, b| values[*a].abs().total_cmp(&values[*b].abs()));
        assert_eq!(largest(&found.shares), largest(&exact), "row {at}");
        for (feature, (sampled, exact)) in found.shares.iter().zip(&exact).enumerate() {
            assert!((sampled - exact).abs() < 0.01, "row {at}, feature {feature}: {sampled} where {exact} is due");
        }
    }
}

#[test]
fn an_explanation_names_features_and_adds_up() {
    let mut bundle = open(&Settings::default());
    let row = bundle.manifest.self_test.rows[1].clone();
    let column = bundle.model.score_raw(&row, 1).unwrap().likeliest(0).unwrap();
    let class = bundle.model.classes()[column];
    let mut source = Source::of(&bundle, Budget::default()).unwrap().unwrap();
    let found = source.explain(&row, class).unwrap().unwrap();
    let sum: f32 = found.top.iter().map(|one| one.contribution).sum::<f32>() + found.rest;
    assert!((sum - (found.value - found.base)).abs() < 1e-4, "{found:?}");
    assert!(!found.top.is_empty() && found.top.iter().all(|one| bundle.manifest.features.contains(&one.feature)));
    assert!(found.top.is_sorted_by(|a, b| a.contribution.abs() >= b.contribution.abs()));
    assert_eq!(found.bundle_id, "test-tables 1");
}

#[test]
fn two_sessions_say_what_one_says() {
    let mut one = open(&Settings::single());
    let mut two = open(&Settings { sessions: 2, ..Settings::single() });
    let rows: Vec<f32> = one.manifest.background.iter().cycle().take(501).flatten().copied().collect();
    for count in [1, 63, 64, 65, 501] {
        let values = &rows[..count * one.manifest.features.len()];
        let (a, b) = (one.model.score_raw(values, count).unwrap(), two.model.score_raw(values, count).unwrap());
        assert_eq!((a.rows(), b.rows()), (count, count));
        for row in 0..count {
            assert_eq!(
                (a.probabilities(row), a.anomaly(row)),
                (b.probabilities(row), b.anomaly(row)),
                "{row} of {count}"
            );
        }
    }
}

#[test]
fn single_rows_are_scored_as_in_batches() {
    let mut bundle = open(&Settings::single());
    let rows = bundle.manifest.self_test.rows.clone();
    let all = bundle.model.score_raw(&rows.concat(), rows.len()).unwrap();
    // Bound memory is used again: a row must never get the answer of the one before.
    for at in (0..rows.len()).chain((0..rows.len()).rev()) {
        let one = bundle.model.score_raw(&rows[at], 1).unwrap();
        assert_eq!(one.rows(), 1);
        let apart = one.probabilities(0).iter().zip(all.probabilities(at)).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f32::max) < 1e-5, "row {at}");
        assert!((one.anomaly(0) - all.anomaly(at)).abs() < 1e-4 * all.anomaly(at).abs().max(1.0), "row {at}");
    }
    let error = bundle.model.score_raw(&rows[0][1..], 1).unwrap_err().to_string();
    assert!(error.contains("values, ") && error.contains("are due"), "{error}");
}

#[test]
fn where_no_gpu_can_be_used_the_cpu_is_and_it_is_said() {
    for (provider, words) in [(Preference::Cuda, ["CUDA"].as_slice()), (Preference::TensorRt, &["TensorRT", "CUDA"])] {
        let mut bundle = open(&Settings { provider, ..Settings::default() });
        if bundle.model.provider() != Provider::Cpu {
            println!("this machine has a GPU that ONNX Runtime uses: {:?}", bundle.model.provider());
            continue;
        }
        let why = bundle.model.fallback().expect("why not").to_owned();
        assert!(words.iter().all(|word| why.contains(&format!("{word} can't be used"))), "{why}");
        let row = bundle.manifest.self_test.rows[0].clone();
        assert_eq!(bundle.model.score_raw(&row, 1).unwrap().rows(), 1);
    }
    let cpu = open(&Settings { provider: Preference::Cpu, ..Settings::default() });
    assert_eq!((cpu.model.provider(), cpu.model.fallback()), (Provider::Cpu, None));
}
