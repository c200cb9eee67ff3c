//! The features of many FLOW records at once, column by column, in f64: for files of rows.

use crate::context::{PairTotals, Surroundings, WindowTotals};
use crate::feature::{Applies, Feature};
use crate::table::{CONTEXT_AT, TABLE};
use crate::view::View;
use ganglion_flow::record::FlowRecord;
use ganglion_flow::{SourceState, Wire};

/// Records looked at together: a first-level cache holds so many.
const BLOCK: usize = 32;

static NO_SOURCE: SourceState = SourceState::ZERO;
static NOTHING: Surroundings =
    Surroundings { actor: [WindowTotals::NONE; 3], target: [WindowTotals::NONE; 3], pair: PairTotals::NONE };

/// The features that FLOW records have, in table order; those of what happened around them only with `context`.
pub fn flow_features(context: bool) -> Vec<&'static Feature> {
    let end = if context { TABLE.len() } else { CONTEXT_AT };
    TABLE[..end].iter().filter(|feature| feature.applies != Applies::Source).collect()
}

/// Appends the cells of `features` to a column each. `around` says what happened around each record; without it that is
/// nothing. Whole numbers are exact; no cell is NaN or infinite.
pub fn append(
    features: &[&Feature],
    records: &[FlowRecord],
    around: Option<&[Surroundings]>,
    columns: &mut [&mut Vec<f64>],
) {
    let mut views = Vec::with_capacity(BLOCK);
    for (at, block) in (0..).step_by(BLOCK).zip(records.chunks(BLOCK)) {
        views.clear();
        views.extend(block.iter().zip(at..).map(|(record, row)| {
            let around = around.and_then(|around| around.get(row)).unwrap_or(&NOTHING);
            View {
                header: &record.header,
                flow: &record.state,
                protocol: record.key.protocol,
                source: &NO_SOURCE,
                actor: &around.actor,
                target: &around.target,
                pair: &around.pair,
            }
        }));
        for (column, feature) in columns.iter_mut().zip(features) {
            feature.compute.append(&views, column);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, index_of};
    use ganglion_flow::record::Record;
    use ganglion_flow::{Addr, FlowKey, FlowState, Hook, Reason, RecordHeader, RecordKind, Stage};
    use proptest::prelude::*;

    fn record(bytes: &[u8], port: u16, time_us: u64) -> FlowRecord {
        let header = RecordHeader::new(RecordKind::Flow, Stage::End, Reason::Idle, Hook::Offline, time_us);
        let (key, _) = FlowKey::new(Addr::v4(1), Addr::v4(2), 4000, port, 6, 0);
        FlowRecord { header, key, state: FlowState::get(bytes).unwrap() }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// A column of a file is the row's value before it is rounded to f32.
        #[test]
        fn columns_are_those_of_rows(
            states in proptest::collection::vec(proptest::collection::vec(any::<u8>(), FlowState::LEN), 1..70),
            with_context in any::<bool>(),
        ) {
            let records: Vec<_> = states.iter().zip(1..).map(|(s, at)| record(s, at % 3, u64::from(at) * 90_000)).collect();
            let features = flow_features(with_context);
            let mut context = Context::default();
            let around: Vec<_> = records.iter().map(|record| context.surroundings(record)).collect();
            let mut columns = vec![Vec::new(); features.len()];
            append(
                &features,
                &records,
                with_context.then_some(&around),
                &mut columns.iter_mut().collect::<Vec<_>>(),
            );
            let mut context = Context::default();
            for (at, record) in records.iter().enumerate() {
                let row = context.observe(&Record::Flow(*record));
                for (feature, column) in features.iter().zip(&columns) {
                    let value = row.values[index_of(feature.name).unwrap()];
                    let cell = column[at].clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32;
                    prop_assert_eq!(cell, value, "{}", feature.name);
                    prop_assert!(column[at].is_finite());
                }
            }
        }
    }

    #[test]
    fn context_is_there_when_asked_for() {
        let (without, with) = (flow_features(false), flow_features(true));
        assert!(without.iter().all(|f| f.applies != Applies::Source && f.source != "context"));
        assert!(with.iter().filter(|f| f.source == "context").count() == with.len() - without.len());
        assert!(with.len() > without.len());
    }
}
