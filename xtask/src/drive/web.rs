//! Web attack requests, one after the other.

use std::time::Duration;

use anyhow::Result;

use super::http::Client;
use super::pace::pause;
use super::probes::{self, Kind, Request};
use crate::lab::draw::rng;

#[derive(clap::Args)]
pub(super) struct Args {
    server: String,
    #[arg(long)]
    kind: Kind,
    #[arg(long)]
    requests: u64,
    #[arg(long)]
    pause_ms: u64,
    #[arg(long)]
    keep_alive: bool,
    #[arg(long)]
    seed: u64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let mut rng = rng(args.seed, "web", 0);
    let mut client = Client::new(super::address(&args.server)?, 80, "sqlmap/1.7#stable (https://sqlmap.org)");
    for number in 0..args.requests.min(2000) {
        let result = match probes::request(args.kind, number, &mut rng) {
            Request::Get(path) => client.get(&path),
            Request::Post(path, body) => client.post(&path, body.as_bytes()),
        };
        // A server that hangs up on a probe is no reason to stop probing.
        if result.is_err() || !args.keep_alive {
            client.close();
        }
        pause(Duration::from_millis(args.pause_ms), &mut rng);
    }
    Ok(())
}
