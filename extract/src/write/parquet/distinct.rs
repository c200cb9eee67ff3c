//! Distinct values of a column, numbered as they come.

use std::hash::{BuildHasher, RandomState};

/// Free places are at least as many as taken ones.
const PLACES_A_VALUE: usize = 2;

/// A random number that files never depend on: values of a capture can't be chosen so that they all meet in a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed(u64);

impl Seed {
    pub(super) fn new() -> Self {
        Self(RandomState::new().hash_one(0) | 1)
    }
}

/// Up to so many values, each with its number.
pub(super) struct Distinct {
    seed: Seed,
    shift: u32,
    /// Where the value of a place is in `values`, plus one; 0 for none.
    places: Vec<u16>,
    values: Vec<u64>,
    most: usize,
}

impl Distinct {
    /// Takes up to `most` values, 32,767 at most.
    pub(super) fn new(seed: Seed, most: usize) -> Self {
        let most = most.clamp(1, usize::from(u16::MAX) / PLACES_A_VALUE);
        let places = (most * PLACES_A_VALUE).next_power_of_two();
        let shift = u64::BITS - places.trailing_zeros();
        Self { seed, shift, places: vec![0; places], values: Vec::with_capacity(most), most }
    }

    /// The values so far, in the order of their numbers.
    pub(super) fn values(&self) -> &[u64] {
        &self.values
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.places.fill(0);
        self.values.clear();
    }

    /// The number of a value; nothing where there are too many.
    #[inline]
    pub(super) fn number(&mut self, value: u64) -> Option<u16> {
        let mask = self.places.len() - 1;
        // Multiply-shift (Dietzfelbinger et al. 1997): two values meet as seldom as at random.
        let mut at = (value.wrapping_mul(self.seed.0) >> self.shift) as usize & mask;
        loop {
            let number = self.places[at];
            if number == 0 {
                return self.add(at, value);
            }
            if self.values[usize::from(number) - 1] == value {
                return Some(number - 1);
            }
            at = (at + 1) & mask;
        }
    }

    #[cold]
    fn add(&mut self, at: usize, value: u64) -> Option<u16> {
        if self.values.len() == self.most {
            return None;
        }
        self.values.push(value);
        let number = self.values.len() as u16;
        self.places[at] = number;
        Some(number - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_numbers_until_there_are_too_many() {
        let mut distinct = Distinct::new(Seed::new(), 100);
        for round in 0..2 {
            for value in 0..100_u64 {
                assert_eq!(distinct.number((value as f64).to_bits()), Some(value as u16), "round {round}");
            }
        }
        assert_eq!(distinct.number(7), None);
        assert_eq!(distinct.number(5.0_f64.to_bits()), Some(5));
        assert_eq!(distinct.values().len(), 100);
        distinct.clear();
        assert_eq!(distinct.number(7), Some(0));
        assert_eq!(distinct.values(), [7]);
    }
}
