//! From records to the columns of a batch.

use std::borrow::Cow;

use ganglion_features::columns::{append, flow_features};
use ganglion_features::{Feature, Surroundings};
use ganglion_flow::record::{FlowRecord, Record, SourceRecord};

use super::Options;
use super::identity::IDENTITY;
use crate::table::{Batch, Cells, Field, Kind};

/// The columns of a table of these options: identity, then features in the order of their table.
pub fn fields(options: &Options) -> Vec<Field> {
    let identity = IDENTITY.iter().map(|column| (column.name, column.unit, column.kind()));
    let features = flow_features(options.context).into_iter().map(|feature| (feature.name, feature.unit, Kind::Float));
    identity.chain(features).map(|(name, unit, kind)| Field { name: Cow::Borrowed(name), unit, kind }).collect()
}

/// The CICFlowMeter columns that each of [`fields`] answers to; mostly none or one.
pub fn references(options: &Options) -> Vec<Vec<&'static str>> {
    let identity = IDENTITY.iter().map(|column| column.reference.into_iter().collect());
    identity.chain(flow_features(options.context).into_iter().map(|feature| feature.references().collect())).collect()
}

/// Records that become a batch.
#[derive(Default)]
pub(super) struct Records {
    pub(super) records: Vec<FlowRecord>,
    /// Of each record, where asked for.
    pub(super) around: Option<Vec<Surroundings>>,
    /// Records of addresses, and how many of `records` were made before each.
    pub(super) sources: Vec<(usize, SourceRecord)>,
}

impl Records {
    /// All of them, in the order in which they were made.
    pub(super) fn all(&self) -> Vec<Record> {
        let mut all = Vec::with_capacity(self.records.len() + self.sources.len());
        let mut sources = self.sources.iter().peekable();
        for (at, record) in self.records.iter().enumerate() {
            while let Some((_, source)) = sources.next_if(|(before, _)| *before <= at) {
                all.push(Record::Source(*source));
            }
            all.push(Record::Flow(*record));
        }
        all.extend(sources.map(|(_, source)| Record::Source(*source)));
        all
    }

    /// Takes all away; their room stays.
    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.around = None;
        self.sources.clear();
    }
}

/// Makes batches.
pub(super) struct Columns {
    features: Vec<&'static Feature>,
}

impl Columns {
    pub(super) fn new(options: &Options) -> Self {
        Self { features: flow_features(options.context) }
    }

    /// Makes `batch` that of these records. It may have been another before: memory that was touched once is the
    /// cheapest.
    pub(super) fn fill(&self, records: &Records, batch: &mut Batch) {
        let Records { records, around, .. } = records;
        batch.rows = records.len();
        batch.columns.resize(IDENTITY.len() + self.features.len(), Cells::Float(Vec::new()));
        let (identity, features) = batch.columns.split_at_mut(IDENTITY.len());
        for (column, cells) in IDENTITY.iter().zip(identity) {
            column.fill(records, cells);
        }
        let floats = features.iter_mut().filter_map(|cells| {
            cells.reset(Kind::Float);
            if let Cells::Float(cells) = cells { Some(cells) } else { None }
        });
        append(&self.features, records, around.as_deref(), &mut floats.collect::<Vec<_>>());
    }
}
