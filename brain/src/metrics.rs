//! Everything the brain counts, in Prometheus' text format.
//!
//! At rest: records received = rows + refused + shed + queued.

mod http;
mod models;

pub use http::serve;
pub use models::ModelMetrics;

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// All metrics; one function each would say no more than the help texts do.
pub struct Metrics {
    registry: Registry,
    /// Records that arrived from sensors.
    pub received: IntCounter,
    /// Records that became rows and were scored, by kind.
    pub rows: IntCounterVec,
    /// Records that can't be decoded, by reason.
    pub refused: IntCounterVec,
    /// Records given up, by reason.
    pub shed: IntCounterVec,
    /// Records waiting to be judged.
    pub queued: IntGauge,
    /// Batches scored.
    pub batches: IntCounter,
    /// Rows per batch.
    pub batch_rows: Histogram,
    /// Time in ONNX Runtime per batch, s.
    pub inference: Histogram,
    /// Decisions by class and action.
    pub verdicts: IntCounterVec,
    /// Verdicts that could not be handed to the sensor, by reason.
    pub verdicts_shed: IntCounterVec,
    /// What sensors did with verdicts.
    pub outcomes: IntCounterVec,
    /// Addresses with evidence, all sensors.
    pub subjects: IntGauge,
    /// Entries forgotten because a table was full, by table.
    pub evicted: IntGaugeVec,
    /// Records older than the newest one, by what became of the clock.
    pub time_backward: IntGaugeVec,
    /// Connected sensors.
    pub sensors: IntGauge,
    /// Events that slow readers missed.
    pub events_missed: IntCounter,
    /// Alerts explained.
    pub explanations: IntCounter,
    /// Alerts that were not explained, by reason.
    pub explanations_shed: IntCounterVec,
    /// Time per explanation, s.
    pub explain_time: Histogram,
    /// Whether the model does not run where it was meant to.
    pub provider_fallback: IntGauge,
    /// Model by model.
    pub models: ModelMetrics,
    bundle: IntGaugeVec,
}

struct Maker(Registry);

impl Maker {
    fn register<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.register(IntCounter::new(full(name), help)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.register(IntCounterVec::new(Opts::new(full(name), help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.register(IntGauge::new(full(name), help)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        self.register(IntGaugeVec::new(Opts::new(full(name), help), labels)?)
    }

    fn levels(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, prometheus::Error> {
        self.register(GaugeVec::new(Opts::new(full(name), help), labels)?)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: Vec<f64>,
    ) -> Result<HistogramVec, prometheus::Error> {
        self.register(HistogramVec::new(HistogramOpts::new(full(name), help).buckets(buckets), labels)?)
    }

    fn histogram(&self, name: &str, help: &str, buckets: Vec<f64>) -> Result<Histogram, prometheus::Error> {
        self.register(Histogram::with_opts(HistogramOpts::new(full(name), help).buckets(buckets))?)
    }
}

fn full(name: &str) -> String {
    format!("ganglion_brain_{name}")
}

impl Metrics {
    /// All metrics at zero.
    ///
    /// # Errors
    /// Never, unless two metrics were given one name.
    pub fn new() -> Result<Self, prometheus::Error> {
        let m = Maker(Registry::new());
        let rows = prometheus::exponential_buckets(1.0, 2.0, 9)?;
        let long = prometheus::exponential_buckets(1e-3, 2.0, 11)?;
        let seconds = prometheus::exponential_buckets(20e-6, 2.0, 14)?;
        Ok(Self {
            received: m.counter("records_received_total", "Records that arrived from sensors")?,
            rows: m.counters("rows_total", "Records that became rows and were scored", &["kind"])?,
            refused: m.counters("records_refused_total", "Records that can't be decoded", &["reason"])?,
            shed: m.counters("records_shed_total", "Records given up", &["reason"])?,
            queued: m.gauge("records_queued", "Records waiting to be judged")?,
            batches: m.counter("batches_total", "Batches scored")?,
            batch_rows: m.histogram("batch_rows", "Rows per batch", rows)?,
            inference: m.histogram("inference_seconds", "Time in ONNX Runtime per batch", seconds)?,
            verdicts: m.counters("verdicts_total", "Decisions", &["class", "action"])?,
            verdicts_shed: m.counters("verdicts_shed_total", "Verdicts that no sensor got", &["reason"])?,
            outcomes: m.counters("outcomes_total", "What sensors did with verdicts", &["outcome"])?,
            subjects: m.gauge("subjects", "Addresses with evidence")?,
            evicted: m.gauges("evicted", "Entries forgotten because a table was full", &["table"])?,
            time_backward: m.gauges("time_backward", "Records older than the newest", &["clock"])?,
            sensors: m.gauge("sensors", "Connected sensors")?,
            events_missed: m.counter("events_missed_total", "Events that slow readers missed")?,
            explanations: m.counter("explanations_total", "Alerts explained")?,
            explanations_shed: m.counters("explanations_shed_total", "Alerts not explained", &["reason"])?,
            explain_time: m.histogram("explain_seconds", "Time per explanation", long)?,
            provider_fallback: m.gauge("provider_fallback", "1: a GPU was asked for, and the model runs on the CPU")?,
            models: ModelMetrics::new(&m)?,
            bundle: m.gauges("bundle_info", "The bundle in use", &["bundle", "trust", "provider"])?,
            registry: m.0,
        })
    }

    /// Names the bundle in use.
    pub fn set_bundle(&self, name: &str, trust: &str, provider: &str) {
        self.bundle.reset();
        self.bundle.with_label_values(&[name, trust, provider]).set(1);
    }

    /// Sum over all labels.
    pub fn total(of: &IntCounterVec) -> u64 {
        let families = of.collect();
        families.iter().flat_map(|family| family.get_metric()).map(|m| m.get_counter().get_value() as u64).sum()
    }

    /// All of them as text.
    ///
    /// # Errors
    /// When a value can't be encoded.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
