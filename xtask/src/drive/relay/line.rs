//! One direction of a link: frames wait their time in order, some are lost, and there is only so much room.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::lab::relay::{Counts, Link};

/// Frames under way at once: at 40 ms, more than 100 000 a second.
pub(super) const ROOM: usize = 4096;

/// Frames under way, the oldest first.
#[derive(Debug)]
pub(super) struct Line {
    link: Link,
    rng: ChaCha8Rng,
    waiting: VecDeque<(Instant, Vec<u8>)>,
    counts: Counts,
}

impl Line {
    pub(super) fn new(link: Link, rng: ChaCha8Rng) -> Self {
        Self { link, rng, waiting: VecDeque::new(), counts: Counts::default() }
    }

    /// Takes a frame in; says when it is due, or nothing when it goes no further.
    ///
    /// Jitter never changes the order: a frame that would overtake waits for the one before it.
    pub(super) fn offer(&mut self, now: Instant, frame: &[u8]) -> Option<Instant> {
        self.counts.taken += 1;
        // Both are drawn for every frame: what one frame suffers does not depend on another's luck.
        let lost = self.rng.random_range(0..1000) < self.link.loss_permille;
        let jitter_us = self.link.jitter_ms.min(self.link.delay_ms) * 1000;
        let delay_us = self.link.delay_ms * 1000 - jitter_us + self.rng.random_range(0..=2 * jitter_us);
        if lost {
            self.counts.lost += 1;
            return None;
        }
        if self.waiting.len() >= ROOM {
            self.counts.no_room += 1;
            return None;
        }
        let before = self.waiting.back().map_or(now, |(due, _)| *due);
        let due = before.max(now + Duration::from_micros(delay_us));
        self.waiting.push_back((due, frame.to_vec()));
        Some(due)
    }

    /// The oldest frame, if its time has come.
    pub(super) fn take(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.waiting.front().filter(|(due, _)| *due <= now)?;
        self.waiting.pop_front().map(|(_, frame)| frame)
    }

    /// What became of the frames so far.
    pub(super) fn counts(&self) -> Counts {
        Counts { waiting: self.waiting.len() as u64, ..self.counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::draw::rng;

    fn line(delay_ms: u64, jitter_ms: u64, loss_permille: u64, seed: u64) -> Line {
        Line::new(Link { delay_ms, jitter_ms, loss_permille }, rng(seed, "line", 0))
    }

    #[test]
    fn every_frame_waits_within_its_bounds_and_none_overtakes() {
        let start = Instant::now();
        for seed in 0..20 {
            let mut line = line(40, 10, 0, seed);
            let mut before = start;
            for number in 0..2000_u64 {
                let now = start + Duration::from_micros(number * 137);
                let due = line.offer(now, &number.to_be_bytes()).unwrap();
                let waits = due - now;
                assert!(waits >= Duration::from_millis(30) && waits <= Duration::from_millis(50), "{waits:?}");
                assert!(due >= before);
                before = due;
            }
            assert!(line.take(start + Duration::from_millis(29)).is_none());
            let late = before + Duration::from_micros(1);
            for number in 0..2000_u64 {
                assert_eq!(line.take(late).unwrap(), number.to_be_bytes());
            }
            assert!(line.take(late).is_none());
        }
    }

    #[test]
    fn losses_come_in_the_share_that_was_asked_for_and_are_counted() {
        let now = Instant::now();
        for (loss_permille, low, high) in [(0, 0, 0), (10, 700, 1300), (200, 19_000, 21_000), (1000, 100_000, 100_000)]
        {
            let mut line = line(1, 0, loss_permille, 3);
            for _ in 0..100_000 {
                line.offer(now, b"frame");
                line.take(now + Duration::from_millis(2));
            }
            let Counts { taken, lost, no_room, .. } = line.counts();
            assert_eq!((taken, no_room), (100_000, 0));
            assert!((low..=high).contains(&lost), "{lost} of 100000 at {loss_permille} in a thousand");
        }
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let now = Instant::now();
        let mut line = line(1000, 0, 0, 1);
        for _ in 0..ROOM + 7 {
            line.offer(now, b"frame");
        }
        let counts = line.counts();
        assert_eq!((counts.waiting, counts.no_room, counts.lost), (ROOM as u64, 7, 0));
    }

    #[test]
    fn the_same_seed_loses_the_same_frames() {
        let now = Instant::now();
        let lost = |seed| -> Vec<bool> {
            let mut line = line(5, 2, 300, seed);
            (0..200).map(|_| line.offer(now, b"frame").is_none()).collect()
        };
        assert_eq!(lost(1), lost(1));
        assert_ne!(lost(1), lost(2));
    }
}
