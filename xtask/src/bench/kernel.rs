//! Benchmarks in the kernel: an example of the sensor runs them, which has the programs.

use anyhow::Result;

use super::report::{Output, Report};
use crate::process::output;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    output: Output,
    /// Few rounds: to see that it works
    #[arg(long)]
    quick: bool,
}

/// Runs the benchmark of this name.
pub(super) fn run(what: &str, args: &Args) -> Result<()> {
    const EXAMPLE: [&str; 7] =
        ["--release", "--quiet", "--package=ganglion-sensor", "--features", "bench", "--example", "bench"];
    super::done(super::cargo(["build"])?.args(EXAMPLE))?;
    let mut command = super::cargo(["run"])?;
    command.args(EXAMPLE).args(["--", what]).args(args.quick.then_some("--quick"));
    Report::read(&output(&mut command)?)?.print(&args.output)
}
