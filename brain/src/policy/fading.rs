//! A count of flows that fades with time.

/// A count that halves over its half-life.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fading {
    score: f64,
    at_us: u64,
}

impl Fading {
    /// Adds one flow.
    pub(super) fn add(&mut self, now_us: u64, half_life_us: u64) {
        self.score = self.score(now_us, half_life_us) + 1.0;
        self.at_us = now_us;
    }

    /// What is left of all flows.
    pub(super) fn score(&self, now_us: u64, half_life_us: u64) -> f64 {
        let age_us = now_us.saturating_sub(self.at_us);
        self.score * (-(age_us as f64) / half_life_us.max(1) as f64).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_halves() {
        let mut count = Fading::default();
        count.add(0, 10);
        count.add(0, 10);
        assert_eq!(count.score(10, 10), 1.0);
        assert_eq!(count.score(0, 0), 2.0);
    }
}
