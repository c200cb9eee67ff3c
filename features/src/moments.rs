//! Mean and deviation from integer sums, exact up to one rounding.

/// Values counted, their sum and the sum of their squares.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    /// Values.
    pub(crate) n: u128,
    /// Their sum.
    pub(crate) sum: u128,
    /// Sum of their squares.
    pub(crate) squares: u128,
}

impl Sums {
    pub(crate) fn new(n: u64, sum: u64, squares: u64) -> Self {
        Self { n: n.into(), sum: sum.into(), squares: squares.into() }
    }

    /// Both groups as one.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { n: self.n + other.n, sum: self.sum + other.sum, squares: self.squares + other.squares }
    }

    /// Arithmetic mean, 0 for an empty group.
    pub(crate) fn mean(self) -> f64 {
        ratio(float(self.sum), float(self.n))
    }

    /// Sample variance (n − 1), 0 for fewer than two values: (n·Σx² − (Σx)²) / (n·(n − 1)).
    pub(crate) fn variance(self) -> f64 {
        if self.n < 2 {
            return 0.0;
        }
        let above = match self.small() {
            Some([n, sum, squares]) => (n * squares).saturating_sub(sum * sum) as f64,
            None => self.n.saturating_mul(self.squares).saturating_sub(self.sum.saturating_mul(self.sum)) as f64,
        };
        above / (float(self.n) * float(self.n - 1))
    }

    /// Numbers whose products fit in 64 bits, as nearly all do: a fraction of the time.
    fn small(self) -> Option<[u64; 3]> {
        let bits = |number: u128| u128::BITS - number.leading_zeros();
        let fits = bits(self.n) + bits(self.squares) <= u64::BITS && 2 * bits(self.sum) <= u64::BITS;
        fits.then_some([self.n as u64, self.sum as u64, self.squares as u64])
    }

    /// Sample standard deviation.
    pub(crate) fn deviation(self) -> f64 {
        self.variance().sqrt()
    }
}

/// The nearest number: where 64 bits are enough, by the processor.
fn float(number: u128) -> f64 {
    u64::try_from(number).map_or_else(|_| number as f64, |number| number as f64)
}

/// `above / below`, 0 when `below` is 0.
pub(crate) fn ratio(above: f64, below: f64) -> f64 {
    if below == 0.0 { 0.0 } else { above / below }
}

/// `count` per second over `us` microseconds, 0 when no time passed.
pub(crate) fn per_second(count: f64, us: u64) -> f64 {
    ratio(count, us as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_agree_with_a_naive_computation() {
        let values = [3u64, 1, 4, 1, 5, 9, 2, 6];
        let sums = Sums::new(8, values.iter().sum(), values.iter().map(|v| v * v).sum());
        let mean = 31.0 / 8.0;
        let variance = values.iter().map(|v| (*v as f64 - mean).powi(2)).sum::<f64>() / 7.0;
        assert!((sums.mean() - mean).abs() < 1e-12);
        assert!((sums.variance() - variance).abs() < 1e-12);
        assert_eq!(Sums::new(1, 5, 25).deviation(), 0.0);
        assert_eq!(Sums::default().mean(), 0.0);
    }

    #[test]
    fn sums_that_contradict_themselves_stay_finite() {
        let absurd = Sums::new(u64::MAX, u64::MAX, 0).plus(Sums::new(u64::MAX, u64::MAX, u64::MAX));
        assert!(absurd.deviation().is_finite());
    }
}
