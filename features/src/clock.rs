//! Event time: the newest record's time, whatever order records come in.

/// A record this much older than the newest one starts a new time base (a reboot, another sensor), µs.
const NEW_TIME_BASE_US: u64 = 60_000_000;

/// What a record's time did to the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    /// It is the newest.
    Forward,
    /// It is a little older; the clock stays.
    Backward,
    /// It is far older: the clock starts anew from it.
    Reset,
}

/// Never runs backwards, but for a new time base.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventClock {
    now_us: u64,
    reversals: u64,
    resets: u64,
}

impl EventClock {
    /// Takes a record's time.
    pub fn advance(&mut self, time_us: u64) -> Tick {
        if time_us >= self.now_us {
            self.now_us = time_us;
            Tick::Forward
        } else if self.now_us - time_us > NEW_TIME_BASE_US {
            self.resets += 1;
            self.now_us = time_us;
            Tick::Reset
        } else {
            self.reversals += 1;
            Tick::Backward
        }
    }

    /// The newest record's time, µs.
    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    /// Records a little older than the newest.
    pub fn reversals(&self) -> u64 {
        self.reversals
    }

    /// New time bases.
    pub fn resets(&self) -> u64 {
        self.resets
    }
}
