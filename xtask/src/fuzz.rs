//! `cargo xtask fuzz`: the targets of `fuzz/`, built for coverage by the stable compiler and run under libFuzzer.

mod build;
mod session;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::test::{Place, Tally, cargo};
use session::{Bounds, Session};

/// `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each target runs until its bounds are reached, a finding, or Ctrl-C. A finding is a panic, a failed check, a sum that
overflows, more than 10 s or 512 MiB for one input; its input is kept and its path printed.

Examples:
  cargo xtask fuzz packet                      until Ctrl-C
  cargo xtask fuzz --runs 10000000 --jobs 2    every target
  cargo xtask fuzz capture --input FILE        one input again, with where it fails")]
pub(crate) struct Args {
    /// What to run; every target, one after the other, when none is named
    #[arg(value_enum)]
    target: Option<Target>,
    /// Stop after so many executions
    #[arg(long, value_name = "N")]
    runs: Option<u64>,
    /// Stop after so many seconds
    #[arg(long, value_name = "SECONDS")]
    time: Option<u64>,
    /// Processes, which share what they find
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Run this input alone, once
    #[arg(long, value_name = "FILE", requires = "target", conflicts_with_all = ["runs", "time", "jobs"])]
    input: Option<PathBuf>,
}

/// A target, named as its file in `fuzz/fuzz_targets/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// Frames through the parser into a flow
    Packet,
    /// Capture files of any format and compression
    Capture,
    /// Records and recordings, and the rows of them
    Record,
    /// Packets at any times through the `ganglion` profile
    Flows,
}

impl Target {
    const ALL: [Self; 4] = [Self::Packet, Self::Capture, Self::Record, Self::Flows];

    fn name(self) -> &'static str {
        match self {
            Self::Packet => "packet",
            Self::Capture => "capture",
            Self::Record => "record",
            Self::Flows => "flows",
        }
    }

    /// Longest input: room for a few of what the target is about, and no longer, because short inputs are fast.
    fn input_bytes_max(self) -> u32 {
        match self {
            Self::Flows => 256,
            Self::Packet => 512,
            Self::Capture => 2048,
            Self::Record => 2560,
        }
    }
}

/// Builds and runs; an error when something was found.
pub(crate) fn run(args: &Args) -> Result<()> {
    crate::stop::listen()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace")?;
    let binaries = build::build(root)?;
    let session = Session { folder: root.join("fuzz"), binaries, loud: true };
    if let (Some(target), Some(input)) = (args.target, &args.input) {
        return session.once(target, input);
    }
    let bounds = Bounds { runs: args.runs, time: args.time.map(Duration::from_secs), jobs: args.jobs };
    let mut findings = Vec::new();
    for target in args.target.map_or_else(|| Target::ALL.to_vec(), |target| vec![target]) {
        crate::stop::check()?;
        let outcome = session.run(target, &session.corpus(target), bounds)?;
        println!("{}: {outcome}", target.name());
        findings.extend(
            outcome.artefact.map(|input| format!("cargo xtask fuzz {} --input {}", target.name(), input.display())),
        );
        if !outcome.success && findings.is_empty() {
            bail!("the target {} broke off", target.name());
        }
    }
    if !findings.is_empty() {
        bail!("found something; again with:\n  {}", findings.join("\n  "));
    }
    Ok(())
}

/// The bounds of each target in `cargo xtask test`: whichever is reached first.
const SUITE: Bounds = Bounds { runs: Some(200_000), time: Some(Duration::from_secs(20)), jobs: 1 };

/// `cargo xtask test fuzz`: style, the seeds, and a bounded run from them.
pub(crate) fn suite(place: &Place) -> Result<Tally> {
    let root = &place.root;
    let mut tally = cargo::check(root, &["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"])?;
    tally.add(Tally::of(build::clippy(root)?, "clippy of the fuzz targets"));
    let binaries = build::build(root)?;
    let session = Session { folder: root.join("fuzz"), binaries, loud: false };
    for target in Target::ALL {
        crate::stop::check()?;
        let name = target.name();
        let seeds = session.replay(target)?;
        println!("{name}, the seeds: {seeds}");
        tally.add(Tally::of(seeds.success && seeds.executed > 1, &format!("{name}, the seeds: {seeds}")));
        // New inputs are for this run alone: what CI finds does not depend on what ran before.
        let corpus = tempfile::tempdir()?;
        let outcome = session.run(target, corpus.path(), SUITE)?;
        println!("{name}: {outcome}");
        let whole = outcome.success && outcome.executed > seeds.executed;
        tally.add(Tally::of(whole, &format!("{name}: {outcome}")));
    }
    Ok(tally)
}
