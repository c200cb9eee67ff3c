//! `cargo xtask bench`: the figures of docs/benchmarks.md, each beside its budget. Never part of the tests:
//! a machine's noise is no failure.

mod reflex;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Subcommand;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Nanoseconds per packet in the kernel, beside Debian's xdp-filter and an empty program
    Xdp {
        #[arg(long)]
        json: bool,
        /// Three rounds instead of fifteen
        #[arg(long)]
        quick: bool,
    },
    /// From a record in the ring buffer to the verdict in the map, real features and model
    Reflex(reflex::Args),
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("benchmarks need root: they load kernel programs");
    }
    match &args.what {
        What::Xdp { json, quick } => xdp(*json, *quick),
        What::Reflex(args) => reflex::run(args),
    }
}

fn xdp(json: bool, quick: bool) -> Result<()> {
    let mut command = cargo(["run", "--release", "--quiet", "--package", "ganglion-sensor", "--features", "bench"])?;
    command.args(["--example", "bench_xdp", "--"]);
    command.args(json.then_some("--json")).args(quick.then_some("--quick"));
    done(&mut command)
}

/// Cargo in the workspace.
fn cargo<const N: usize>(args: [&str; N]) -> Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root()?);
    Ok(command)
}

fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace")
}

/// Where release binaries are.
fn release() -> Result<PathBuf> {
    Ok(crate::process::target_dir(root()?).join("release"))
}

fn done(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {}", crate::process::describe(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", crate::process::describe(command));
    }
    Ok(())
}
