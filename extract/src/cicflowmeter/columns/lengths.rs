//! Payload bytes: by packet, by bulk, by subflow.

use super::super::moments::Moments;
use super::super::row::Row;
use super::{Column, Value, float, ratio, unless_empty};

/// Max, min, mean and standard deviation of one direction.
macro_rules! by_direction {
    ($direction:ident, $max:literal, $min:literal, $mean:literal, $std:literal) => {
        [
            float($max, "bytes", concat!("max len, ", stringify!($direction)), |row| {
                of(row.$direction.payload_bytes, |len| len.max() as f64)
            }),
            float($min, "bytes", concat!("min len, ", stringify!($direction)), |row| {
                of(row.$direction.payload_bytes, |len| len.min() as f64)
            }),
            float($mean, "bytes", concat!("mean len, ", stringify!($direction)), |row| {
                of(row.$direction.payload_bytes, |len| len.mean())
            }),
            float($std, "bytes", concat!("sample standard deviation of len, ", stringify!($direction)), |row| {
                of(row.$direction.payload_bytes, |len| len.std())
            }),
        ]
    };
}

const FORWARD: [Column; 4] = by_direction!(
    forward,
    "Fwd Packet Length Max",
    "Fwd Packet Length Min",
    "Fwd Packet Length Mean",
    "Fwd Packet Length Std"
);
const BACKWARD: [Column; 4] = by_direction!(
    backward,
    "Bwd Packet Length Max",
    "Bwd Packet Length Min",
    "Bwd Packet Length Mean",
    "Bwd Packet Length Std"
);

pub(super) const BY_DIRECTION: &[Column] = &[
    float("Total Length of Fwd Packet", "bytes", "Σ len, forward", |row| {
        Value::Float(bytes(row.forward.payload_bytes))
    }),
    float("Total Length of Bwd Packet", "bytes", "Σ len, backward", |row| {
        Value::Float(bytes(row.backward.payload_bytes))
    }),
    FORWARD[0],
    FORWARD[1],
    FORWARD[2],
    FORWARD[3],
    BACKWARD[0],
    BACKWARD[1],
    BACKWARD[2],
    BACKWARD[3],
];

pub(super) const BOTH: &[Column] = &[
    float("Packet Length Min", "bytes", "min len, both directions", |row| {
        Value::Float(row.payload_bytes().min() as f64)
    }),
    float("Packet Length Max", "bytes", "max len, both directions", |row| {
        Value::Float(row.payload_bytes().max() as f64)
    }),
    float("Packet Length Mean", "bytes", "mean len, both directions", |row| Value::Float(row.payload_bytes().mean())),
    float("Packet Length Std", "bytes", "sample standard deviation of len, both directions", |row| {
        Value::Float(row.payload_bytes().std())
    }),
    float("Packet Length Variance", "bytes²", "sample variance of len, both directions", |row| {
        Value::Float(row.payload_bytes().variance())
    }),
];

pub(super) const AVERAGES: &[Column] = &[
    float("Down/Up Ratio", "", "backward packets / forward packets; 0 without forward packets", |row| {
        ratio(row.backward.packets(), row.forward.packets())
    }),
    float("Average Packet Size", "bytes", "Σ len / packets", |row| Value::Float(row.payload_bytes().mean())),
    float("Fwd Segment Size Avg", "bytes", "Σ len / packets, forward", |row| {
        Value::Float(row.forward.payload_bytes.mean())
    }),
    float("Bwd Segment Size Avg", "bytes", "Σ len / packets, backward", |row| {
        Value::Float(row.backward.payload_bytes.mean())
    }),
];

pub(super) const BULKS_AND_SUBFLOWS: &[Column] = &[
    float("Fwd Bytes/Bulk Avg", "bytes", "bytes in bulks / bulks, forward", |row| {
        Value::Float(row.forward.bulk.bytes_mean())
    }),
    float("Fwd Packet/Bulk Avg", "packets", "packets in bulks / bulks, forward", |row| {
        Value::Float(row.forward.bulk.packets_mean())
    }),
    float("Fwd Bulk Rate Avg", "bytes/s", "bytes in bulks / time in bulks, forward", |row| {
        Value::Float(row.forward.bulk.rate_bytes_per_s())
    }),
    float("Bwd Bytes/Bulk Avg", "bytes", "bytes in bulks / bulks, backward", |row| {
        Value::Float(row.backward.bulk.bytes_mean())
    }),
    float("Bwd Packet/Bulk Avg", "packets", "packets in bulks / bulks, backward", |row| {
        Value::Float(row.backward.bulk.packets_mean())
    }),
    float("Bwd Bulk Rate Avg", "bytes/s", "bytes in bulks / time in bulks, backward", |row| {
        Value::Float(row.backward.bulk.rate_bytes_per_s())
    }),
    float("Subflow Fwd Packets", "packets", "forward packets / S; 0 if S = 0", |row| {
        ratio(row.forward.packets(), row.subflow_boundaries)
    }),
    float("Subflow Fwd Bytes", "bytes", "Σ len, forward / S; 0 if S = 0", |row| {
        by_subflow(row, row.forward.payload_bytes)
    }),
    float("Subflow Bwd Packets", "packets", "backward packets / S; 0 if S = 0", |row| {
        ratio(row.backward.packets(), row.subflow_boundaries)
    }),
    float("Subflow Bwd Bytes", "bytes", "Σ len, backward / S; 0 if S = 0", |row| {
        by_subflow(row, row.backward.payload_bytes)
    }),
];

fn of(len: Moments, figure: fn(&Moments) -> f64) -> Value {
    unless_empty(len.is_empty(), figure(&len))
}

fn bytes(len: Moments) -> f64 {
    len.sum() as f64
}

fn by_subflow(row: &Row, len: Moments) -> Value {
    ratio(len.sum().unsigned_abs(), row.subflow_boundaries)
}
