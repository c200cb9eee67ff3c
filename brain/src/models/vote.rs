//! Soft vote: the mean of the probabilities, class by class, and of the anomaly scores in units of each one's threshold.

use crate::model::Scores;
use crate::policy::Head;
use ganglion_proto::v1::TrafficClass;

/// How several models' columns become those of one.
#[derive(Clone, Debug)]
pub(super) struct Vote {
    /// By member: the common column of each of its columns.
    columns: Vec<Vec<usize>>,
    thresholds: Vec<f32>,
    classes: usize,
}

impl Vote {
    /// Of these members; how the result is read.
    pub(super) fn of(heads: &[&Head], name: &str) -> (Self, Head) {
        let mut classes: Vec<TrafficClass> = heads.iter().flat_map(|head| head.classes.iter().copied()).collect();
        classes.sort_unstable();
        classes.dedup();
        let column = |class: &TrafficClass| classes.binary_search(class).unwrap_or_default();
        let columns = heads.iter().map(|head| head.classes.iter().map(column).collect()).collect();
        let thresholds = heads.iter().map(|head| head.anomaly).collect();
        let vote = Self { columns, thresholds, classes: classes.len() };
        (vote, Head { classes: classes.into(), anomaly: 1.0, bundle: name.into() })
    }

    /// The members' scores of the same rows, as one. A class that a member does not know gets nothing from it.
    pub(super) fn count(&self, members: &[Scores]) -> Scores {
        let rows = members.iter().map(Scores::rows).min().unwrap_or(0);
        let weight = 1.0 / members.len().max(1) as f32;
        let (mut probabilities, mut anomaly) = (vec![0.0; rows * self.classes], vec![0.0; rows]);
        for ((scores, columns), threshold) in members.iter().zip(&self.columns).zip(&self.thresholds) {
            for row in 0..rows {
                for (p, column) in scores.probabilities(row).iter().zip(columns) {
                    probabilities[row * self.classes + column] += p * weight;
                }
                anomaly[row] += scores.anomaly(row) / threshold * weight;
            }
        }
        Scores::of(probabilities, anomaly, self.classes)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use ganglion_features::{Context, Meta, Row, index_of};
    use ganglion_flow::record::{FlowRecord, Record, RecordHeader, RecordKind};
    use ganglion_flow::{Addr, FlowKey, FlowState, Hook, Reason, Stage, Wire};

    /// A flow of source `n`.
    pub(in crate::models) fn meta(n: u32, port: u16) -> Meta {
        flow(n, port).meta
    }

    /// A flow with these features.
    pub(in crate::models) fn row(values: &[(&str, f32)]) -> Row {
        let mut row = flow(1, 80);
        values.iter().for_each(|(name, value)| row.values[index_of(name).unwrap()] = *value);
        row
    }

    pub(in crate::models) fn flow(n: u32, port: u16) -> Row {
        let client = Addr::v4(0xc612_0000 + n);
        let (key, is_a) = FlowKey::new(client, Addr::v4(0xc613_0001), 40_000, port, 6, 0);
        let mut state = FlowState::ZERO;
        state.status = u8::from(is_a);
        let header = RecordHeader::new(RecordKind::Flow, Stage::End, Reason::Fin, Hook::Xdp, 1);
        Context::default().observe(&Record::Flow(FlowRecord { header, key, state }))
    }

    pub(in crate::models) fn head(classes: &[TrafficClass], anomaly: f32) -> Head {
        Head { classes: classes.into(), anomaly, bundle: "x".into() }
    }

    #[test]
    fn classes_are_joined_and_thresholds_made_equal() {
        use TrafficClass::{Benign, Bot, Dos};
        let (a, b) = (head(&[Benign, Dos], 2.0), head(&[Bot, Benign], 0.5));
        let (vote, joined) = Vote::of(&[&a, &b], "vote(a, b)");
        assert_eq!((&joined.classes[..], joined.anomaly), (&[Benign, Dos, Bot][..], 1.0));
        let of_a = Scores::of(vec![0.8, 0.2, 0.0, 1.0], vec![1.0, 4.0], 2);
        let of_b = Scores::of(vec![0.4, 0.6, 1.0, 0.0], vec![0.25, 1.0], 2);
        let scores = vote.count(&[of_a, of_b]);
        for (row, due, anomaly) in [(0, [0.7, 0.1, 0.2], 0.5), (1, [0.0, 0.5, 0.5], 2.0)] {
            let found = scores.probabilities(row);
            assert!(found.iter().zip(due).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
            assert!((scores.anomaly(row) - anomaly).abs() < 1e-6);
        }
    }

    #[test]
    fn one_sick_member_makes_the_row_sick() {
        use TrafficClass::{Benign, Dos};
        let one = head(&[Benign, Dos], 1.0);
        let (vote, _) = Vote::of(&[&one, &one], "v");
        let scores =
            vote.count(&[Scores::of(vec![0.5, 0.5], vec![f32::NAN], 2), Scores::of(vec![1.0, 0.0], vec![0.0], 2)]);
        assert!(scores.anomaly(0).is_nan());
    }
}
