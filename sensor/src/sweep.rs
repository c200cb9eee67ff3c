//! Expiry: runs the iterator programs over the flow tables, as often as their cost allows.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aya::Ebpf;
use aya::programs::Iter;

use crate::clock;
use crate::load::{SWEEP_FLOWS, SWEEP_HALF_OPEN};
use crate::maps::FlowTables;
use crate::sys;

const SHORTEST: Duration = Duration::from_secs(1);
/// A sweep may take 1 % of a core.
const REST: u32 = 100;
/// While flows find no room in their table it may take 10 %.
const REST_WHEN_FULL: u32 = 10;
/// What the drain needs to make room for further records.
const BREATH: Duration = Duration::from_millis(1);
/// The drain never waits for anybody: a walk that takes so long finds no room any more.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why expiry can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The object lacks the program.
    #[error("the object has no usable program {0}: build again")]
    Missing(&'static str),
    /// The program can't be tied to its map.
    #[error("can't run {program} over its map: {source}")]
    Link {
        /// Which.
        program: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// What a sweep took.
struct Cost {
    wall: Duration,
    /// Of the processor: waiting for room costs nobody anything.
    cpu: Duration,
}

/// Both iterators, ready to run.
pub(crate) struct Sweeper {
    flows: OwnedFd,
    half_open: OwnedFd,
    /// One sweep at a time: the kernel half relies on it.
    running: Mutex<()>,
    pub(crate) count: AtomicU64,
    pub(crate) last_us: AtomicU64,
    pub(crate) failed: AtomicU64,
}

impl Sweeper {
    /// Ties the programs to their maps.
    pub(crate) fn new(ebpf: &mut Ebpf, tables: &FlowTables) -> Result<Self, SweepError> {
        Ok(Self {
            flows: link(ebpf, SWEEP_FLOWS, tables.flows.fd().as_fd())?,
            half_open: link(ebpf, SWEEP_HALF_OPEN, tables.half_open.fd().as_fd())?,
            running: Mutex::new(()),
            count: AtomicU64::new(0),
            last_us: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// Runs both walks to their end; how long they took.
    pub(crate) fn run(&self) -> io::Result<Duration> {
        self.run_unless(&Stop::default()).map(|cost| cost.wall)
    }

    /// Runs both walks to their end, or until told to stop.
    fn run_unless(&self, stop: &Stop) -> io::Result<Cost> {
        let _one = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, cpu) = (Instant::now(), clock::thread_cpu());
        let result = walk(&self.flows, stop).and_then(|()| walk(&self.half_open, stop));
        let cost = Cost { wall: start.elapsed(), cpu: clock::thread_cpu().saturating_sub(cpu) };
        self.count.fetch_add(1, Ordering::Relaxed);
        self.last_us.store(u64::try_from(cost.wall.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if result.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        result.map(|()| cost)
    }

    /// Sweeps until told to stop. `refused` counts the packets that found no room in the flow table.
    pub(crate) fn run_until(&self, stop: &Stop, refused: impl Fn() -> u64) {
        let (mut pause, mut before) = (SHORTEST, refused());
        while !stop.wait(pause) {
            pause = match self.run_unless(stop) {
                Ok(cost) => {
                    let now = refused();
                    let rest = if now > before { REST_WHEN_FULL } else { REST };
                    before = now;
                    (cost.cpu * rest).max(SHORTEST)
                }
                Err(error) => {
                    tracing::error!(%error, "sweep failed; flows do not expire until it works again");
                    SHORTEST
                }
            };
        }
    }
}

fn link(ebpf: &mut Ebpf, program: &'static str, map: std::os::fd::BorrowedFd<'_>) -> Result<OwnedFd, SweepError> {
    let found = ebpf.program_mut(program).ok_or(SweepError::Missing(program))?;
    let iter: &mut Iter = found.try_into().map_err(|_| SweepError::Missing(program))?;
    let fd = iter.fd().map_err(|_| SweepError::Missing(program))?;
    sys::link_map_iter(fd.as_fd(), map).map_err(|source| SweepError::Link { program, source })
}

fn walk(link: &OwnedFd, stop: &Stop) -> io::Result<()> {
    let mut file: File = sys::open_iter(link.as_fd())?;
    let mut buffer = [0u8; 64];
    let begun = Instant::now();
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            // The walk waits for room in the ring buffer, or the kernel pauses it. It goes on where it stopped.
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                if stop.wait(BREATH) {
                    return Ok(());
                }
                if begun.elapsed() > PATIENCE {
                    let why = "the ring buffer stays full: nobody takes records out";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, why));
                }
            }
            Err(e) => return Err(e),
        }
    }
}

/// Tells threads to end, and wakes those that wait.
#[derive(Default)]
pub(crate) struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Ends all waiting.
    pub(crate) fn stop(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Whether the end was called.
    pub(crate) fn is_stopped(&self) -> bool {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits; true when the end was called.
    pub(crate) fn wait(&self, pause: Duration) -> bool {
        let guard = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(guard, pause, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
