//! A bot: small callbacks with jitter, now and then a task to fetch, now and then something to report.

use std::time::Duration;

use anyhow::Result;
use rand::Rng;

use super::http::{Channel, Client, tls};
use crate::lab::draw::rng;

#[derive(clap::Args)]
pub(super) struct Args {
    server: String,
    #[arg(long)]
    channel: Channel,
    #[arg(long)]
    beacons: u64,
    #[arg(long)]
    period_ms: u64,
    #[arg(long)]
    jitter_percent: u64,
    #[arg(long)]
    task_kb: u64,
    #[arg(long)]
    seed: u64,
}

const AGENT: &str = "Mozilla/4.0 (compatible)";

pub(super) fn run(args: &Args) -> Result<()> {
    let server = super::address(&args.server)?;
    let mut rng = rng(args.seed, "beacon", 0);
    let mut client = Client::new(server, 80, AGENT);
    for beacon in 0..args.beacons.min(60) {
        let id: u32 = rng.random();
        let path = if beacon % 5 == 2 {
            format!("/task/{id:08x}?bytes={}", args.task_kb.min(10_000) * 1000)
        } else {
            format!("/gate/{id:08x}?bytes={}", rng.random_range(16..200))
        };
        let report = (beacon % 4 == 3).then(|| "r=".to_owned() + &"x".repeat(rng.random_range(200..1500)));
        match args.channel {
            Channel::Http => {
                match &report {
                    Some(report) => client.post("/gate", report.as_bytes())?,
                    None => client.get(&path)?,
                };
                client.close();
            }
            Channel::Tls => tls(server, &path, report.as_deref(), AGENT)?,
        }
        let jitter = i64::try_from(args.period_ms * args.jitter_percent.min(100) / 100)?;
        let period = i64::try_from(args.period_ms)? + rng.random_range(-jitter..=jitter);
        std::thread::sleep(Duration::from_millis(u64::try_from(period.clamp(50, 10_000))?));
    }
    Ok(())
}
