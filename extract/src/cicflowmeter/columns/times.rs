//! Rates, gaps between packets, activity and silence.

use super::super::moments::Moments;
use super::super::row::Row;
use super::{Column, Value, float, unless_empty};

macro_rules! figure {
    ($name:literal, $formula:literal, $row:ident => $group:expr, $figure:expr) => {
        float($name, "µs", $formula, |$row| of($group, $figure))
    };
}

pub(super) const GAPS: &[Column] = &[
    float("Flow Bytes/s", "bytes/s", "Σ len, both directions / D; -1 if D = 0", |row| {
        flow_rate(row, row.payload_bytes().sum() as f64)
    }),
    float("Flow Packets/s", "packets/s", "packets / D; -1 if D = 0", |row| flow_rate(row, row.packets() as f64)),
    float("Flow IAT Mean", "µs", "mean gap between consecutive packets", |row| Value::Float(row.gaps_us.mean())),
    float("Flow IAT Std", "µs", "sample standard deviation of the gaps", |row| Value::Float(row.gaps_us.std())),
    float("Flow IAT Max", "µs", "longest gap", |row| Value::Float(row.gaps_us.max() as f64)),
    float("Flow IAT Min", "µs", "shortest gap", |row| Value::Float(row.gaps_us.min() as f64)),
    figure!("Fwd IAT Total", "sum of the gaps between forward packets", row => row.forward.gaps_us, total),
    figure!("Fwd IAT Mean", "mean of the same", row => row.forward.gaps_us, Moments::mean),
    figure!("Fwd IAT Std", "sample standard deviation of the same", row => row.forward.gaps_us, Moments::std),
    figure!("Fwd IAT Max", "longest of the same", row => row.forward.gaps_us, max),
    figure!("Fwd IAT Min", "shortest of the same", row => row.forward.gaps_us, min),
    figure!("Bwd IAT Total", "sum of the gaps between backward packets", row => row.backward.gaps_us, total),
    figure!("Bwd IAT Mean", "mean of the same", row => row.backward.gaps_us, Moments::mean),
    figure!("Bwd IAT Std", "sample standard deviation of the same", row => row.backward.gaps_us, Moments::std),
    figure!("Bwd IAT Max", "longest of the same", row => row.backward.gaps_us, max),
    figure!("Bwd IAT Min", "shortest of the same", row => row.backward.gaps_us, min),
];

pub(super) const RATES: &[Column] = &[
    float("Fwd Packets/s", "packets/s", "forward packets / D; 0 if D = 0", |row| rate(row, row.forward.packets())),
    float("Bwd Packets/s", "packets/s", "backward packets / D; 0 if D = 0", |row| rate(row, row.backward.packets())),
];

pub(super) const ACTIVITY: &[Column] = &[
    figure!("Active Mean", "mean time without a silence above 5 s, if ended by one", row => row.activity.active_us, Moments::mean),
    figure!("Active Std", "sample standard deviation of the same", row => row.activity.active_us, Moments::std),
    figure!("Active Max", "longest of the same", row => row.activity.active_us, max),
    figure!("Active Min", "shortest of the same", row => row.activity.active_us, min),
    figure!("Idle Mean", "mean silence above 5 s", row => row.activity.idle_us, Moments::mean),
    figure!("Idle Std", "sample standard deviation of the same", row => row.activity.idle_us, Moments::std),
    figure!("Idle Max", "longest of the same", row => row.activity.idle_us, max),
    figure!("Idle Min", "shortest of the same", row => row.activity.idle_us, min),
];

fn of(group: Moments, figure: fn(&Moments) -> f64) -> Value {
    unless_empty(group.is_empty(), figure(&group))
}

fn total(group: &Moments) -> f64 {
    group.sum() as f64
}

fn max(group: &Moments) -> f64 {
    group.max() as f64
}

fn min(group: &Moments) -> f64 {
    group.min() as f64
}

fn seconds(row: &Row) -> Option<f64> {
    let duration_us = row.duration_us();
    (duration_us != 0).then_some(duration_us as f64 / 1e6)
}

fn flow_rate(row: &Row, amount: f64) -> Value {
    seconds(row).map_or(Value::Fixed(-1), |seconds| Value::Float(amount / seconds))
}

fn rate(row: &Row, packets: u64) -> Value {
    Value::Float(seconds(row).map_or(0.0, |seconds| packets as f64 / seconds))
}
