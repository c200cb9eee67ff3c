//! One run of a program: how long, how much processor, how much memory.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// What a run took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    pub(super) wall_s: f64,
    /// User and system time, of the program and of what it started.
    pub(super) cpu_s: f64,
    /// Of the largest of these processes.
    pub(super) peak_bytes: u64,
}

/// After so long a run is ended: something is wrong then.
const LONGEST: Duration = Duration::from_secs(600);

/// Takes the file out of the page cache, so that it is there as from a disk once it was read again. As it was written,
/// it lies there in pieces of whatever sizes.
pub(super) fn uncache(path: &Path) -> Result<()> {
    let out = File::open(path).and_then(|file| {
        // What is not yet on the disk stays.
        file.sync_all()?;
        Ok(posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?)
    });
    out.with_context(|| format!("taking {} out of the page cache", path.display()))
}

/// Reads the file whole, so that it lies in the page cache: a machine may have dropped it since, and whoever comes first
/// would wait for the disk.
pub(super) fn cache(path: &Path) -> Result<()> {
    let read = File::open(path).and_then(|mut file| {
        let mut block = vec![0; 1 << 20];
        while file.read(&mut block)? > 0 {}
        Ok(())
    });
    read.with_context(|| format!("reading {}", path.display()))
}

/// Waits until the kernel has done what the last run left to it: else a program that is given all CPUs would share them,
/// and one that is given one would not.
pub(super) fn settle() {
    std::thread::sleep(Duration::from_millis(500));
}

/// Runs `command` on so many CPUs, the first that this process may use; its output goes to `said`. Nothing stands between
/// that would take time of its own.
pub(super) fn run(cpus: usize, command: &Command, said: &Path) -> Result<Usage> {
    let file = File::create(said).with_context(|| format!("creating {}", said.display()))?;
    let mut bounded = Command::new(command.get_program());
    bounded.args(command.get_args());
    bounded.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    bounded.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
    let begun = Instant::now();
    let child = on(cpus, || bounded.spawn())?;
    let child = child.with_context(|| format!("starting {}", crate::process::describe(&bounded)))?;
    let (status, mut usage) = ended_late(child.id(), || wait(child.id()))?;
    usage.wall_s = begun.elapsed().as_secs_f64();
    if !status.success() {
        let text = std::fs::read_to_string(said).unwrap_or_default();
        let last: Vec<&str> = text.lines().rev().take(5).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        bail!("`{}` failed ({status}): {}", crate::process::describe(command), last.join(" / "));
    }
    Ok(usage)
}

/// Does `start` with this thread held on so many CPUs: what it starts stays there.
fn on<T>(cpus: usize, start: impl FnOnce() -> T) -> Result<T> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).context("asking for this thread's CPUs")?;
    sched_setaffinity(this, &first(cpus, &allowed)?).context("choosing CPUs")?;
    let started = start();
    sched_setaffinity(this, &allowed).context("choosing all CPUs again")?;
    Ok(started)
}

/// Ends the process, and what it started, if `wait` takes too long.
fn ended_late<T>(pid: u32, wait: impl FnOnce() -> T) -> T {
    let (done, is_done) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if is_done.recv_timeout(LONGEST) == Err(mpsc::RecvTimeoutError::Timeout) {
                // It may have ended just now.
                let _ = killpg(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
            }
        });
        let waited = wait();
        drop(done);
        waited
    })
}

/// The first of these CPUs.
fn first(cpus: usize, allowed: &CpuSet) -> Result<CpuSet> {
    let is_allowed = |cpu: &usize| allowed.is_set(*cpu).unwrap_or(false);
    let found: Vec<_> = (0..CpuSet::count()).filter(is_allowed).take(cpus).collect();
    if found.len() < cpus {
        bail!("this process may use {} CPU, not {cpus}", found.len());
    }
    let mut set = CpuSet::new();
    found.into_iter().try_for_each(|cpu| set.set(cpu))?;
    Ok(set)
}

/// Waits for a child; it must not be waited for elsewhere.
fn wait(pid: u32) -> Result<(ExitStatus, Usage)> {
    let mut status = 0;
    // SAFETY: all zero is a value of this plain struct; the kernel fills it.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to live values of the types that the call writes.
        let result = unsafe { libc::wait4(pid.cast_signed(), &raw mut status, 0, &raw mut usage) };
        if result == pid.cast_signed() {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error).context("waiting for the program");
        }
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    // The kernel counts it in KiB.
    let peak_bytes = u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024;
    Ok((ExitStatus::from_raw(status), Usage { wall_s: 0.0, cpu_s, peak_bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_program_takes_what_it_takes() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let said = folder.path().join("said");
        let mut busy = Command::new("sh");
        busy.args(["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done; echo done"]);
        let usage = run(1, &busy, &said)?;
        assert!(usage.cpu_s > 0.005 && usage.cpu_s < usage.wall_s + 0.05, "{usage:?}");
        assert!(usage.peak_bytes > 500_000, "{usage:?}");
        assert_eq!(std::fs::read_to_string(&said)?, "done\n");
        Ok(())
    }

    #[test]
    fn a_program_stays_on_its_cpus() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let said = folder.path().join("said");
        let before = sched_getaffinity(Pid::from_raw(0))?;
        run(1, &Command::new("nproc"), &said)?;
        assert_eq!(std::fs::read_to_string(&said)?, "1\n");
        assert!(sched_getaffinity(Pid::from_raw(0))? == before, "and this thread where it was");
        Ok(())
    }

    #[test]
    fn a_failure_says_what_the_program_said() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let mut failing = Command::new("sh");
        failing.args(["-c", "echo no such luck >&2; exit 3"]);
        let error = run(1, &failing, &folder.path().join("said")).err().map(|error| error.to_string());
        assert!(error.as_deref().is_some_and(|text| text.ends_with("no such luck")), "{error:?}");
        Ok(())
    }
}
