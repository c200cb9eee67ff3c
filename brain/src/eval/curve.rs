//! Area under the ROC curve of any number of scores, in bounded memory.
//!
//! Equal scores are counted, not kept. While there are no more than [`DISTINCT`] different ones the area is exact, ties
//! counted half; past that, scores that differ in their last bits alone are counted as equal.

use std::collections::HashMap;

/// Different scores that are told apart.
const DISTINCT: usize = if cfg!(test) { 1 << 10 } else { 1 << 18 };
/// Bits by which the scores' resolution falls at a time.
const COARSER_BITS: u32 = 2;

/// Counts of scores, of rows that are and of rows that are not of a class.
#[derive(Clone, Debug, Default)]
pub(super) struct Curve {
    counts: HashMap<u32, [u64; 2]>,
    dropped_bits: u32,
}

impl Curve {
    /// A row's score; NaN must not come here.
    pub(super) fn add(&mut self, score: f32, positive: bool) {
        let key = ordered(score) >> self.dropped_bits;
        self.counts.entry(key).or_default()[usize::from(positive)] += 1;
        while self.counts.len() > DISTINCT {
            self.coarsen();
        }
    }

    fn coarsen(&mut self) {
        self.dropped_bits += COARSER_BITS;
        for (key, [no, yes]) in std::mem::take(&mut self.counts) {
            let sum = self.counts.entry(key >> COARSER_BITS).or_default();
            sum[0] += no;
            sum[1] += yes;
        }
    }

    /// How probably a positive row scores above a negative one; none where one of the kinds is missing.
    pub(super) fn area(&self) -> Option<f64> {
        let mut counts: Vec<_> = self.counts.iter().collect();
        counts.sort_unstable_by_key(|(key, _)| **key);
        let (mut below, mut above) = (0_u64, 0.0);
        let mut positives = 0_u64;
        for (_, [no, yes]) in counts {
            above += *yes as f64 * (below as f64 + *no as f64 / 2.0);
            below += no;
            positives += yes;
        }
        (below > 0 && positives > 0).then(|| above / (below as f64 * positives as f64))
    }
}

/// A number that is ordered as the score is.
fn ordered(score: f32) -> u32 {
    // −0 and 0 are one score.
    let bits = (score + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_pairs(rows: &[(f32, bool)]) -> Option<f64> {
        let of = |wanted: bool| rows.iter().filter(move |(_, positive)| *positive == wanted).map(|(score, _)| *score);
        let pairs: Vec<_> = of(true).flat_map(|yes| of(false).map(move |no| (yes, no))).collect();
        let won = pairs.iter().map(|(yes, no)| {
            if yes > no {
                1.0
            } else if yes == no {
                0.5
            } else {
                0.0
            }
        });
        (!pairs.is_empty()).then(|| won.sum::<f64>() / pairs.len() as f64)
    }

    proptest! {
        #[test]
        fn the_area_is_that_of_all_pairs(rows in proptest::collection::vec((-3.0f32..3.0, any::<bool>()), 0..60)) {
            let mut curve = Curve::default();
            // Some ties.
            let rows: Vec<_> = rows.into_iter().map(|(score, yes)| ((score * 4.0).round() / 4.0, yes)).collect();
            rows.iter().for_each(|(score, yes)| curve.add(*score, *yes));
            match (curve.area(), by_pairs(&rows)) {
                (Some(area), Some(pairs)) => prop_assert!((area - pairs).abs() < 1e-9),
                (area, pairs) => prop_assert_eq!(area, pairs),
            }
        }
    }

    #[test]
    fn with_many_scores_memory_is_bounded_and_the_area_hardly_moves() {
        let mut curve = Curve::default();
        let mut rows = Vec::new();
        for i in 0..6_000_u32 {
            let noise = (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32;
            let yes = i % 3 == 0;
            rows.push((noise * 0.7 + if yes { 0.3 } else { 0.0 }, yes));
        }
        rows.iter().for_each(|(score, yes)| curve.add(*score, *yes));
        assert!(curve.counts.len() <= DISTINCT && curve.dropped_bits > 0);
        let (area, pairs) = (curve.area().unwrap(), by_pairs(&rows).unwrap());
        assert!((area - pairs).abs() < 1e-3, "{area} {pairs}");
    }
}
