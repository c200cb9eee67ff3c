//! Records of all shards, put in order and dealt out in batches.

use std::collections::VecDeque;

use ganglion_features::{Context, Surroundings};
use ganglion_flow::FlowKey;
use ganglion_flow::record::FlowRecord;

use super::Options;
use super::columns::Records;

/// Rows of a batch; the last one has fewer.
const BATCH_ROWS: usize = 8_192;

/// Takes the records of one piece of the capture after the other.
pub(super) struct Rows {
    context: Option<Context>,
    records: Vec<FlowRecord>,
    around: Vec<Surroundings>,
    ready: VecDeque<Records>,
    rows: u64,
}

impl Rows {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            context: options.context.then(Context::default),
            records: Vec::new(),
            around: Vec::new(),
            ready: VecDeque::new(),
            rows: 0,
        }
    }

    /// Adds the records of a piece, whatever shards they come from: by time, then by first packet, then by key. Of one
    /// flow they stay in the order in which they were made.
    pub(super) fn add(&mut self, shards: &[Vec<FlowRecord>]) {
        let mut order: Vec<&FlowRecord> = shards.iter().flatten().collect();
        order.sort_by_cached_key(|record| (record.header.time_us, record.state.first_us, rank(&record.key)));
        self.rows += order.len() as u64;
        for record in order {
            if let Some(context) = &mut self.context {
                self.around.push(context.surroundings(record));
            }
            self.records.push(*record);
            if self.records.len() == BATCH_ROWS {
                self.deal();
            }
        }
    }

    /// There is nothing more to come.
    pub(super) fn end(&mut self) {
        if !self.records.is_empty() {
            self.deal();
        }
    }

    /// A batch, if there is a whole one.
    pub(super) fn next(&mut self) -> Option<Records> {
        self.ready.pop_front()
    }

    /// Rows so far.
    pub(super) fn count(&self) -> u64 {
        self.rows
    }

    fn deal(&mut self) {
        let records = std::mem::replace(&mut self.records, Vec::with_capacity(BATCH_ROWS));
        let around = std::mem::take(&mut self.around);
        self.ready.push_back(Records { records, around: self.context.is_some().then_some(around) });
    }
}

/// An order of keys.
fn rank(key: &FlowKey) -> ([u8; 16], [u8; 16], u16, u16, u8, u16) {
    (key.addr_a.octets(), key.addr_b.octets(), key.port_a, key.port_b, key.protocol, key.domain)
}
