//! `ganglion flow extract` beside its peers: a large capture out of real ones, everything in the page cache, every
//! program in turn.

mod captures;
mod measure;
mod peers;
mod rows;
mod sink;
mod subjects;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::report::{Output, Report};
use crate::setup::Ensure;
use peers::Peers;
use subjects::{Absent, Subject};

pub(super) const EXAMPLES: &str = "\
Peers come from Debian and PyPI, into target/bench where they can; --no-setup takes those that are there. One that can't
be had is shown as absent. The captures take 2.5 GB there.

Examples:
  cargo xtask bench extract --markdown --yes
  cargo xtask bench extract --quick --no-peers";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    setup: Ensure,
    /// Rounds that count, after one that warms up
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Packets of the large capture, at least
    #[arg(long, default_value_t = 1_000_000)]
    packets: u64,
    /// One round: to see that it works
    #[arg(long)]
    quick: bool,
    /// Ganglion alone
    #[arg(long)]
    no_peers: bool,
    /// A `ganglion` that is there already, instead of building one
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    crate::stop::listen()?;
    let folder = crate::process::target_dir(super::root()?).join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let program = args.program.clone().map_or_else(build, Ok)?;
    let captures = captures::build(&folder, args.packets)?;
    let memory = memory()?;
    let mut subjects = subjects::ganglion(&captures, &program, memory.path())?;
    let mut absent = Vec::new();
    if !args.no_peers {
        let (found, missing) =
            subjects::peers(&captures, &Peers { folder: &folder, setup: &args.setup }, memory.path())?;
        subjects.extend(found);
        absent.extend(missing);
    }
    let rounds = if args.quick { 1 } else { args.rounds };
    let failed = measure(&mut subjects, rounds, &folder)?;
    let bad = failed.iter().any(|(name, _)| name.starts_with("ganglion"));
    absent.extend(failed);
    let mut notes = vec![
        format!("{rounds} rounds after one that warms up, every program in turn; medians and 10th to 90th percentile"),
        "held on one CPU, or on two for \"two cores\"; memory is that of the largest process".to_owned(),
        "softflowd's rows go to a socket on loopback, the others' into files, NFStream's also nowhere;".to_owned(),
        "Ganglion's and NFStream's lie in memory: waiting until they are on a disk says more of the disk".to_owned(),
    ];
    notes.extend(absent.iter().map(|(name, why)| format!("absent: {name}: {why}")));
    let tables = vec![captures.table(), rows::figures(&subjects), rows::budgets(&subjects)];
    Report { tables, notes }.print(&args.output)?;
    if bad {
        bail!("ganglion itself failed: see the notes");
    }
    Ok(())
}

/// A folder in memory, gone at the end.
fn memory() -> Result<tempfile::TempDir> {
    let place = Path::new("/dev/shm");
    tempfile::Builder::new()
        .prefix("ganglion-bench.")
        .tempdir_in(place)
        .with_context(|| format!("making a folder in {}; mount a tmpfs there", place.display()))
}

/// The program as it is shipped.
fn build() -> Result<PathBuf> {
    super::done(&mut super::cargo(["build", "--release", "--quiet", "--package", "ganglion", "--bin", "ganglion"])?)?;
    Ok(super::release()?.join("ganglion"))
}

/// Runs all of them in turn. One that fails is taken out, and why.
fn measure(subjects: &mut Vec<Subject>, rounds: u32, folder: &Path) -> Result<Vec<Absent>> {
    let mut failed = Vec::new();
    for round in 0..=rounds {
        let mut kept = Vec::new();
        for mut subject in subjects.drain(..) {
            crate::stop::check()?;
            match subject.run(folder, round > 0) {
                Ok(()) => kept.push(subject),
                Err(error) => failed.push((subject.name, format!("{error:#}"))),
            }
        }
        *subjects = kept;
    }
    Ok(failed)
}
