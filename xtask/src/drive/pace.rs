//! Keeping a rate, and random pauses.

use std::time::{Duration, Instant};

use rand::Rng;

/// Ticks at a steady rate until a count or a time is over.
#[derive(Debug)]
pub(super) struct Pace {
    start: Instant,
    interval: Duration,
    done: u64,
    count: u64,
    length: Duration,
}

impl Pace {
    /// `rate` ticks a second for `seconds`.
    pub(super) fn new(rate: u64, seconds: u64) -> Self {
        Self {
            start: Instant::now(),
            interval: Duration::from_nanos(1_000_000_000 / rate.max(1)),
            done: 0,
            count: rate.saturating_mul(seconds),
            length: Duration::from_secs(seconds),
        }
    }

    /// Waits for the next tick; false when it is over. Falls behind rather than catching up in a burst.
    pub(super) fn tick(&mut self) -> bool {
        let due = self.interval * u32::try_from(self.done).unwrap_or(u32::MAX);
        let now = self.start.elapsed();
        if self.done >= self.count || now >= self.length {
            return false;
        }
        // Sleeping costs some 60 µs: shorter waits are made up for by the next tick.
        if due > now + Duration::from_micros(100) {
            std::thread::sleep(due - now);
        } else if now > due + Duration::from_millis(50) {
            self.start += now - due;
            self.length = self.length.saturating_sub(now - due);
        }
        self.done += 1;
        true
    }
}

/// A pause of about `mean`: usually shorter, sometimes up to three times as long.
pub(super) fn pause(mean: Duration, rng: &mut impl Rng) {
    let uniform: f64 = rng.random_range(0.05..1.0);
    std::thread::sleep(mean.mul_f64((-uniform.ln()).min(3.0)));
}
