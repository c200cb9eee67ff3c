//! The clocks the kernel half uses, read from userspace.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds since boot, suspend included: the time of flows and records.
pub(crate) fn boot_ns() -> u64 {
    read(ClockId::CLOCK_BOOTTIME)
}

/// Nanoseconds of the monotonic clock: the time of rules. The kernel compares with the coarse variant, which
/// lags by up to 4 ms.
pub(crate) fn monotonic_ns() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Processor time of this thread.
pub(crate) fn thread_cpu() -> Duration {
    Duration::from_nanos(read(ClockId::CLOCK_THREAD_CPUTIME_ID))
}

/// Wall clock less boot clock now, µs. A step of the wall clock changes it, suspend does not: both clocks count that.
/// So it is read whenever it is needed, and never kept.
pub(crate) fn boot_to_wall_offset_us() -> i64 {
    offset_us(|| [boot_ns(), read(ClockId::CLOCK_REALTIME), boot_ns()])
}

/// Reads of the two clocks farther apart than this are tried again: the thread was interrupted between them.
const TOGETHER_NS: u64 = 20_000;
const TRIES: usize = 8;

/// The offset by the closest of a few readings: boot clock, wall clock, boot clock, in nanoseconds.
fn offset_us(mut readings: impl FnMut() -> [u64; 3]) -> i64 {
    let (mut offset, mut closest) = (0, u64::MAX);
    for _ in 0..TRIES {
        let [before, wall, after] = readings();
        let apart = after.saturating_sub(before);
        if apart < closest {
            closest = apart;
            offset = us(wall) - us(before + apart / 2);
        }
        if apart <= TOGETHER_NS {
            break;
        }
    }
    offset
}

fn us(ns: u64) -> i64 {
    i64::try_from(ns / 1000).unwrap_or(i64::MAX)
}

/// These clocks exist on every kernel this sensor starts on; were one missing, time would stand still at 0.
fn read(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |t| {
        let seconds = u64::try_from(t.tv_sec()).unwrap_or(0);
        let nanos = u64::try_from(t.tv_nsec()).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn the_offset_follows_a_step_and_survives_suspend() {
        let at = |boot: u64, wall: u64| offset_us(|| [boot, wall, boot]);
        let before = at(100 * S, 1_700_000_100 * S);
        assert_eq!(before, 1_700_000_000_000_000);
        // An hour of suspend: both clocks went on.
        assert_eq!(at(3_700 * S, 1_700_003_700 * S), before);
        // The wall clock is set an hour ahead, then two back.
        assert_eq!(at(3_701 * S, 1_700_007_301 * S), before + 3_600_000_000);
        assert_eq!(at(3_702 * S, 1_700_000_102 * S), before - 3_600_000_000);
    }

    #[test]
    fn an_interruption_between_the_two_clocks_is_no_step() {
        // Two seconds between the first reading's clocks.
        let mut readings = [[10 * S, 1_012 * S, 12 * S], [12 * S, 1_012 * S + 500, 12 * S + 1_000]].into_iter();
        assert_eq!(offset_us(|| readings.next().unwrap()), 1_000_000_000);
        let mut always = 0;
        let slow = offset_us(|| {
            always += 1;
            [10 * S, 1_010 * S + 500_000, 10 * S + 1_000_000]
        });
        assert_eq!((slow, always), (1_000_000_000, TRIES));
    }

    #[test]
    fn this_machine_has_a_wall_clock() {
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
        let ours = boot_to_wall_offset_us() + us(boot_ns());
        assert!(i64::try_from(wall).unwrap().abs_diff(ours) < 1_000_000, "{wall} and {ours}");
    }
}
