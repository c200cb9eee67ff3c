//! Sums from which mean, spread and extremes follow.

/// Count, sum, sum of squares and extremes of whole numbers: exact, whatever their order. Sums saturate instead of
/// wrapping; real times and lengths stay many orders below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moments {
    count: u64,
    sum: i64,
    squares: u128,
    min: i64,
    max: i64,
}

impl Moments {
    pub(super) fn add(&mut self, value: i64) {
        if self.count == 0 {
            (self.min, self.max) = (value, value);
        } else {
            (self.min, self.max) = (self.min.min(value), self.max.max(value));
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        let magnitude = u128::from(value.unsigned_abs());
        self.squares = self.squares.saturating_add(magnitude * magnitude);
    }

    /// The moments of both groups together.
    pub(super) fn with(&self, other: &Self) -> Self {
        match (self.count, other.count) {
            (0, _) => *other,
            (_, 0) => *self,
            _ => Self {
                count: self.count + other.count,
                sum: self.sum.saturating_add(other.sum),
                squares: self.squares.saturating_add(other.squares),
                min: self.min.min(other.min),
                max: self.max.max(other.max),
            },
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn sum(&self) -> i64 {
        self.sum
    }

    pub(super) fn min(&self) -> i64 {
        self.min
    }

    pub(super) fn max(&self) -> i64 {
        self.max
    }

    /// Arithmetic mean; 0 of nothing.
    pub(super) fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// Sample variance, Σ(x - mean)² / (n - 1) = (nΣx² - (Σx)²) / (n(n - 1)); 0 below two values.
    pub(super) fn variance(&self) -> f64 {
        if self.count < 2 {
            return 0.0;
        }
        let n = u128::from(self.count);
        let sum = u128::from(self.sum.unsigned_abs());
        let spread = n.checked_mul(self.squares).and_then(|scaled| scaled.checked_sub(sum * sum));
        // Beyond 128 bits only with times centuries apart: there a rounded difference has to do.
        let spread =
            spread.map_or_else(|| (n as f64 * self.squares as f64 - (sum * sum) as f64).max(0.0), |it| it as f64);
        spread / (n * (n - 1)) as f64
    }

    /// Sample standard deviation; 0 below two values.
    pub(super) fn std(&self) -> f64 {
        self.variance().sqrt()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[i64]) -> Moments {
        let mut moments = Moments::default();
        values.iter().for_each(|value| moments.add(*value));
        moments
    }

    /// Two passes in floating point.
    fn naive(values: &[i64]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().map(|x| *x as f64).sum::<f64>() / n;
        let variance = values.iter().map(|x| (*x as f64 - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, variance)
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
    }

    #[test]
    fn of_nothing_and_of_one() {
        assert_eq!((of(&[]).mean(), of(&[]).std()), (0.0, 0.0));
        assert_eq!((of(&[-7]).mean(), of(&[-7]).variance(), of(&[-7]).min(), of(&[-7]).max()), (-7.0, 0.0, -7, -7));
    }

    #[test]
    fn extremes_do_not_overflow() {
        let moments = of(&[i64::MIN, i64::MAX, i64::MIN, i64::MIN, i64::MAX]);
        assert!(moments.variance().is_finite() && moments.mean().is_finite());
    }

    proptest! {
        #[test]
        fn integer_sums_equal_the_naive_computation(values in prop::collection::vec(-120_000_000i64..=120_000_000, 2..500)) {
            let (mean, variance) = naive(&values);
            let moments = of(&values);
            prop_assert!((moments.mean() - mean).abs() <= 1e-6, "{} {mean}", moments.mean());
            prop_assert!(close(moments.variance(), variance), "{} {variance}", moments.variance());
            prop_assert_eq!(Some(&moments.min()), values.iter().min());
            prop_assert_eq!(Some(&moments.max()), values.iter().max());
        }

        #[test]
        fn two_groups_together(a in prop::collection::vec(any::<i32>(), 0..50), b in prop::collection::vec(any::<i32>(), 0..50)) {
            let (a, b): (Vec<i64>, Vec<i64>) = (a.into_iter().map(i64::from).collect(), b.into_iter().map(i64::from).collect());
            prop_assert_eq!(of(&a).with(&of(&b)), of(&[a, b].concat()));
        }
    }
}
