//! The clock of the flow records: `CLOCK_BOOTTIME`, which goes on during suspend.

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_gettime};

/// Nanoseconds since boot, comparable with `bpf_ktime_get_boot_ns`.
pub(crate) fn boot_ns() -> Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).context("reading CLOCK_BOOTTIME")?;
    let seconds = u64::try_from(now.tv_sec())?;
    let rest = u64::try_from(now.tv_nsec())?;
    Ok(seconds * 1_000_000_000 + rest)
}
