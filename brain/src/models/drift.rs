//! How far a model's inputs and scores have moved from those it was made with, over a sliding window.

use super::bins::Bins;
use super::card::Card;
use crate::bundle::Manifest;
use crate::model::Scores;
use ganglion_features::{Row, index_of};
use std::time::{Duration, Instant};

/// Parts of the window; the oldest is forgotten as a new one begins.
const PARTS: usize = 10;
/// Fewer rows say nothing.
const ROWS: u64 = 1_000;

/// One input or score.
#[derive(Clone, Debug, PartialEq)]
pub struct Stability {
    /// The feature, "score:anomaly" or "score:" and a class number.
    pub of: String,
    /// Population stability index: below 0.1 nothing, above 0.25 a shift.
    pub index: f64,
}

/// All inputs and scores of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drift {
    /// Rows in the window.
    pub rows: u64,
    /// Length of the window, s.
    pub window_s: u64,
    /// The largest index of an input.
    pub inputs: Option<f64>,
    /// The largest index of a score.
    pub scores: Option<f64>,
    /// All of them, the largest first; empty while there are too few rows.
    pub all: Vec<Stability>,
}

/// Where a value is taken from.
#[derive(Clone, Copy, Debug)]
enum From {
    /// Column of the feature table.
    Input(usize),
    /// Column of the probabilities.
    Class(usize),
    Anomaly,
}

struct Watched {
    of: String,
    from: From,
    bins: Bins,
    /// Where its counts begin.
    first: usize,
}

/// Counts of one model, bounded: parts of the window by bins.
pub(super) struct Monitor {
    watched: Vec<Watched>,
    parts: Vec<Part>,
    part: Duration,
    at: usize,
    began: Instant,
}

#[derive(Clone)]
struct Part {
    rows: u64,
    counts: Vec<u32>,
}

/// What is watched of a model, and where it stands.
fn sources(card: &Card) -> impl Iterator<Item = (&String, From, Bins)> {
    card.quantiles.iter().filter_map(|(of, quantiles)| {
        let from = match of.strip_prefix("score:") {
            Some("anomaly") => From::Anomaly,
            Some(number) => {
                let number: i32 = number.parse().ok()?;
                From::Class(card.head.classes.iter().position(|class| *class as i32 == number)?)
            }
            None if card.features.contains(of) => From::Input(index_of(of)?),
            None => return None,
        };
        Some((of, from, Bins::of(quantiles)?))
    })
}

/// Names of the inputs and scores that are watched of a model.
pub(super) fn watched(manifest: &Manifest) -> Vec<String> {
    manifest.quantiles.keys().filter(|of| of.starts_with("score:") || manifest.features.contains(of)).cloned().collect()
}

impl Monitor {
    pub(super) fn new(card: &Card, window: Duration, now: Instant) -> Self {
        let mut first = 0;
        let mut watched = Vec::new();
        for (of, from, bins) in sources(card) {
            let length = bins.len();
            watched.push(Watched { of: of.clone(), from, bins, first });
            first += length;
        }
        let part = Part { rows: 0, counts: vec![0; first] };
        Self { watched, parts: vec![part; PARTS], part: window / PARTS as u32, at: 0, began: now }
    }

    /// Counts row `row`, which stands at `at` of `scores`.
    pub(super) fn add(&mut self, row: &Row, scores: &Scores, at: usize) {
        let part = &mut self.parts[self.at];
        let probabilities = scores.probabilities(at);
        for watched in &self.watched {
            let value = match watched.from {
                From::Input(column) => row.values[column],
                From::Class(column) => probabilities.get(column).copied().unwrap_or(f32::NAN),
                From::Anomaly => scores.anomaly(at),
            };
            part.counts[watched.first + watched.bins.index(value)] += 1;
        }
        part.rows += 1;
    }

    /// Begins new parts, as many as time asks for.
    pub(super) fn move_on(&mut self, now: Instant) {
        let due = now.saturating_duration_since(self.began).as_nanos() / self.part.as_nanos().max(1);
        for _ in 0..due.min(PARTS as u128) {
            self.at = (self.at + 1) % PARTS;
            self.parts[self.at].rows = 0;
            self.parts[self.at].counts.fill(0);
        }
        if due > 0 {
            self.began = now;
        }
    }

    pub(super) fn drift(&mut self, now: Instant) -> Drift {
        self.move_on(now);
        let rows = self.parts.iter().map(|part| part.rows).sum();
        let mut drift = Drift { rows, window_s: self.part.as_secs() * PARTS as u64, ..Drift::default() };
        if rows < ROWS {
            return drift;
        }
        for watched in &self.watched {
            let bins = watched.first..watched.first + watched.bins.len();
            let counts = bins.map(|bin| self.parts.iter().map(|part| u64::from(part.counts[bin])).sum());
            let index = watched.bins.stability(counts);
            let largest = if matches!(watched.from, From::Input(_)) { &mut drift.inputs } else { &mut drift.scores };
            *largest = Some(largest.map_or(index, |value: f64| value.max(index)));
            drift.all.push(Stability { of: watched.of.clone(), index });
        }
        drift.all.sort_by(|a, b| b.index.total_cmp(&a.index));
        drift
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::card::tests::card;
    use crate::models::vote::tests::row;

    const WINDOW: Duration = Duration::from_secs(100);

    fn rows(count: usize, packets: impl Fn(usize) -> f32) -> (Vec<Row>, Scores) {
        let rows: Vec<Row> = (0..count).map(|n| row(&[("flow_packets", packets(n))])).collect();
        let probabilities = (0..count).flat_map(|n| [n as f32 / count as f32, 1.0 - n as f32 / count as f32]).collect();
        (rows, Scores::of(probabilities, vec![0.0; count], 2))
    }

    fn all(monitor: &mut Monitor, rows: &[Row], scores: &Scores) {
        rows.iter().enumerate().for_each(|(at, row)| monitor.add(row, scores, at));
    }

    #[test]
    fn a_shift_shows_and_is_forgotten_with_the_window() {
        let tenths: Vec<f64> = (0..=10).map(|i| f64::from(i) / 10.0).collect();
        let tens: Vec<f64> = (0..=10).map(|i| f64::from(i) * 10.0).collect();
        let card = card(&[("flow_packets", tens), ("score:1", tenths)]);
        let begun = Instant::now();
        let mut monitor = Monitor::new(&card, WINDOW, begun);
        let (same, scores) = rows(2_000, |n| (n % 100) as f32 + 0.5);
        all(&mut monitor, &same, &scores);
        let drift = monitor.drift(begun);
        assert_eq!((drift.rows, drift.window_s, drift.all.len()), (2_000, 100, 2));
        assert!(drift.inputs.unwrap() < 0.01 && drift.scores.unwrap() < 0.01, "{drift:?}");
        let (moved, scores) = rows(2_000, |_| 1_000.0);
        monitor.move_on(begun + WINDOW / 2);
        all(&mut monitor, &moved, &scores);
        let drift = monitor.drift(begun + WINDOW / 2);
        assert!(drift.inputs.unwrap() > 0.25 && drift.scores.unwrap() < 0.01, "{drift:?}");
        assert_eq!(drift.all[0].of, "flow_packets");
        monitor.move_on(begun + WINDOW * 2);
        all(&mut monitor, &same, &scores);
        assert!(monitor.drift(begun + WINDOW * 2).inputs.unwrap() < 0.01);
    }

    #[test]
    fn few_rows_say_nothing_and_unknown_quantiles_are_left_out() {
        let card = card(&[("no_such_feature", vec![0.0, 1.0, 2.0]), ("score:99", vec![0.0, 1.0, 2.0])]);
        let now = Instant::now();
        let mut monitor = Monitor::new(&card, WINDOW, now);
        let (some, scores) = rows(10, |_| 1.0);
        all(&mut monitor, &some, &scores);
        assert_eq!(monitor.drift(now).all, []);
        assert!(monitor.watched.is_empty());
    }
}
