//! The model on the bundle's own rows: finite, sums of one, the answers it had when it was made.

use super::{BundleError, Manifest, SelfTest};
use crate::model::Model;

/// How far an answer may lie from the noted one.
const TOLERANCE: f32 = 1e-3;

pub(super) fn run(manifest: &Manifest, model: &mut Model) -> Result<(), BundleError> {
    let failed = |why: String| BundleError::SelfTest { id: manifest.id.clone(), why };
    let test = &manifest.self_test;
    shapes(test, manifest.features.len(), manifest.classes.len()).map_err(failed)?;
    let rows = test.rows.len();
    let scores = model.score_raw(&test.rows.concat(), rows).map_err(|error| failed(error.to_string()))?;
    // A batch of another size must pass too: exporters like to freeze the batch dimension.
    let first = model.score_raw(&test.rows[0], 1).map_err(|error| failed(error.to_string()))?;
    compare(test, 0, first.probabilities(0), first.anomaly(0)).map_err(failed)?;
    for row in 0..rows {
        compare(test, row, scores.probabilities(row), scores.anomaly(row)).map_err(failed)?;
    }
    Ok(())
}

fn shapes(test: &SelfTest, features: usize, classes: usize) -> Result<(), String> {
    if test.rows.is_empty() {
        return Err("it has no rows".into());
    }
    if test.probabilities.len() != test.rows.len() || test.anomaly.len() != test.rows.len() {
        return Err("rows, probabilities and anomaly differ in length".into());
    }
    if let Some(row) = test.rows.iter().position(|row| row.len() != features) {
        return Err(format!("row {row} has {} values for {features} features", test.rows[row].len()));
    }
    if let Some(row) = test.probabilities.iter().position(|row| row.len() != classes) {
        return Err(format!("row {row} has {} probabilities for {classes} classes", test.probabilities[row].len()));
    }
    Ok(())
}

fn compare(test: &SelfTest, row: usize, probabilities: &[f32], anomaly: f32) -> Result<(), String> {
    if !anomaly.is_finite() || probabilities.iter().any(|p| !p.is_finite()) {
        return Err(format!("NaN or infinity on row {row}"));
    }
    let sum: f32 = probabilities.iter().sum();
    if (sum - 1.0).abs() > TOLERANCE {
        return Err(format!("probabilities of row {row} sum up to {sum}"));
    }
    let (expected, noted) = (&test.probabilities[row], test.anomaly[row]);
    // The noted answer may be NaN; the model's was found finite.
    let apart = |a: f32, b: f32| b.is_nan() || (a - b).abs() > TOLERANCE * b.abs().max(1.0);
    if let Some(column) = (0..expected.len()).find(|column| apart(probabilities[*column], expected[*column])) {
        let (found, expected) = (probabilities[column], expected[column]);
        return Err(format!("row {row}, class column {column}: {found} where {expected} is due"));
    }
    if apart(anomaly, noted) {
        return Err(format!("row {row}: anomaly {anomaly} where {noted} is due"));
    }
    Ok(())
}
