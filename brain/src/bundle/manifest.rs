//! `manifest.json`, field by field.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a bundle says of itself. Unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Layout of this file; 1.
    pub format: u32,
    /// Name of the bundle: lower-case letters, digits, dashes.
    pub id: String,
    /// Its version.
    pub version: String,
    /// "classifier".
    pub kind: String,
    /// Rules by which packets become flows; "ganglion".
    pub profile: String,
    /// The model's input columns, in order, by their names in the feature table.
    pub features: Vec<String>,
    /// Class number of each column of `probabilities`, in order.
    pub classes: Vec<u32>,
    /// Where scores begin to mean something.
    pub thresholds: Thresholds,
    /// Reference quantiles by feature name, for drift.
    #[serde(default)]
    pub quantiles: BTreeMap<String, Vec<f64>>,
    /// Background rows for explanations, in the order of `features`.
    #[serde(default)]
    pub background: Vec<Vec<f32>>,
    /// Rows with the answers that the model must give.
    pub self_test: SelfTest,
    /// How good the model was found to be.
    #[serde(default)]
    pub metrics: serde_json::Value,
    /// How it was made.
    #[serde(default)]
    pub training: serde_json::Value,
    /// SHA-256 in hex by file name; `model.onnx` at least.
    pub digests: BTreeMap<String, String>,
    /// Always null: a signature stands beside the manifest, in `manifest.sig`.
    #[serde(default)]
    pub signature: Option<serde_json::Value>,
}

/// Where scores begin to mean something.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Anomaly scores from here on are unusual.
    pub anomaly: f32,
}

/// Rows with the answers that the model must give.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfTest {
    /// Inputs, in the order of `features`.
    pub rows: Vec<Vec<f32>>,
    /// Per row, in the order of `classes`.
    pub probabilities: Vec<Vec<f32>>,
    /// Per row.
    pub anomaly: Vec<f32>,
}

impl Manifest {
    /// "id version", as in events.
    pub fn name(&self) -> String {
        format!("{} {}", self.id, self.version)
    }
}
