//! Name look-ups over UDP, each from a new port: a few with pauses, or many at a steady rate.

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::Result;
use rand::Rng;

use super::pace::{Pace, pause};
use crate::lab::draw::rng;
use crate::lab::services::DOMAIN;

#[derive(clap::Args)]
pub(super) struct Args {
    server: String,
    /// This many queries with pauses.
    #[arg(long, conflicts_with = "rate")]
    queries: Option<u64>,
    #[arg(long, default_value_t = 100)]
    pause_ms: u64,
    /// This many queries a second.
    #[arg(long, requires = "seconds")]
    rate: Option<u64>,
    #[arg(long)]
    seconds: Option<u64>,
    #[arg(long)]
    seed: u64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let server = super::address(&args.server)?;
    let mut rng = rng(args.seed, "dns", 0);
    let ask = |rng: &mut _| -> Result<()> {
        let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
        socket.connect((server, 53))?;
        socket.set_read_timeout(Some(Duration::from_millis(500)))?;
        socket.send(&query(rng))?;
        // Lost answers are part of life.
        let _answer = socket.recv(&mut [0; 2048]);
        Ok(())
    };
    if let (Some(rate), Some(seconds)) = (args.rate, args.seconds) {
        let mut pace = Pace::new(rate.min(1000), seconds.min(60));
        while pace.tick() {
            ask(&mut rng)?;
        }
    }
    for _ in 0..args.queries.unwrap_or(0) {
        ask(&mut rng)?;
        pause(Duration::from_millis(args.pause_ms), &mut rng);
    }
    Ok(())
}

/// A query for a random name: mostly A and AAAA, sometimes TXT.
fn query(rng: &mut impl Rng) -> Vec<u8> {
    const NAMES: [&str; 6] = ["www", "mail", "cdn", "api", "files", "info"];
    let first = NAMES.get(rng.random_range(0..NAMES.len())).copied().unwrap_or("www");
    let name =
        if rng.random_ratio(1, 3) { format!("h{}.{first}", rng.random_range(0..5000)) } else { first.to_owned() };
    let kind: u16 = [1, 1, 28, 28, 16].get(rng.random_range(0..5)).copied().unwrap_or(1);
    let mut packet = rng.random::<u16>().to_be_bytes().to_vec();
    packet.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in format!("{name}.{DOMAIN}").split('.') {
        packet.push(u8::try_from(label.len()).unwrap_or(0));
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    packet.extend_from_slice(&kind.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet
}
