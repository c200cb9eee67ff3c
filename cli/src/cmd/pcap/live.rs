//! Captures by the rules of live flows: the extractor's records through the brain's own context.

use std::ops::ControlFlow;

use ganglion_extract::ganglion::{self, Options};
use ganglion_features::{Context, Row};
use ganglion_flow::record::Record;

use super::capture::Input;
use super::score::Scorer;
use crate::exit::{Error, Result};

/// Rows given to the model at once.
const BATCH_ROWS: usize = 256;

/// Scores all records of a capture, snapshots of flows under way included, in the order in which they were made.
pub(super) fn score(input: &mut Input, scorer: &mut Scorer) -> Result<()> {
    let options = Options { snapshots: true, ..Options::default() };
    let (mut context, mut failure) = (Context::default(), None);
    let sink = |records: &[Record]| {
        let scored = records.chunks(BATCH_ROWS).try_for_each(|records| batch(records, &mut context, scorer));
        match scored {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    };
    ganglion::extract_records(&options, sink, |extraction| input.feed(|frame| extraction.frame(frame)));
    failure.map_or(Ok(()), Err)
}

fn batch(records: &[Record], context: &mut Context, scorer: &mut Scorer) -> Result<()> {
    let rows: Vec<Row> = records.iter().map(|record| context.observe(record)).collect();
    let failed = |error: ganglion_brain::model::ModelError| Error::Failed(error.to_string());
    let mut values = Vec::new();
    rows.iter().try_for_each(|row| scorer.bundle.model.pick(row, &mut values)).map_err(failed)?;
    let scores = scorer.bundle.model.score_raw(&values, rows.len()).map_err(failed)?;
    let width = scorer.bundle.manifest.features.len();
    for (at, (row, values)) in rows.iter().zip(values.chunks(width)).enumerate() {
        scorer.judge(&row.meta, &scores, at, values)?;
    }
    Ok(())
}
