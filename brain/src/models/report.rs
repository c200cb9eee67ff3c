//! What readers are told of each model.

use super::card::Card;
use super::drift::Drift;
use super::layout::Layout;
use prometheus::Histogram;
use prometheus::core::Metric;
use std::sync::Arc;

/// One model in one role.
pub struct Report {
    /// The model.
    pub card: Arc<Card>,
    /// "active", "canary", "shadow" or "previous".
    pub role: &'static str,
    /// Share of the sources that it decides for.
    pub share: f64,
    /// Rows scored.
    pub rows: u64,
    /// Batches it failed on.
    pub failures: u64,
    /// Median time of a batch, µs, by buckets.
    pub p50_us: f64,
    /// 99th percentile of the same.
    pub p99_us: f64,
    /// Rows per batch on average.
    pub batch_rows: f64,
    /// Rows judged as the active seat did, and otherwise.
    pub agreement: (u64, u64),
    /// How far its inputs and scores have moved.
    pub drift: Drift,
}

/// Every model in each of its roles: those who decide first.
pub fn reports(layout: &Layout) -> Vec<Report> {
    let canary_share = layout.now.canary.as_ref().map_or(0.0, |(_, share)| *share);
    let mut all: Vec<_> = layout.now.active.iter().map(|card| report(card, "active", 1.0 - canary_share)).collect();
    let canary = layout.now.canary.iter().flat_map(|(seat, share)| seat.iter().map(move |card| (card, *share)));
    all.extend(canary.map(|(card, share)| report(card, "canary", share)));
    all.extend(layout.shadows.iter().map(|card| report(card, "shadow", 0.0)));
    let previous = layout.previous.iter().flat_map(|before| before.models());
    all.extend(previous.map(|card| report(&card, "previous", 0.0)));
    all
}

fn report(card: &Arc<Card>, role: &'static str, share: f64) -> Report {
    let series = &card.series;
    let batches = series.batch_rows.get_sample_count();
    Report {
        role,
        share,
        rows: series.rows.get(),
        failures: series.failures.get(),
        p50_us: 1e6 * quantile(&series.inference, 0.5),
        p99_us: 1e6 * quantile(&series.inference, 0.99),
        batch_rows: if batches > 0 { series.batch_rows.get_sample_sum() / batches as f64 } else { 0.0 },
        agreement: (series.alike.get(), series.unlike.get()),
        drift: card.drift(),
        card: Arc::clone(card),
    }
}

/// A quantile by linear interpolation within its bucket, as Prometheus' `histogram_quantile` does.
fn quantile(histogram: &Histogram, rank: f64) -> f64 {
    let metric = histogram.metric();
    let histogram = metric.get_histogram();
    let due = rank * histogram.get_sample_count() as f64;
    let (mut below, mut edge) = (0u64, 0.0);
    for bucket in histogram.get_bucket() {
        let (count, upper) = (bucket.cumulative_count(), bucket.upper_bound());
        if count as f64 >= due && count > below {
            return edge + (upper - edge) * (due - below as f64) / (count - below) as f64;
        }
        (below, edge) = (count, upper);
    }
    edge * f64::from(u8::from(histogram.get_sample_count() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::card::tests::named;

    #[test]
    fn quantiles_lie_in_their_buckets() {
        let card = named("a", &[]);
        assert_eq!(quantile(&card.series.inference, 0.5), 0.0);
        for _ in 0..99 {
            card.series.inference.observe(100e-6);
        }
        card.series.inference.observe(5e-3);
        let (p50, p99) = (quantile(&card.series.inference, 0.5), quantile(&card.series.inference, 0.999));
        assert!((80e-6..160e-6).contains(&p50) && (2.56e-3..5.12e-3).contains(&p99), "{p50} {p99}");
    }
}
