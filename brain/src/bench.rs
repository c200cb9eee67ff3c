//! How many rows a second can be derived and scored on this machine, one thread each.

use crate::bundle::{Bundle, BundleError};
use ganglion_features::{COUNT, Context, Row};
use ganglion_flow::key::mix;
use ganglion_flow::record::{FlowRecord, Record, RecordHeader, RecordKind};
use ganglion_flow::state::status;
use ganglion_flow::{Addr, FlowKey, FlowState, Hook, Reason, Stage, Wire};
use serde::Serialize;
use std::fmt;
use std::path::Path;
use std::time::Instant;

/// Batch sizes that are tried.
const SIZES: [usize; 4] = [1, 16, 64, 256];

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Throughput {
    /// "id version" of the bundle.
    pub bundle: String,
    /// Features derived per row.
    pub features: usize,
    /// Records → rows, rows per second.
    pub derive_per_s: f64,
    /// Rows → scores, by batch size: rows per second.
    pub score_per_s: Vec<(usize, f64)>,
}

/// Derives and scores `rows` made-up flows of 4 096 addresses with the bundle in `folder`.
///
/// # Errors
/// When the bundle can't be used.
pub fn throughput(folder: &Path, rows: usize) -> Result<Throughput, BundleError> {
    let mut bundle = Bundle::load(folder)?;
    let records: Vec<_> = (0..rows as u64).map(record).collect();
    let mut context = Context::default();
    let began = Instant::now();
    let rows: Vec<Row> = records.iter().map(|record| context.observe(record)).collect();
    let derive_per_s = rows.len() as f64 / began.elapsed().as_secs_f64();
    let id = bundle.manifest.id.clone();
    let mut score_per_s = Vec::new();
    for size in SIZES {
        let began = Instant::now();
        for batch in rows.chunks(size) {
            bundle.model.score(batch).map_err(|source| BundleError::Model { id: id.clone(), source })?;
        }
        score_per_s.push((size, rows.len() as f64 / began.elapsed().as_secs_f64()));
    }
    Ok(Throughput { bundle: bundle.name(), features: COUNT, derive_per_s, score_per_s })
}

/// A flow record with plausible, varied figures.
fn record(n: u64) -> Record {
    let random = mix(n, 0x5bd1_e995_9e37_79b9);
    let client = Addr::v4(0xc612_0000 | (random & 0xfff) as u32);
    let (key, is_a) = FlowKey::new(client, Addr::v4(0xc613_0001), (random >> 16) as u16, 443, 6, 0);
    let time_us = 1_000_000 + n * 100;
    let mut state = FlowState::ZERO;
    state.status = if is_a { status::INITIATOR_IS_A } else { 0 } | status::ESTABLISHED;
    state.first_us = time_us - (random >> 40) % 900_000;
    state.last_us = time_us;
    for (direction, shift) in [(&mut state.fwd, 8), (&mut state.bwd, 24)] {
        let packets = 2 + (random >> shift) % 60;
        direction.packets = packets;
        direction.arrivals = packets as u32;
        direction.payload_bytes = packets * 600;
        direction.payload_sq_bytes2 = packets * 500_000;
        direction.wire_bytes = packets * 660;
        direction.payload_max = 1_460;
        direction.first_us = time_us - 1_000;
        direction.last_us = time_us;
    }
    let header = RecordHeader::new(RecordKind::Flow, Stage::End, Reason::Fin, Hook::Xdp, time_us);
    Record::Flow(FlowRecord { header, key, state })
}

impl fmt::Display for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "bundle {}", self.bundle)?;
        writeln!(f, "derive {:>6} features  {:>10.0} rows/s", self.features, self.derive_per_s)?;
        for (size, per_s) in &self.score_per_s {
            writeln!(f, "score  batch of {size:>4}   {per_s:>10.0} rows/s")?;
        }
        Ok(())
    }
}
