//! Shapley values of one row against a background, by sampled permutations.
//!
//! A permutation turns a background row into the row in question, one feature after the other; what the score gains at
//! a feature's turn is that feature's share. Each permutation is walked in both directions (antithetic), and every
//! background row takes part equally often, so that the shares add up to f(row) − mean f(background) exactly.

use ganglion_flow::key::mix;
use std::time::{Duration, Instant};

/// How much may be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// After this time no further call is begun.
    pub time: Duration,
    /// Permutations for each background row, at most; each is walked in both directions.
    pub rounds: usize,
    /// Rows given to the model at once.
    pub batch_rows: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { time: Duration::from_millis(250), rounds: 4, batch_rows: 1_024 }
    }
}

/// The shares of a row's features.
#[derive(Clone, Debug, PartialEq)]
pub struct Shapley {
    /// By feature; they add up to `value` − `base`.
    pub shares: Vec<f64>,
    /// Score of the row.
    pub value: f64,
    /// Mean score of the background rows that took part.
    pub base: f64,
    /// Background rows that took part.
    pub background: usize,
    /// Walks, both directions counted.
    pub walks: usize,
}

/// The walks of one background row that wait for their scores.
struct Pair {
    background: usize,
    /// Features in which row and background differ, in the order of the walk there; back it is reversed.
    order: Vec<usize>,
}

struct Sampler<'a> {
    row: &'a [f32],
    background: &'a [Vec<f32>],
    budget: &'a Budget,
    began: Instant,
    random: u64,
    value: f64,
    bases: Vec<f64>,
}

/// Sums over walks.
#[derive(Clone)]
struct Sums {
    shares: Vec<f64>,
    base: f64,
    pairs: usize,
}

/// Explains `score` at `row`. `score` gives the scores of so many rows that lie one after the other. `None` without a
/// background, or when the time was up before anything was known.
///
/// # Errors
/// Those of `score`.
pub fn shapley<E>(
    row: &[f32],
    background: &[Vec<f32>],
    seed: u64,
    budget: &Budget,
    score: &mut impl FnMut(&[f32], usize) -> Result<Vec<f64>, E>,
) -> Result<Option<Shapley>, E> {
    if background.is_empty() || background.iter().any(|other| other.len() != row.len()) {
        return Ok(None);
    }
    let began = Instant::now();
    let first: Vec<f32> = row.iter().chain(background.iter().flatten()).copied().collect();
    let mut bases = score(&first, background.len() + 1)?;
    let value = bases.remove(0);
    let mut sampler = Sampler { row, background, budget, began, random: seed, value, bases };
    let nothing = Sums { shares: vec![0.0; row.len()], base: 0.0, pairs: 0 };
    let mut sums = nothing.clone();
    for _ in 0..budget.rounds.max(1) {
        let mut round = nothing.clone();
        let whole = sampler.round(&mut round, score)?;
        // Part of a round would give some background rows more weight; it is only kept when there is nothing else.
        if whole || sums.pairs == 0 {
            sums.add(&round);
        }
        if !whole {
            break;
        }
    }
    Ok((sums.pairs > 0).then(|| sums.mean(value, background.len())))
}

impl Sampler<'_> {
    /// One pair of walks from each background row, in random order; false when the time was up before the last.
    fn round<E>(
        &mut self,
        sums: &mut Sums,
        score: &mut impl FnMut(&[f32], usize) -> Result<Vec<f64>, E>,
    ) -> Result<bool, E> {
        let mut turns: Vec<usize> = (0..self.background.len()).collect();
        self.shuffle(&mut turns);
        let (mut pairs, mut values) = (Vec::new(), Vec::new());
        for (turn, background) in turns.iter().enumerate() {
            let mut order: Vec<usize> =
                (0..self.row.len()).filter(|at| self.row[*at] != self.background[*background][*at]).collect();
            self.shuffle(&mut order);
            let pair = Pair { background: *background, order };
            self.walk(&pair, &mut values);
            pairs.push(pair);
            let rows = values.len() / self.row.len().max(1);
            if rows >= self.budget.batch_rows || turn + 1 == turns.len() {
                let scores = if rows > 0 { score(&values, rows)? } else { Vec::new() };
                self.take(&pairs, &scores, sums);
                pairs.clear();
                values.clear();
                if turn + 1 < turns.len() && self.began.elapsed() >= self.budget.time {
                    return Ok(false);
                }
            }
        }
        Ok(self.began.elapsed() < self.budget.time)
    }

    /// The rows between background and row, there and back.
    fn walk(&self, pair: &Pair, values: &mut Vec<f32>) {
        let between = |order: &mut dyn Iterator<Item = &usize>, values: &mut Vec<f32>| {
            let mut at = self.background[pair.background].clone();
            for feature in order {
                at[*feature] = self.row[*feature];
                values.extend_from_slice(&at);
            }
        };
        let steps = pair.order.len().saturating_sub(1);
        between(&mut pair.order.iter().take(steps), values);
        between(&mut pair.order.iter().rev().take(steps), values);
    }

    fn take(&self, pairs: &[Pair], scores: &[f64], sums: &mut Sums) {
        let mut scores = scores.iter().copied();
        for pair in pairs {
            let steps = pair.order.len().saturating_sub(1);
            let base = self.bases.get(pair.background).copied().unwrap_or(f64::NAN);
            let mut gain = |order: &mut dyn Iterator<Item = &usize>| {
                let mut before = base;
                for (step, feature) in order.enumerate() {
                    let after = if step < steps { scores.next().unwrap_or(f64::NAN) } else { self.value };
                    sums.shares[*feature] += after - before;
                    before = after;
                }
            };
            gain(&mut pair.order.iter());
            gain(&mut pair.order.iter().rev());
            sums.base += base;
            sums.pairs += 1;
        }
    }

    fn shuffle(&mut self, items: &mut [usize]) {
        for end in (1..items.len()).rev() {
            self.random = mix(self.random, 0x9e37_79b9_7f4a_7c15);
            items.swap(end, (self.random % (end as u64 + 1)) as usize);
        }
    }
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.shares.iter_mut().zip(&other.shares).for_each(|(sum, share)| *sum += share);
        self.base += other.base;
        self.pairs += other.pairs;
    }

    fn mean(self, value: f64, background: usize) -> Shapley {
        let (pairs, walks) = (self.pairs as f64, self.pairs * 2);
        let shares = self.shares.into_iter().map(|share| share / (2.0 * pairs)).collect();
        Shapley { shares, value, base: self.base / pairs, background: background.min(self.pairs), walks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Budget = Budget { time: Duration::from_secs(60), rounds: 200, batch_rows: 64 };

    fn run(f: impl Fn(&[f32]) -> f64, row: &[f32], background: &[Vec<f32>], budget: &Budget) -> Option<Shapley> {
        let mut score = |values: &[f32], rows: usize| {
            assert_eq!(values.len(), rows * row.len());
            Ok::<_, std::convert::Infallible>(values.chunks(row.len()).map(&f).collect())
        };
        shapley(row, background, 7, budget, &mut score).unwrap()
    }

    /// By the definition: the mean over all subsets, each weighed by the permutations that pass it.
    fn exact(f: impl Fn(&[f32]) -> f64, row: &[f32], background: &[Vec<f32>]) -> Vec<f64> {
        let n = row.len();
        let factorial = |k: usize| (1..=k).map(|i| i as f64).product::<f64>();
        let with = |set: usize| {
            let mix = |other: &Vec<f32>| (0..n).map(|j| if set >> j & 1 == 1 { row[j] } else { other[j] }).collect();
            background.iter().map(|other| f(&Vec::from_iter::<Vec<f32>>(mix(other)))).sum::<f64>()
                / background.len() as f64
        };
        let share = |j: usize| {
            let without = (0..1 << n).filter(|set| set >> j & 1 == 0);
            let weighed = without.map(|set: usize| {
                let size = set.count_ones() as usize;
                factorial(size) * factorial(n - size - 1) / factorial(n) * (with(set | 1 << j) - with(set))
            });
            weighed.sum()
        };
        (0..n).map(share).collect()
    }

    fn odd(values: &[f32]) -> f64 {
        let v: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
        (v[0] * v[1]).tanh() + (v[2] - v[3]).max(0.0) * v[0] + 0.3 * v[4]
            - f64::from(u8::from(v[1] > 0.5 && v[4] > 0.5))
    }

    fn background() -> Vec<Vec<f32>> {
        (0..5).map(|i| (0..5).map(|j| ((i * 7 + j * 3) % 11) as f32 / 5.0 - 1.0).collect()).collect()
    }

    #[test]
    fn samples_come_close_to_the_definition() {
        let row = [1.0, 0.8, 0.9, -0.3, 0.7];
        let found = run(odd, &row, &background(), &LONG).unwrap();
        for (sampled, exact) in found.shares.iter().zip(exact(odd, &row, &background())) {
            assert!((sampled - exact).abs() < 0.02, "{sampled} {exact}");
        }
    }

    #[test]
    fn shares_add_up_whatever_the_number_of_walks() {
        let row = [1.0, 0.8, 0.9, -0.3, 0.7];
        for rounds in [1, 3] {
            let found = run(odd, &row, &background(), &Budget { rounds, ..LONG }).unwrap();
            let mean = background().iter().map(|other| odd(other)).sum::<f64>() / 5.0;
            assert!((found.base - mean).abs() < 1e-9 && found.background == 5 && found.walks == rounds * 10);
            assert!((found.shares.iter().sum::<f64>() - (found.value - found.base)).abs() < 1e-9);
        }
    }

    #[test]
    fn of_a_linear_model_one_walk_is_exact() {
        let linear = |v: &[f32]| f64::from(2.0 * v[0] - v[1]);
        let found = run(linear, &[3.0, 1.0], &[vec![1.0, 0.0], vec![0.0, 0.0]], &Budget { rounds: 1, ..LONG }).unwrap();
        assert!((found.shares[0] - 5.0).abs() < 1e-9 && (found.shares[1] + 1.0).abs() < 1e-9);
    }

    #[test]
    fn time_ends_it_after_a_batch_and_the_sum_still_holds() {
        let row = [1.0, 0.8, 0.9, -0.3, 0.7];
        let budget = Budget { time: Duration::ZERO, rounds: 9, batch_rows: 1 };
        let found = run(odd, &row, &background(), &budget).unwrap();
        assert_eq!((found.background, found.walks), (1, 2));
        assert!((found.shares.iter().sum::<f64>() - (found.value - found.base)).abs() < 1e-9);
    }

    #[test]
    fn without_a_background_there_is_nothing_to_say() {
        assert_eq!(run(odd, &[0.0; 5], &[], &LONG), None);
        assert_eq!(run(odd, &[0.0; 5], &[vec![0.0; 4]], &LONG), None);
        let same = run(odd, &[0.5; 5], &[vec![0.5; 5]], &LONG).unwrap();
        assert!(same.shares.iter().all(|share| *share == 0.0) && (same.value - same.base).abs() < 1e-12);
    }
}
