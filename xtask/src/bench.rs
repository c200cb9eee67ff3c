//! `cargo xtask bench`: the figures of docs/benchmarks.md, each beside its budget. Never part of the tests:
//! a machine's noise is no failure.

mod extract;
mod kernel;
mod model;
mod reflex;
mod report;
mod swap;

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
    Xdp(kernel::Args),
    /// `ganglion flow extract` beside libpcap, NFStream, the Python cicflowmeter and softflowd
    #[command(after_help = extract::EXAMPLES)]
    Extract(extract::Args),
    /// The sweep over 262,144 live flows, of which 1 % expire
    Expiry(kernel::Args),
    /// Two CPUs on one flow, beside other locks
    Contention(kernel::Args),
    /// `ganglion model bench` beside Python's onnxruntime, on the same graph
    #[command(after_help = model::EXAMPLES)]
    Model(model::Args),
    /// From a record in the ring buffer to the verdict in the map, real features and model
    Reflex(reflex::Args),
    /// Models changing under a steady stream of records: none may be lost
    Swap(swap::Args),
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if !matches!(args.what, What::Extract(_) | What::Model(_) | What::Swap(_)) && !nix::unistd::geteuid().is_root() {
        bail!("this benchmark needs root: it loads kernel programs");
    }
    match &args.what {
        What::Xdp(args) => kernel::run("xdp", args),
        What::Extract(args) => extract::run(args),
        What::Expiry(args) => kernel::run("expiry", args),
        What::Contention(args) => kernel::run("contention", args),
        What::Model(args) => model::run(args),
        What::Reflex(args) => reflex::run(args),
        What::Swap(args) => swap::run(args),
    }
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
