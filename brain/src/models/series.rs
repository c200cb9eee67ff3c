//! One model's series in the metrics: made with the model, removed with it.

use super::drift::Drift;
use crate::class;
use crate::metrics::Metrics;
use ganglion_proto::v1::TrafficClass;
use prometheus::{Histogram, IntCounter};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Digits of the digest in labels.
const DIGITS: usize = 8;

/// Counts the holders of each label pair: a model that is loaded anew while it goes keeps its series.
#[derive(Clone, Default)]
pub(super) struct Registrar(Arc<Mutex<HashMap<(String, String), usize>>>);

/// One model's series.
pub struct Series {
    metrics: Arc<Metrics>,
    registrar: Registrar,
    labels: (String, String),
    classes: Vec<TrafficClass>,
    /// What drift is exported of.
    watched: Vec<String>,
    /// Rows scored.
    pub rows: IntCounter,
    /// Batches it failed on.
    pub failures: IntCounter,
    /// Time per batch, s.
    pub inference: Histogram,
    /// Rows per batch.
    pub batch_rows: Histogram,
    /// By column of the probabilities.
    pub probability: Vec<Histogram>,
    /// Anomaly score by threshold.
    pub anomaly: Histogram,
    /// Rows judged as who decides judged them.
    pub alike: IntCounter,
    /// Rows judged otherwise.
    pub unlike: IntCounter,
}

impl Series {
    pub(super) fn new(
        metrics: &Arc<Metrics>,
        registrar: &Registrar,
        (name, digest): (&str, &str),
        classes: &[TrafficClass],
        watched: Vec<String>,
    ) -> Self {
        let labels = (name.to_owned(), digest.chars().take(DIGITS).collect::<String>());
        let mut held = registrar.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held.entry(labels.clone()).or_default() += 1;
        let of = [labels.0.as_str(), labels.1.as_str()];
        let models = &metrics.models;
        let by_class =
            |class: &TrafficClass| models.probability.with_label_values(&[of[0], of[1], class::label(*class)]);
        Self {
            rows: models.rows.with_label_values(&of),
            failures: models.failures.with_label_values(&of),
            inference: models.inference.with_label_values(&of),
            batch_rows: models.batch_rows.with_label_values(&of),
            probability: classes.iter().map(by_class).collect(),
            anomaly: models.anomaly.with_label_values(&of),
            alike: models.agreement.with_label_values(&[of[0], of[1], "yes"]),
            unlike: models.agreement.with_label_values(&[of[0], of[1], "no"]),
            metrics: Arc::clone(metrics),
            registrar: registrar.clone(),
            classes: classes.to_vec(),
            watched,
            labels,
        }
    }

    /// Label values: name and digest.
    pub(super) fn labels(&self) -> [&str; 2] {
        [&self.labels.0, &self.labels.1]
    }

    pub(super) fn set_drift(&self, drift: &Drift) {
        let (models, [name, digest]) = (&self.metrics.models, self.labels());
        for stability in &drift.all {
            models.stability.with_label_values(&[name, digest, &stability.of]).set(stability.index);
        }
        for (kind, value) in [("input", drift.inputs), ("score", drift.scores)] {
            if let Some(value) = value {
                models.stability_max.with_label_values(&[name, digest, kind]).set(value);
            }
        }
    }

    fn remove(&self) {
        let (models, [name, digest]) = (&self.metrics.models, self.labels());
        // A series that never was is gone already.
        let of = [name, digest];
        let _ = models.rows.remove_label_values(&of);
        let _ = models.failures.remove_label_values(&of);
        let _ = models.inference.remove_label_values(&of);
        let _ = models.batch_rows.remove_label_values(&of);
        let _ = models.anomaly.remove_label_values(&of);
        for class in &self.classes {
            let _ = models.probability.remove_label_values(&[name, digest, class::label(*class)]);
        }
        for last in ["yes", "no"] {
            let _ = models.agreement.remove_label_values(&[name, digest, last]);
        }
        for kind in ["input", "score"] {
            let _ = models.stability_max.remove_label_values(&[name, digest, kind]);
        }
        for of in &self.watched {
            let _ = models.stability.remove_label_values(&[name, digest, of]);
        }
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        let registrar = self.registrar.clone();
        let mut held = registrar.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = held.get_mut(&self.labels).map_or(0, |count| {
            *count -= 1;
            *count
        });
        if left == 0 {
            held.remove(&self.labels);
            self.remove();
        }
    }
}
