//! Records → rows of the feature table.

use super::flow;
use ganglion_features::Context;
use ganglion_flow::record::Record;
use std::time::Instant;

/// Between two made-up flows, µs.
const EVERY_US: u64 = 100;

/// Rows a second that are derived, context included, from made-up flows.
pub fn derived_per_s(rows: usize) -> f64 {
    let records: Vec<_> = (0..rows as u64).map(|n| Record::Flow(flow(n, EVERY_US))).collect();
    let mut context = Context::default();
    let began = Instant::now();
    for record in &records {
        std::hint::black_box(context.observe(record));
    }
    rows as f64 / began.elapsed().as_secs_f64()
}
