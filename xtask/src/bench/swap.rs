//! Models changing under load: a brain on a real socket, records at a steady rate, an operator who never rests.

use std::process::Command;

use anyhow::Result;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Records per second
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// How long
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Change nothing: the same load without an operator
    #[arg(long)]
    still: bool,
    #[arg(long)]
    json: bool,
}

/// Fails when a record is lost or shed.
pub(super) fn run(args: &Args) -> Result<()> {
    super::done(&mut super::cargo([
        "build",
        "--release",
        "--quiet",
        "--package",
        "ganglion-brain",
        "--example",
        "swap",
    ])?)?;
    let mut swap = Command::new(super::release()?.join("examples/swap"));
    swap.arg(super::root()?.join("models/lab-v1"));
    swap.args(["--rate", &args.rate.to_string(), "--seconds", &args.seconds.to_string()]);
    swap.args(args.still.then_some("--still")).args(args.json.then_some("--json"));
    super::done(&mut swap)
}
