//! Something that asks or tells the same at even intervals, a new connection each time: a monitor, or telemetry.

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use rand::Rng;

use super::http::{Channel, Client, tls};
use crate::lab::draw::rng;

#[derive(clap::Args)]
pub(super) struct Args {
    server: String,
    #[arg(long)]
    channel: Channel,
    #[arg(long)]
    method: Method,
    #[arg(long)]
    requests: u64,
    #[arg(long)]
    period_ms: u64,
    /// Of the answer, or of what is told.
    #[arg(long)]
    bytes: u64,
    #[arg(long)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Method {
    Get,
    Post,
}

const AGENT: &str = "steady/1.0";

pub(super) fn run(args: &Args) -> Result<()> {
    let server = super::address(&args.server)?;
    let mut rng = rng(args.seed, "steady", 0);
    let mut client = Client::new(server, 80, AGENT);
    for _ in 0..args.requests.min(60) {
        // What is measured varies a little in length.
        let bytes = args.bytes.min(100_000) * rng.random_range(97..=103) / 100;
        let (path, body) = match args.method {
            Method::Get => (format!("/api/status?bytes={bytes}"), None),
            Method::Post => ("/api/metrics?bytes=12".to_owned(), Some("m".repeat(usize::try_from(bytes)?))),
        };
        match args.channel {
            Channel::Http => {
                match &body {
                    Some(body) => client.post(&path, body.as_bytes())?,
                    None => client.get(&path)?,
                };
                client.close();
            }
            Channel::Tls => tls(server, &path, body.as_deref(), AGENT)?,
        }
        // A timer is late by little.
        let period = args.period_ms.clamp(50, 10_000);
        std::thread::sleep(Duration::from_millis(period + rng.random_range(0..=period / 50)));
    }
    Ok(())
}
