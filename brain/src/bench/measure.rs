//! The measurements.

use super::Rows;
use crate::model::{Model, ModelError, Scores};
use serde::Serialize;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// Flows that may wait in the open loop.
const QUEUE: usize = 65_536;

/// How fast batches of one size go through.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Throughput {
    /// Rows a second.
    pub rows_per_s: f64,
    /// Half of the batches took no longer, µs.
    pub p50_us: f64,
    /// 99 % of the batches took no longer, µs.
    pub p99_us: f64,
}

/// Batches are put together from columns, scored, and their scores read, one after the other for `time`.
///
/// # Errors
/// When ONNX Runtime fails.
pub fn throughput(model: &mut Model, rows: &Rows, batch: usize, time: Duration) -> Result<Throughput, ModelError> {
    let batch = batch.clamp(1, rows.len().max(1));
    let (mut values, mut scores) = (Vec::new(), Scores::default());
    let mut run = |from: usize| -> Result<(), ModelError> {
        rows.batch(from, batch, &mut values);
        model.score_into(&values, batch, &mut scores)?;
        std::hint::black_box(scores.anomaly(0));
        Ok(())
    };
    // The first ones take memory and wake cores up.
    let (mut from, warm) = (0, Instant::now());
    while warm.elapsed() < time / 10 {
        run(0)?;
    }
    let (mut times_us, began) = (Vec::new(), Instant::now());
    let mut before = Duration::ZERO;
    while before < time {
        run(from)?;
        let now = began.elapsed();
        times_us.push((now - before).as_secs_f64() * 1e6);
        before = now;
        from = if from + 2 * batch <= rows.len() { from + batch } else { 0 };
    }
    let rows_per_s = (times_us.len() * batch) as f64 / before.as_secs_f64();
    times_us.sort_by(f64::total_cmp);
    Ok(Throughput { rows_per_s, p50_us: at_share(&times_us, 0.5), p99_us: at_share(&times_us, 0.99) })
}

/// The value that this share of sorted ones does not exceed.
fn at_share(sorted: &[f64], share: f64) -> f64 {
    let at = sorted.get((sorted.len() as f64 * share) as usize).or(sorted.last());
    at.copied().unwrap_or(f64::NAN)
}

/// Times from when a flow was due to when its scores were there, µs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// Flows a second that were offered, one at a time.
    pub rate_per_s: u64,
    /// Flows.
    pub flows: usize,
    /// Half of them took no longer.
    pub p50_us: f64,
    /// 99 % of them took no longer.
    pub p99_us: f64,
    /// The slowest.
    pub max_us: f64,
}

/// Offers single flows at a steady rate, whether or not the one before is done (an open loop).
///
/// # Errors
/// When ONNX Runtime fails.
pub fn latency(model: &mut Model, rows: &Rows, rate_per_s: u64, time: Duration) -> Result<Latency, ModelError> {
    let flows = (time.as_secs_f64() * rate_per_s as f64) as usize;
    let (sender, receiver) = sync_channel::<(Instant, usize)>(QUEUE);
    let offer = move || {
        let began = Instant::now();
        for flow in 0..flows {
            let due = began + Duration::from_secs_f64(flow as f64 / rate_per_s as f64);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if sender.send((due, flow)).is_err() {
                return;
            }
        }
    };
    let (mut values, mut scores) = (Vec::new(), Scores::default());
    let mut times_us = Vec::with_capacity(flows);
    let failed = std::thread::scope(|scope| {
        scope.spawn(offer);
        for (due, flow) in receiver {
            rows.batch(flow % rows.len().max(1), 1, &mut values);
            model.score_into(&values, 1, &mut scores)?;
            times_us.push(due.elapsed().as_secs_f64() * 1e6);
        }
        Ok::<_, ModelError>(())
    });
    failed?;
    times_us.sort_by(f64::total_cmp);
    let at = |share| at_share(&times_us, share);
    Ok(Latency { rate_per_s, flows: times_us.len(), p50_us: at(0.5), p99_us: at(0.99), max_us: at(1.0) })
}

/// How far two models' answers are apart.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Agreement {
    /// Rows that both scored.
    pub rows: usize,
    /// Share of them for which both say the same class.
    pub same_class: f64,
    /// The largest difference of a probability.
    pub probability_apart: f32,
    /// The largest difference of an anomaly score.
    pub anomaly_apart: f32,
}

/// Scores `rows` by both models, which must read the same columns and know the same classes.
///
/// # Errors
/// When ONNX Runtime fails.
pub fn agreement(one: &mut Model, other: &mut Model, rows: &Rows) -> Result<Agreement, ModelError> {
    const BATCH: usize = 512;
    let mut found = Agreement { rows: rows.len(), same_class: 0.0, probability_apart: 0.0, anomaly_apart: 0.0 };
    let (mut values, mut same) = (Vec::new(), 0_usize);
    for from in (0..rows.len()).step_by(BATCH) {
        let count = BATCH.min(rows.len() - from);
        rows.batch(from, count, &mut values);
        let (a, b) = (one.score_raw(&values, count)?, other.score_raw(&values, count)?);
        for row in 0..count {
            same += usize::from(a.likeliest(row) == b.likeliest(row));
            let apart = a.probabilities(row).iter().zip(b.probabilities(row)).map(|(a, b)| (a - b).abs());
            found.probability_apart = apart.fold(found.probability_apart, f32::max);
            found.anomaly_apart = found.anomaly_apart.max((a.anomaly(row) - b.anomaly(row)).abs());
        }
    }
    found.same_class = same as f64 / rows.len().max(1) as f64;
    Ok(found)
}
