//! Debian's xdp-filter, beside which the drop is measured.

use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use aya::maps::{Map, MapData, PerCpuHashMap, PerCpuValues};
use aya::programs::ProgramInfo;

use crate::frames::BLOCKED;

const XDP_FILTER: &str = "/usr/lib/x86_64-linux-gnu/bpf/xdpfilt_dny_ip.o";

/// Loads xdp-filter's program with one blocked address. aya refuses its object and libbpf pins its maps at
/// fixed places, so bpftool loads it into a bpffs that this process alone sees.
pub(crate) fn xdp_filter() -> Result<OwnedFd> {
    private_bpffs().context("a bpffs of this process's own")?;
    let status = Command::new("bpftool")
        .args(["prog", "load", XDP_FILTER, "/sys/fs/bpf/filter", "type", "xdp"])
        .stderr(Stdio::null())
        .status()
        .context("bpftool: run `cargo xtask setup --for dev`")?;
    ensure!(status.success(), "bpftool does not load {XDP_FILTER}: is xdp-tools installed?");
    let map = Map::PerCpuHashMap(MapData::from_pin("/sys/fs/bpf/filter_ipv4")?);
    let mut map: PerCpuHashMap<_, u32, u64> = PerCpuHashMap::try_from(map)?;
    let cpus = aya::util::nr_cpus().map_err(|(what, error)| anyhow::anyhow!("{what}: {error}"))?;
    // Flags and a count per CPU; bits 0 and 1 match receiver and sender.
    map.insert(u32::from_ne_bytes(BLOCKED), PerCpuValues::try_from(vec![3u64; cpus])?, 0)?;
    let program = ProgramInfo::from_pin("/sys/fs/bpf/filter")?;
    Ok(program.fd()?.as_fd().try_clone_to_owned()?)
}

fn private_bpffs() -> std::io::Result<()> {
    let check = |result: i32| if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) };
    // SAFETY: constant, terminated strings; the mounts change for this process alone.
    unsafe {
        check(libc::unshare(libc::CLONE_NEWNS))?;
        let private = libc::MS_REC | libc::MS_PRIVATE;
        check(libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), private, std::ptr::null()))?;
        check(libc::mount(c"bpf".as_ptr(), c"/sys/fs/bpf".as_ptr(), c"bpf".as_ptr(), 0, std::ptr::null()))
    }
}
