//! Bundles that are missing, cut, tampered with, made for other features, or yield NaN: one clear line each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use ganglion_brain::bundle::{Bundle, Trust};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

/// The test bundle with changes to its manifest.
fn bundle(change: impl FnOnce(&mut Value)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(TESTS).join("bundle");
    fs::copy(source.join("model.onnx"), folder.path().join("model.onnx")).unwrap();
    let mut manifest = serde_json::from_slice(&fs::read(source.join("manifest.json")).unwrap()).unwrap();
    change(&mut manifest);
    fs::write(folder.path().join("manifest.json"), manifest.to_string()).unwrap();
    folder
}

/// The test bundle with another model, digest corrected.
fn with_model(name: &str) -> TempDir {
    let onnx = fs::read(Path::new(TESTS).join("broken").join(name)).unwrap();
    let digest: String = Sha256::digest(&onnx).iter().map(|byte| format!("{byte:02x}")).collect();
    let folder = bundle(|manifest| manifest["digests"]["model.onnx"] = json!(digest));
    fs::write(folder.path().join("model.onnx"), onnx).unwrap();
    folder
}

#[track_caller]
fn refused(folder: &Path, words: &[&str]) {
    let error = Bundle::load(folder).unwrap_err().to_string();
    println!("{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    for word in words {
        assert!(error.contains(word), "no \"{word}\" in: {error}");
    }
}

#[test]
fn the_test_bundle_loads_and_describes_itself() {
    let folder = Path::new(TESTS).join("bundle");
    let loaded = Bundle::load(&folder).unwrap();
    assert_eq!((&loaded.trust, loaded.name().as_str()), (&Trust::Unsigned, "test-tiny 1"));
    let text = ganglion_brain::describe(&folder).unwrap().to_string();
    println!("{text}");
    assert!(text.contains("UNSIGNED") && text.contains("4 rows passed") && text.contains("PortScan"));
}

#[test]
fn missing_files_are_named() {
    refused(Path::new("/nowhere"), &["/nowhere/manifest.json", "No such file"]);
    let folder = bundle(|_| ());
    fs::remove_file(folder.path().join("model.onnx")).unwrap();
    refused(folder.path(), &["model.onnx", "No such file"]);
}

#[test]
fn a_cut_or_changed_file_is_noticed() {
    let folder = bundle(|_| ());
    let model = folder.path().join("model.onnx");
    let mut bytes = fs::read(&model).unwrap();
    bytes.pop();
    fs::write(&model, bytes).unwrap();
    refused(folder.path(), &["model.onnx", "tampered", "SHA-256"]);
    let manifest = folder.path().join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, &text[..text.len() / 2]).unwrap();
    refused(folder.path(), &["manifest.json", "line", "column"]);
}

#[test]
fn other_features_are_refused() {
    refused(bundle(|m| m["features"][0] = json!("phase_of_moon")).path(), &["other features", "phase_of_moon"]);
    refused(bundle(|m| m["features"][0] = m["features"][1].clone()).path(), &["twice", "protocol_icmp"]);
    let fewer = bundle(|m| {
        m["features"].as_array_mut().unwrap().pop();
    });
    refused(fewer.path(), &["features", "[N, 5] is due"]);
    refused(bundle(|m| m["features"] = json!([])).path(), &["no features"]);
}

#[test]
fn classes_and_kinds_are_checked() {
    refused(bundle(|m| m["classes"][0] = json!(10)).path(), &["class 10"]);
    refused(bundle(|m| m["classes"] = json!([1, 1, 2, 3])).path(), &["class 1 stands twice"]);
    refused(bundle(|m| m["classes"] = json!([1, 2, 3])).path(), &["probabilities", "[N, 3] is due"]);
    refused(bundle(|m| m["kind"] = json!("oracle")).path(), &["oracle", "classifier"]);
    refused(bundle(|m| m["profile"] = json!("netflow")).path(), &["netflow", "ganglion", "cicflowmeter"]);
    // Columns of the feature table are no columns of CICFlowMeter's.
    refused(bundle(|m| m["profile"] = json!("cicflowmeter")).path(), &["other features", "protocol_icmp"]);
    refused(bundle(|m| m["format"] = json!(7)).path(), &["format 7"]);
    refused(bundle(|m| m["colour"] = json!("red")).path(), &["manifest.json", "colour"]);
    refused(bundle(|m| m["digests"] = json!({})).path(), &["no digest"]);
}

#[test]
fn a_model_off_the_contract_is_refused() {
    refused(with_model("no_anomaly.onnx").path(), &["contract", "\"anomaly\"", "strangeness"]);
    let folder = bundle(|m| m["digests"]["model.onnx"] = json!(format!("{:x}", Sha256::digest(b"junk"))));
    fs::write(folder.path().join("model.onnx"), "junk").unwrap();
    refused(folder.path(), &["ONNX Runtime"]);
}

#[test]
fn the_self_test_finds_nan_and_drift() {
    refused(with_model("nan.onnx").path(), &["self-test", "NaN", "row 0"]);
    refused(bundle(|m| m["self_test"]["probabilities"][1][0] = json!(0.5)).path(), &["self-test", "row 1", "0.5"]);
    refused(bundle(|m| m["self_test"]["anomaly"][2] = json!(0.5)).path(), &["self-test", "anomaly", "row 2"]);
    refused(bundle(|m| m["self_test"]["rows"] = json!([])).path(), &["self-test"]);
    refused(bundle(|m| m["self_test"]["rows"][0] = json!([1.0])).path(), &["self-test", "row 0 has 1 values"]);
}
