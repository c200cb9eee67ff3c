//! Calls of bpf(2) that aya has not, or not with this precision.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use anyhow::{Result, bail, ensure};

const PROG_LOAD: libc::c_long = 5;
const PROG_TEST_RUN: libc::c_long = 10;
const LINK_CREATE: libc::c_long = 28;
const ENABLE_STATS: libc::c_long = 32;
const ITER_CREATE: libc::c_long = 33;
const TRACE_ITER: u32 = 28;
const PROG_TYPE_XDP: u32 = 6;

fn bpf(command: libc::c_long, attr: &mut [u32]) -> Result<i32> {
    // SAFETY: `attr` is a whole bpf_attr for the command.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), size_of_val(attr)) };
    if result < 0 {
        bail!("bpf({command}): {}", std::io::Error::last_os_error());
    }
    Ok(result as i32)
}

fn opened(command: libc::c_long, attr: &mut [u32]) -> Result<OwnedFd> {
    let fd = bpf(command, attr)?;
    // SAFETY: these commands return a descriptor that the kernel just made.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Has the kernel count and time runs for as long as the descriptor is open.
pub(crate) fn statistics() -> Result<OwnedFd> {
    opened(ENABLE_STATS, &mut [0])
}

/// `return XDP_PASS`, assembled by hand.
pub(crate) fn empty_program() -> Result<OwnedFd> {
    let code: [u64; 2] = [0x0000_0002_0000_00b7, 0x95];
    let halves = |at: u64| [at as u32, (at >> 32) as u32];
    let ([code_low, code_high], [license_low, license_high]) =
        (halves(code.as_ptr() as u64), halves(c"GPL".as_ptr() as u64));
    opened(PROG_LOAD, &mut [PROG_TYPE_XDP, 2, code_low, code_high, license_low, license_high, 0, 0, 0, 0, 0, 0])
}

/// Runs the program `repeat` times on the packet; its last return value and the mean time of a run, ns. The kernel's
/// own mean has no digits behind the point, where a run takes five.
pub(crate) fn test_run(program: BorrowedFd<'_>, packet: &[u8], repeat: u32) -> Result<(u32, f64)> {
    let at = packet.as_ptr() as u64;
    let mut attr = [0u32; 20];
    attr[0] = program.as_raw_fd() as u32;
    attr[2] = packet.len() as u32;
    attr[4] = at as u32;
    attr[5] = (at >> 32) as u32;
    attr[8] = repeat;
    let before = thread_ns()?;
    bpf(PROG_TEST_RUN, &mut attr)?;
    Ok((attr[1], (thread_ns()? - before) / f64::from(repeat)))
}

/// A walk of an iterator program over a map, from its start to its end.
pub(crate) fn walk(program: BorrowedFd<'_>, map: BorrowedFd<'_>) -> Result<()> {
    let info = [map.as_raw_fd() as u32];
    let at = info.as_ptr() as u64;
    let link =
        opened(LINK_CREATE, &mut [program.as_raw_fd() as u32, 0, TRACE_ITER, 0, at as u32, (at >> 32) as u32, 4, 0])?;
    let iter = opened(ITER_CREATE, &mut [link.as_raw_fd() as u32, 0])?;
    std::io::copy(&mut std::fs::File::from(iter), &mut std::io::sink())?;
    Ok(())
}

/// Time that this thread had a processor.
pub(crate) fn thread_ns() -> Result<f64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a whole timespec.
    ensure!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) } == 0, "no clock of this thread");
    Ok(time.tv_sec as f64 * 1e9 + time.tv_nsec as f64)
}

/// Microseconds of the clock that flows are timed with.
pub(crate) fn boot_us() -> Result<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a whole timespec.
    ensure!(unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut time) } == 0, "no boot clock");
    Ok(time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000)
}

/// Binds this thread to a CPU.
pub(crate) fn stay_on(cpu: usize) -> Result<()> {
    // SAFETY: a set of CPUs is plain bits; the call reads it whole.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    ensure!(result == 0, "CPU {cpu} can't be had: {}", std::io::Error::last_os_error());
    Ok(())
}
