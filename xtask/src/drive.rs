//! Programs that the laboratory starts inside its namespaces, each bounded in count, rate and time.
//!
//! Whatever sends packets refuses to run in the machine's own network and towards any address
//! outside of the range.

mod api;
mod beacon;
mod browse;
mod dns;
mod flood;
mod forge;
mod http;
mod idle;
mod janitor;
mod pace;
mod poll;
mod private;
mod probes;
mod relay;
mod sink;
mod steady;
mod typing;
mod web;

pub(crate) use probes::probed_path;
pub(crate) use typing::SSH_OPTIONS;

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use crate::lab::run_dir;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    program: Program,
}

#[derive(Subcommand)]
enum Program {
    Api(api::Args),
    Beacon(beacon::Args),
    Browse(browse::Args),
    Dns(dns::Args),
    Flood(flood::Args),
    Forge(forge::Args),
    Idle(idle::Args),
    Janitor(janitor::Args),
    Poll(poll::Args),
    Private(private::Args),
    Relay(relay::Args),
    Sink(sink::Args),
    Steady(steady::Args),
    Typing(typing::Args),
    Web(web::Args),
}

/// Runs one program.
pub(crate) fn run(args: Args) -> Result<()> {
    match args.program {
        Program::Janitor(args) => return janitor::run(&args),
        Program::Private(args) => return private::run(&args),
        _ => inside_the_range()?,
    }
    match args.program {
        Program::Api(args) => api::run(&args),
        Program::Beacon(args) => beacon::run(&args),
        Program::Browse(args) => browse::run(&args),
        Program::Dns(args) => dns::run(&args),
        Program::Flood(args) => flood::run(&args),
        Program::Forge(args) => forge::run(&args),
        Program::Idle(args) => idle::run(&args),
        Program::Poll(args) => poll::run(&args),
        Program::Relay(args) => relay::run(&args),
        Program::Sink(args) => sink::run(&args),
        Program::Steady(args) => steady::run(&args),
        Program::Typing(args) => typing::run(&args),
        Program::Web(args) => web::run(&args),
        Program::Janitor(_) | Program::Private(_) => Ok(()),
    }
}

/// Fails outside of the namespaces of a range.
fn inside_the_range() -> Result<()> {
    let identity = |path: &Path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
    let here = identity(Path::new("/proc/self/ns/net")).context("reading /proc/self/ns/net")?;
    let mut ranges = run_dir::namespaces().into_iter();
    if !ranges.any(|path| identity(&path).is_ok_and(|there| there == here)) {
        bail!("this program only runs inside the laboratory's namespaces");
    }
    Ok(())
}

/// Parses an address of the range, and no other.
fn address(text: &str) -> Result<IpAddr> {
    let address: IpAddr = text.parse().with_context(|| format!("`{text}` is no address"))?;
    let inside = match address {
        IpAddr::V4(v4) => v4.octets()[0] == 198 && v4.octets()[1] & 0xfe == 18,
        IpAddr::V6(v6) => v6.segments()[..3] == [0x2001, 2, 0],
    };
    if !inside {
        bail!("{address} lies outside of 198.18.0.0/15 and 2001:2::/48");
    }
    Ok(address)
}
