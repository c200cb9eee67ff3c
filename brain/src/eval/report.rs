//! From counts to precision, recall, F1 and areas.

use super::Evaluation;
use crate::class;
use ganglion_proto::v1::TrafficClass;
use serde::Serialize;
use std::collections::BTreeMap;

/// Classes with fewer rows are left out of `macro_f1_50`.
const ENOUGH_ROWS: u64 = 50;

/// What `ganglion model eval` says of a model.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Mean F1 of the classes that occur in the data.
    pub macro_f1: Option<f64>,
    /// The same over classes with at least 50 rows.
    pub macro_f1_50: Option<f64>,
    /// By class that occurs in the data or in the model's answers.
    pub per_class: BTreeMap<&'static str, ClassReport>,
    /// Area under the ROC curve of attack against benign rows, by 1 − P(Benign).
    pub auroc: Option<f64>,
    /// The same by the anomaly score.
    pub auroc_anomaly: Option<f64>,
    /// What was taken for what.
    pub confusion: Confusion,
    /// Rows scored.
    pub rows: u64,
    /// Rows not scored, by reason.
    pub dropped: BTreeMap<String, u64>,
}

/// One class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClassReport {
    /// Share of the rows taken for it that are of it; 0 where none was.
    pub precision: f64,
    /// Share of its rows that were taken for it; 0 where it has none.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
    /// Rows of the class.
    pub rows: u64,
    /// Area under its ROC curve, one against the rest; none where the model does not know it, or all or no rows are of it.
    pub auroc: Option<f64>,
}

/// Rows by class that they are (lines) and class that was said (columns).
#[derive(Clone, Debug, Serialize)]
pub struct Confusion {
    /// Of lines and columns.
    pub classes: Vec<&'static str>,
    /// Counts.
    pub counts: Vec<Vec<u64>>,
}

pub(super) fn of(evaluation: &Evaluation) -> Report {
    let counts = &evaluation.counts;
    let is = |class: usize| counts[class].iter().sum::<u64>();
    let said = |class: usize| counts.iter().map(|line| line[class]).sum::<u64>();
    let occurs: Vec<usize> = (0..class::ALL.len()).filter(|class| is(*class) + said(*class) > 0).collect();
    let one = |class: usize| ClassReport {
        precision: ratio(counts[class][class], said(class)),
        recall: ratio(counts[class][class], is(class)),
        f1: ratio(2 * counts[class][class], is(class) + said(class)),
        rows: is(class),
        auroc: area(evaluation, class::ALL[class]),
    };
    let reports: Vec<_> = occurs.iter().map(|class| (class::name(class::ALL[*class]), one(*class))).collect();
    let mean_f1 = |least: u64| {
        let f1: Vec<_> =
            reports.iter().filter(|(_, report)| report.rows >= least).map(|(_, report)| report.f1).collect();
        (!f1.is_empty()).then(|| f1.iter().sum::<f64>() / f1.len() as f64)
    };
    Report {
        macro_f1: mean_f1(1),
        macro_f1_50: mean_f1(ENOUGH_ROWS),
        auroc: evaluation.attack.area().filter(|_| evaluation.classes.contains(&TrafficClass::Benign)),
        auroc_anomaly: evaluation.anomaly.area(),
        confusion: Confusion {
            classes: reports.iter().map(|(name, _)| *name).collect(),
            counts: occurs.iter().map(|line| occurs.iter().map(|column| counts[*line][*column]).collect()).collect(),
        },
        per_class: reports.into_iter().collect(),
        rows: evaluation.rows,
        dropped: evaluation.dropped.clone(),
    }
}

fn area(evaluation: &Evaluation, class: TrafficClass) -> Option<f64> {
    let column = evaluation.classes.iter().position(|known| *known == class)?;
    evaluation.one_versus_rest.get(column)?.area()
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
