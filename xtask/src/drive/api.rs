//! An application that talks to its server: over one kept connection it asks, tells, and waits for its user.

use std::time::Duration;

use anyhow::Result;
use rand::Rng;

use super::http::Client;
use super::pace::pause;
use crate::lab::draw::rng;

#[derive(clap::Args)]
pub(super) struct Args {
    server: String,
    #[arg(long)]
    requests: u64,
    #[arg(long)]
    pause_ms: u64,
    /// The largest answer.
    #[arg(long)]
    bytes: u64,
    #[arg(long)]
    seed: u64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let mut rng = rng(args.seed, "api", 0);
    let mut client = Client::new(super::address(&args.server)?, 80, "app/3.2");
    for number in 0..args.requests.min(200) {
        if number > 0 {
            pause(Duration::from_millis(args.pause_ms), &mut rng);
        }
        if rng.random_ratio(1, 4) {
            let form = format!("item={}&text={}", rng.random_range(0..9999), "t".repeat(rng.random_range(20..600)));
            client.post("/api/item", form.as_bytes())?;
        } else {
            let bytes = rng.random_range(100..=args.bytes.clamp(101, 200_000));
            client.get(&format!("/api/items/{}?bytes={bytes}", rng.random_range(0..9999)))?;
        }
    }
    Ok(())
}
