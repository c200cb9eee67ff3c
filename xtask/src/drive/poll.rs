//! Requests at a steady rate: over kept connections (a dashboard) or each over a new one
//! (checks, and floods).

use anyhow::Result;

use super::http::Client;
use super::pace::Pace;

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
    /// A new connection for each request.
    #[arg(long)]
    fresh: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let server = super::address(&args.server)?;
    let mut clients: Vec<Client> =
        (0..args.connections.max(1)).map(|_| Client::new(server, 80, "poller/1.0")).collect();
    let mut pace = Pace::new(args.rate.min(3000), args.seconds.min(60));
    while pace.tick() {
        clients.rotate_left(1);
        if let Some(client) = clients.first_mut() {
            client.get(&args.path)?;
            if args.fresh {
                client.close();
            }
        }
    }
    Ok(())
}
