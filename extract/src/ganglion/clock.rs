//! Event time of a row of frames.

use ganglion_features::{EventClock, Tick};

const NS_A_US: i64 = 1_000;

/// What a frame's time does.
pub(super) struct Moment {
    /// The frame's time, µs since 1970; never 0, which stands for "none" in a flow state.
    pub(super) now_us: u64,
    /// Event time with this frame.
    pub(super) clock_us: u64,
    /// A new time base begins: everything before is over, at this event time.
    pub(super) over_us: Option<u64>,
}

/// Follows the frames' times.
#[derive(Default)]
pub(super) struct Clock {
    event: EventClock,
    last_us: u64,
    backwards: u64,
    resets: u64,
}

impl Clock {
    #[inline(always)]
    pub(super) fn frame(&mut self, time_ns: i64) -> Moment {
        let now_us = time_ns.div_euclid(NS_A_US).max(1).unsigned_abs();
        self.backwards += u64::from(now_us < self.last_us);
        self.last_us = now_us;
        let before_us = self.event.now_us();
        let over_us = match self.event.advance(now_us) {
            Tick::Forward | Tick::Backward => None,
            Tick::Reset => {
                self.resets += 1;
                Some(before_us)
            }
        };
        Moment { now_us, clock_us: self.event.now_us(), over_us }
    }

    /// Event time.
    pub(super) fn now_us(&self) -> u64 {
        self.event.now_us()
    }

    /// Frames that were older than the one before.
    pub(super) fn backwards(&self) -> u64 {
        self.backwards
    }

    /// New time bases.
    pub(super) fn resets(&self) -> u64 {
        self.resets
    }
}
