//! Somebody reads pages: one kept connection, a page, its parts, time to read, the next page.

use std::time::Duration;

use anyhow::Result;
use rand::Rng;

use super::http::Client;
use super::pace::pause;
use crate::lab::draw::rng;
use crate::lab::site::{PAGES, PICTURES};

#[derive(clap::Args)]
pub(super) struct Args {
    server: String,
    #[arg(long)]
    pages: u64,
    #[arg(long)]
    think_ms: u64,
    #[arg(long)]
    seed: u64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let mut rng = rng(args.seed, "browse", 0);
    let agent =
        format!("Mozilla/5.0 (X11; Linux x86_64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0", rng.random_range(100..140));
    let mut client = Client::new(super::address(&args.server)?, 80, &agent);
    for page in 0..args.pages {
        if page > 0 {
            pause(Duration::from_millis(args.think_ms), &mut rng);
        }
        client.get(&format!("/page-{}.html", rng.random_range(0..PAGES)))?;
        if page == 0 {
            client.get("/static/style.css")?;
            client.get("/static/app.js")?;
        }
        for _ in 0..rng.random_range(0..5) {
            client.get(&format!("/static/{}.jpg", rng.random_range(0..PICTURES)))?;
        }
        if rng.random_ratio(1, 10) {
            client.get("/favicon.ico")?;
        }
    }
    Ok(())
}
