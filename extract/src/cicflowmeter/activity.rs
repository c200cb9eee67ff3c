//! Times of activity and the silences between them.

use super::moments::Moments;

/// A longer silence between two packets of a row ends a time of activity.
const IDLE_ABOVE_US: i64 = 5_000_000;

/// Active and idle times of one row. The period that runs when the row ends is never recorded, as in the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Activity {
    begun_us: i64,
    last_us: i64,
    pub(super) active_us: Moments,
    pub(super) idle_us: Moments,
}

impl Activity {
    pub(super) fn from(first_us: i64) -> Self {
        Self { begun_us: first_us, last_us: first_us, active_us: Moments::default(), idle_us: Moments::default() }
    }

    /// A further packet.
    pub(super) fn add(&mut self, time_us: i64) {
        let silence_us = time_us.saturating_sub(self.last_us);
        if silence_us > IDLE_ABOVE_US {
            let active_us = self.last_us.saturating_sub(self.begun_us);
            // A lone packet between two silences has no time of activity.
            if active_us > 0 {
                self.active_us.add(active_us);
            }
            self.idle_us.add(silence_us);
            self.begun_us = time_us;
        }
        self.last_us = time_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_closes_the_time_before_it() {
        let mut activity = Activity::from(0);
        for time_us in [2_000_000, 7_000_000, 12_000_001, 20_000_000, 21_000_000] {
            activity.add(time_us);
        }
        assert_eq!((activity.active_us.count(), activity.active_us.sum()), (1, 7_000_000));
        assert_eq!((activity.idle_us.count(), activity.idle_us.sum()), (2, 5_000_001 + 7_999_999));
    }
}
