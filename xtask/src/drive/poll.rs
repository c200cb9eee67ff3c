//! Requests at a steady rate: over kept connections (a dashboard) or each over a new one
//! (checks, and floods).

use anyhow::{Result, anyhow};

use super::http::Client;
use super::pace::Pace;

/// Requests a second that are never exceeded, over all connections together.
const MOST_PER_S: u64 = 3_000;

#[derive(clap::Args)]
pub(super) struct Args {
    server: String,
    #[arg(long)]
    rate: u64,
    #[arg(long)]
    seconds: u64,
    #[arg(long, default_value_t = 1)]
    connections: usize,
    #[arg(long, default_value = "/static/0.jpg")]
    path: String,
    /// A new connection for each request. Connections then are so many requests at a time, each of which waits for its
    /// answer alone: behind a long link one at a time is no flood.
    #[arg(long)]
    fresh: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    if !args.fresh {
        return kept(args);
    }
    let at_a_time = args.connections.clamp(1, 100);
    let rate = (args.rate.min(MOST_PER_S) / at_a_time as u64).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_a_time).map(|_| scope.spawn(|| fresh(args, rate))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow!("a worker panicked"))?)
    })
}

/// A new connection for each request, one request at a time.
fn fresh(args: &Args, rate: u64) -> Result<()> {
    let mut client = Client::new(super::address(&args.server)?, 80, "poller/1.0");
    let mut pace = Pace::new(rate, args.seconds.min(60));
    while pace.tick() {
        client.get(&args.path)?;
        client.close();
    }
    Ok(())
}

/// Requests over kept connections in turn.
fn kept(args: &Args) -> Result<()> {
    let server = super::address(&args.server)?;
    let mut clients: Vec<Client> =
        (0..args.connections.max(1)).map(|_| Client::new(server, 80, "poller/1.0")).collect();
    let mut pace = Pace::new(args.rate.min(MOST_PER_S), args.seconds.min(60));
    while pace.tick() {
        clients.rotate_left(1);
        if let Some(client) = clients.first_mut() {
            client.get(&args.path)?;
        }
    }
    Ok(())
}
