//! How good a model is on labelled rows: counted as they come, in memory that does not grow with them.

mod columns;
mod curve;
mod headers;
mod report;

pub use columns::{Columns, ColumnsError};
pub use headers::Headers;
pub use report::{ClassReport, Confusion, Report};

use crate::class;
use crate::model::Scores;
use curve::Curve;
use ganglion_proto::v1::TrafficClass;
use std::collections::BTreeMap;

/// Counts over rows whose class is known.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Class of each column of the model's probabilities.
    classes: Vec<TrafficClass>,
    /// By class that it is and class that was said.
    counts: [[u64; class::ALL.len()]; class::ALL.len()],
    /// One against the rest, by the class's probability, for each of `classes`.
    one_versus_rest: Vec<Curve>,
    attack: Curve,
    anomaly: Curve,
    rows: u64,
    dropped: BTreeMap<String, u64>,
}

impl Evaluation {
    /// Nothing counted, of a model with these classes.
    pub fn new(classes: &[TrafficClass]) -> Self {
        Self {
            classes: classes.to_vec(),
            counts: Default::default(),
            one_versus_rest: vec![Curve::default(); classes.len()],
            attack: Curve::default(),
            anomaly: Curve::default(),
            rows: 0,
            dropped: BTreeMap::new(),
        }
    }

    /// Counts row `row` of `scores`, which is of class `truth`.
    pub fn add(&mut self, truth: TrafficClass, scores: &Scores, row: usize) {
        let said = scores.likeliest(row).and_then(|column| self.classes.get(column).copied());
        let Some(said) = said.filter(|_| scores.is_finite(row)) else {
            return self.drop_rows("score_not_finite", 1);
        };
        self.rows += 1;
        self.counts[truth as usize][said as usize] += 1;
        let probabilities = scores.probabilities(row);
        let mut benign = 0.0;
        for ((class, probability), curve) in self.classes.iter().zip(probabilities).zip(&mut self.one_versus_rest) {
            curve.add(*probability, *class == truth);
            if *class == TrafficClass::Benign {
                benign = *probability;
            }
        }
        let is_attack = truth != TrafficClass::Benign;
        self.attack.add(-benign, is_attack);
        self.anomaly.add(scores.anomaly(row), is_attack);
    }

    /// Counts rows that are not scored.
    pub fn drop_rows(&mut self, reason: &str, rows: u64) {
        *self.dropped.entry(reason.to_owned()).or_default() += rows;
    }

    /// Rows counted so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// What follows from the counts.
    pub fn report(&self) -> Report {
        report::of(self)
    }
}

#[cfg(test)]
mod tests;
