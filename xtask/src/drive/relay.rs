//! Links with delay, jitter and loss, in userspace: most kernels of containers have no netem.
//!
//! A link is a pair of TAP devices, one a port of the switch, the other a host's interface. Whole Ethernet frames
//! pass, so ARP and neighbour discovery suffer like everything else. One thread serves every link.

mod line;
mod tap;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::lab::draw::rng;
use crate::lab::relay::{Counts, Link};
use line::Line;
use tap::Tap;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Counts go here once a second, and at first when every device is there.
    #[arg(long)]
    counts: PathBuf,
    #[arg(long)]
    seed: u64,
    /// NEAR,FAR,DELAY_MS,JITTER_MS,LOSS_PERMILLE: two devices and what happens between them.
    #[arg(long = "link", required = true)]
    links: Vec<String>,
}

/// Frames taken from a device before the others have their turn.
const AT_ONCE: usize = 64;
/// Counts are written this often.
const REPORT: Duration = Duration::from_secs(1);

pub(super) fn run(args: &Args) -> Result<()> {
    crate::stop::listen()?;
    let mut relay = Relay::open(args)?;
    let mut reported = Instant::now();
    write(&args.counts, &relay.counts())?;
    while !crate::stop::asked() {
        relay.turn()?;
        if reported.elapsed() >= REPORT {
            reported = Instant::now();
            write(&args.counts, &relay.counts())?;
        }
    }
    write(&args.counts, &relay.counts())
}

/// One end of a link: where frames come in, and the line that leads to the other end.
struct End {
    tap: Tap,
    /// Number of the other end.
    other: usize,
    line: Line,
    refused: u64,
}

struct Relay {
    ends: Vec<End>,
    /// When which end's line has a frame due.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    frame: Vec<u8>,
}

impl Relay {
    fn open(args: &Args) -> Result<Self> {
        let mut ends = Vec::new();
        for text in &args.links {
            let (near, far, link) = parse(text)?;
            for (name, other) in [(near, ends.len() + 1), (far, ends.len())] {
                let rng = rng(args.seed, "relay", u64::try_from(ends.len())?);
                ends.push(End { tap: Tap::open(name)?, other, line: Line::new(link, rng), refused: 0 });
            }
        }
        Ok(Self { ends, due: BinaryHeap::new(), frame: vec![0; tap::LARGEST_FRAME] })
    }

    /// Waits for a frame to come in or to be due, then moves what there is.
    fn turn(&mut self) -> Result<()> {
        let wait = self.due.peek().map_or(REPORT, |Reverse((due, _))| due.saturating_duration_since(Instant::now()));
        let mut fds: Vec<PollFd<'_>> =
            self.ends.iter().map(|end| PollFd::new(end.tap.as_fd(), PollFlags::POLLIN)).collect();
        match ppoll(&mut fds, Some(TimeSpec::from_duration(wait.min(REPORT))), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error).context("waiting for frames"),
        }
        let ready: Vec<usize> = (0..).zip(&fds).filter(|(_, fd)| fd.any() == Some(true)).map(|(at, _)| at).collect();
        drop(fds);
        for at in ready {
            self.take(at)?;
        }
        self.deliver();
        Ok(())
    }

    /// Takes frames in at one end.
    fn take(&mut self, at: usize) -> Result<()> {
        let Some(end) = self.ends.get_mut(at) else { return Ok(()) };
        for _ in 0..AT_ONCE {
            let length = match end.tap.read(&mut self.frame) {
                Ok(length) => length,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(()),
                Err(error) => return Err(error).with_context(|| format!("reading from {}", end.tap.name())),
            };
            let frame = self.frame.get(..length).unwrap_or_default();
            if let Some(due) = end.line.offer(Instant::now(), frame) {
                self.due.push(Reverse((due, at)));
            }
        }
        Ok(())
    }

    /// Puts out what is due, at the other ends.
    fn deliver(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((due, at))) = self.due.peek().copied() {
            if due > now {
                return;
            }
            self.due.pop();
            let Some(end) = self.ends.get_mut(at) else { continue };
            let Some(frame) = end.line.take(now) else { continue };
            let other = end.other;
            // An interface that is down takes nothing.
            let taken = self.ends.get(other).is_some_and(|end| end.tap.write(&frame).is_ok());
            if let Some(end) = self.ends.get_mut(at).filter(|_| !taken) {
                end.refused += 1;
            }
        }
    }

    fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for end in &self.ends {
            let line = end.line.counts();
            sum.taken += line.taken;
            sum.lost += line.lost;
            sum.no_room += line.no_room;
            sum.waiting += line.waiting;
            sum.refused += end.refused;
        }
        sum.delivered = sum.taken - sum.lost - sum.no_room - sum.waiting - sum.refused;
        sum
    }
}

fn parse(text: &str) -> Result<(&str, &str, Link)> {
    let words: Vec<&str> = text.split(',').collect();
    let [near, far, delay, jitter, loss] = words.as_slice() else { bail!("`{text}` is no link: five words are due") };
    let number = |word: &str| word.parse::<u64>().with_context(|| format!("`{word}` in link `{text}` is no number"));
    Ok((near, far, Link { delay_ms: number(delay)?, jitter_ms: number(jitter)?, loss_permille: number(loss)? }))
}

/// Replaces the file as a whole: somebody may be reading it.
fn write(path: &Path, counts: &Counts) -> Result<()> {
    let new = path.with_extension("new");
    std::fs::write(&new, serde_json::to_vec(counts)?).with_context(|| format!("writing {}", new.display()))?;
    std::fs::rename(&new, path).with_context(|| format!("writing {}", path.display()))
}
