//! When to look at which flow again: a hashed timing wheel (Varghese and Lauck 1987), with a heap for what is near.
//!
//! Most timers come to nothing, because another packet came. Those cost one entry in a list; only what is due within a
//! turn of the wheel is put in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A slot is 2^19 µs wide, 0.5 s.
const SLOT_BITS: u32 = 19;
/// The wheel turns once in 134 s, longer than most time-outs; what lies beyond waits for another turn.
const SLOTS: usize = 256;

/// A time and the number of a flow.
type Timer = (u64, u32);

/// Timers by time.
pub(super) struct Timers {
    wheel: Vec<Vec<Timer>>,
    /// The slots before this one are empty but for later turns.
    tick: u64,
    /// Timers of slots before `tick`.
    near: BinaryHeap<Reverse<Timer>>,
}

impl Timers {
    pub(super) fn new() -> Self {
        Self { wheel: (0..SLOTS).map(|_| Vec::new()).collect(), tick: 0, near: BinaryHeap::new() }
    }

    #[inline]
    pub(super) fn add(&mut self, due_us: u64, number: u32) {
        let tick = due_us >> SLOT_BITS;
        if tick < self.tick {
            self.near.push(Reverse((due_us, number)));
        } else {
            self.wheel[tick as usize % SLOTS].push((due_us, number));
        }
    }

    /// The next timer up to `clock_us`. `real_us` says when a timer is due by now: it may have become void (`None`), or
    /// later, in which case it is kept for then.
    pub(super) fn next(&mut self, clock_us: u64, mut real_us: impl FnMut(Timer) -> Option<u64>) -> Option<Timer> {
        let end = (clock_us >> SLOT_BITS) + 1;
        if end > self.tick {
            self.turn(end, &mut real_us);
        }
        while let Some(&Reverse((due_us, number))) = self.near.peek() {
            if due_us > clock_us {
                return None;
            }
            self.near.pop();
            match real_us((due_us, number)) {
                Some(real_us) if real_us > clock_us => self.add(real_us, number),
                Some(real_us) => return Some((real_us, number)),
                None => {}
            }
        }
        None
    }

    /// Nothing is due before this time.
    pub(super) fn next_us(&self) -> u64 {
        let turn_us = self.tick << SLOT_BITS;
        self.near.peek().map_or(turn_us, |Reverse((due_us, _))| turn_us.min(*due_us))
    }

    /// Turns the wheel to the slot `end`.
    fn turn(&mut self, end: u64, real_us: &mut impl FnMut(Timer) -> Option<u64>) {
        // More than a whole turn meets no slot twice.
        let slots = (end - self.tick).min(SLOTS as u64);
        let first = self.tick;
        self.tick = end;
        for slot in first..first + slots {
            let timers = std::mem::take(&mut self.wheel[slot as usize % SLOTS]);
            for timer in timers {
                if timer.0 >> SLOT_BITS >= end {
                    self.wheel[slot as usize % SLOTS].push(timer);
                } else if let Some(real_us) = real_us(timer) {
                    self.add(real_us, timer.1);
                }
            }
        }
    }

    /// Forgets all timers.
    pub(super) fn clear(&mut self) {
        self.wheel.iter_mut().for_each(Vec::clear);
        self.near.clear();
        self.tick = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Timers come when they are due, and each once; those that moved come when they moved to.
        #[test]
        fn every_timer_comes_in_its_time(
            steps in proptest::collection::vec((0u64..400_000_000, 0u64..400_000_000, any::<bool>()), 1..60),
        ) {
            let mut timers = Timers::new();
            let mut real: Vec<u64> = Vec::new();
            let (mut clock_us, mut came) = (1_700_000_000_000_000, Vec::new());
            for (after_us, step_us, moves) in steps {
                let due_us = clock_us + after_us;
                timers.add(due_us, real.len() as u32);
                real.push(if moves { due_us + after_us / 2 } else { due_us });
                clock_us += step_us / 4;
                while let Some((due_us, number)) = timers.next(clock_us, |(_, number)| Some(real[number as usize])) {
                    prop_assert_eq!(due_us, real[number as usize]);
                    prop_assert!(due_us <= clock_us);
                    came.push(number);
                }
                prop_assert!(timers.next_us() > clock_us);
                let due = real.iter().filter(|due_us| **due_us <= clock_us).count();
                prop_assert_eq!(came.len(), due);
            }
            came.sort_unstable();
            came.dedup();
            prop_assert_eq!(came.len(), real.iter().filter(|due_us| **due_us <= clock_us).count());
        }
    }
}
