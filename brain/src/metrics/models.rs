//! What is counted model by model. Labels are a bundle's "id version" and the first digits of its manifest's digest; a
//! model's series go with it, so their number is bounded by that of the models served.

use super::Maker;
use prometheus::{GaugeVec, HistogramVec, IntCounter, IntCounterVec};

/// The families.
pub struct ModelMetrics {
    /// Share of the flows that a model decides, by role.
    pub role: GaugeVec,
    /// Rows scored.
    pub rows: IntCounterVec,
    /// Batches that a model failed on.
    pub failures: IntCounterVec,
    /// Time in ONNX Runtime per batch, s.
    pub inference: HistogramVec,
    /// Rows per batch.
    pub batch_rows: HistogramVec,
    /// Probability given to each class.
    pub probability: HistogramVec,
    /// Anomaly score, in units of the bundle's threshold.
    pub anomaly: HistogramVec,
    /// Rows on which a model that does not decide would have said the same, or not.
    pub agreement: IntCounterVec,
    /// Population stability index of an input or score.
    pub stability: GaugeVec,
    /// The largest of them, of inputs and of scores.
    pub stability_max: GaugeVec,
    /// Rows that histograms, shadows and drift left out, because scoring goes first.
    pub unobserved: IntCounter,
    /// Changes of who decides, by what was asked and what came of it.
    pub changes: IntCounterVec,
}

/// Shares of one, finer at both ends.
const PROBABILITY: [f64; 11] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0];
/// Multiples of the threshold.
const ANOMALY: [f64; 9] = [0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0, 8.0];

impl ModelMetrics {
    pub(super) fn new(m: &Maker) -> Result<Self, prometheus::Error> {
        let of = |more: &[&'static str]| [&["model", "digest"], more].concat();
        let sizes = prometheus::exponential_buckets(1.0, 2.0, 9)?;
        let seconds = prometheus::exponential_buckets(20e-6, 2.0, 14)?;
        let (probability, anomaly) = (PROBABILITY.to_vec(), ANOMALY.to_vec());
        Ok(Self {
            role: m.levels("model_share", "Share of the flows that a model decides", &of(&["role", "trust"]))?,
            rows: m.counters("model_rows_total", "Rows that a model scored", &of(&[]))?,
            failures: m.counters("model_failures_total", "Batches that a model failed on", &of(&[]))?,
            inference: m.histograms("model_inference_seconds", "Time per batch", &of(&[]), seconds)?,
            batch_rows: m.histograms("model_batch_rows", "Rows per batch", &of(&[]), sizes)?,
            probability: m.histograms("model_probability", "Given to each class", &of(&["class"]), probability)?,
            anomaly: m.histograms("model_anomaly_ratio", "Anomaly score by threshold", &of(&[]), anomaly)?,
            agreement: m.counters("model_agreement_total", "Rows judged alike by who decides", &of(&["alike"]))?,
            stability: m.levels("model_stability_index", "Population stability index", &of(&["of"]))?,
            stability_max: m.levels("model_stability_index_max", "The largest one", &of(&["kind"]))?,
            unobserved: m.counter("model_rows_unobserved_total", "Rows that histograms and shadows left out")?,
            changes: m.counters("model_changes_total", "Changes of models", &["change", "result"])?,
        })
    }
}
