//! The clocks the kernel half uses, read from userspace.

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

/// Wall clock less boot clock, µs.
pub(crate) fn boot_to_wall_offset_us() -> i64 {
    let wall = read(ClockId::CLOCK_REALTIME) / 1000;
    let boot = boot_ns() / 1000;
    i64::try_from(wall).unwrap_or(i64::MAX).saturating_sub(i64::try_from(boot).unwrap_or(0))
}

/// These clocks exist on every kernel this sensor starts on; were one missing, time would stand still at 0.
fn read(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |t| {
        let seconds = u64::try_from(t.tv_sec()).unwrap_or(0);
        let nanos = u64::try_from(t.tv_nsec()).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
    })
}
