//! Bins of one feature, from the quantiles that the bundle noted, and the population stability index over them.
//!
//! PSI = Σ (aᵢ − eᵢ) · ln(aᵢ / eᵢ), aᵢ the share of live rows in bin i, eᵢ that of the rows the model was made with
//! (Siddiqi, Credit Risk Scorecards, 2006, with its bounds: below 0.1 nothing, above 0.25 a shift; it is Jeffreys'
//! divergence of two histograms). Without any shift it lies about (bins − 1) / rows above zero (Yurdakul, Statistical
//! Properties of Population Stability Index, 2018), which is why few rows say nothing.

/// Added to each bin's count, so that an empty one gives no infinity.
const PRIOR: f64 = 0.5;

/// Bins, open at both ends, and the share of the reference in each.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bins {
    /// Upper edges, ascending, of all but the last bin; a value on the edge is below it.
    edges: Vec<f32>,
    expected: Vec<f64>,
}

impl Bins {
    /// From quantiles at evenly spaced ranks, lowest and highest value included. `None` when they tell nothing apart.
    pub(super) fn of(quantiles: &[f64]) -> Option<Self> {
        let sorted = quantiles.windows(2).all(|pair| pair[0] <= pair[1]);
        if quantiles.len() < 3 || !sorted || quantiles.iter().any(|q| !q.is_finite()) {
            return None;
        }
        let step = 1.0 / (quantiles.len() - 1) as f64;
        let (mut edges, mut expected, mut below) = (Vec::new(), Vec::new(), 0.0);
        let mut first = 0;
        while first < quantiles.len() {
            let value = quantiles[first];
            let run = quantiles[first..].iter().take_while(|q| **q == value).count();
            let last = first + run - 1;
            let mut cut = |edge: f32, up_to: f64| {
                // Nothing lies below the lowest value, and above the highest one there is the last bin.
                if up_to - below >= 0.49 * step && up_to < 1.0 - step / 4.0 {
                    edges.push(edge);
                    expected.push(up_to - below);
                    below = up_to;
                }
            };
            if run == 1 {
                cut(value as f32, last as f64 * step);
            } else {
                // A value of several ranks has a bin of its own. What lies below it ends somewhere between two ranks,
                // and so does the value itself: the middle is taken.
                cut((value as f32).next_down(), (first as f64 - 0.5) * step);
                cut(value as f32, (last as f64 + 0.5) * step);
            }
            first += run;
        }
        if edges.is_empty() {
            return None;
        }
        expected.push(1.0 - below);
        Some(Self { edges, expected })
    }

    pub(super) fn len(&self) -> usize {
        self.expected.len()
    }

    /// The bin of a value.
    pub(super) fn index(&self, value: f32) -> usize {
        self.edges.partition_point(|edge| *edge < value)
    }

    /// The index of counts by bin.
    pub(super) fn stability(&self, counts: impl Iterator<Item = u64> + Clone) -> f64 {
        let rows: u64 = counts.clone().sum();
        let all = rows as f64 + PRIOR * self.len() as f64;
        let term = |(count, expected): (u64, &f64)| {
            let actual = (count as f64 + PRIOR) / all;
            (actual - expected) * (actual / expected).ln()
        };
        counts.zip(&self.expected).map(term).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(bins: &Bins, values: impl Iterator<Item = f32>) -> f64 {
        let mut counts = vec![0u64; bins.len()];
        values.for_each(|value| counts[bins.index(value)] += 1);
        bins.stability(counts.iter().copied())
    }

    #[test]
    fn deciles_of_what_was_seen_before_are_stable_and_a_shift_is_not() {
        let bins = Bins::of(&[0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0]).unwrap();
        assert_eq!(bins.len(), 10);
        let even = |from: f32| (0..10_000).map(move |i| from + i as f32 / 100.0);
        assert!(counted(&bins, even(0.0)) < 0.001);
        // A tenth of the range on: nine bins as before, the first one empty, the last one with twice its share.
        let shifted = counted(&bins, even(10.001));
        let by_hand = (0.2 - 0.1) * (0.2f64 / 0.1).ln() + (0.1 - 0.0) * (0.1f64 / (0.5 / 10_005.0)).ln();
        assert!((shifted - by_hand).abs() < 0.01, "{shifted} {by_hand}");
        assert!(counted(&bins, even(60.0)) > 2.0);
    }

    #[test]
    fn flags_and_counts_with_one_common_value_have_bins_too() {
        // 65 % zeros.
        let flag = Bins::of(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]).unwrap();
        assert_eq!((flag.len(), flag.index(0.0), flag.index(1.0), flag.index(-3.0), flag.index(9.0)), (2, 0, 1, 0, 1));
        let share = |ones: usize| counted(&flag, (0..1000).map(|i| f32::from(u8::from(i < ones))));
        assert!(share(350) < 0.001 && share(320) < 0.02 && share(380) < 0.02);
        assert!(share(50) > 0.25 && share(900) > 0.25);
        let common = Bins::of(&[0.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 9.0, 12.0]).unwrap();
        let bins: Vec<_> = [0.0, 4.9, 5.0, 5.1, 9.1, 99.0].map(|value| common.index(value)).to_vec();
        assert_eq!((common.len(), bins), (4, vec![0, 0, 1, 2, 3, 3]));
    }

    #[test]
    fn what_tells_nothing_apart_has_no_bins() {
        for quantiles in [&[1.0; 11][..], &[], &[0.0, 1.0], &[0.0, f64::NAN, 1.0], &[3.0, 2.0, 1.0]] {
            assert_eq!(Bins::of(quantiles), None, "{quantiles:?}");
        }
    }

    #[test]
    fn shares_add_up_whatever_the_quantiles() {
        for quantiles in
            [&[0.0, 0.0, 1.0][..], &[0.0, 1.0, 1.0], &[0.0, 1.0, 2.0], &[-1.0, -1.0, 0.0, 0.0, 0.0, 5.0, 5.0]]
        {
            let bins = Bins::of(quantiles).unwrap();
            assert!((bins.expected.iter().sum::<f64>() - 1.0).abs() < 1e-9 && bins.expected.iter().all(|e| *e > 0.0));
        }
    }
}
