//! A connection on which nothing happens.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;

#[derive(clap::Args)]
pub(super) struct Args {
    server: String,
    #[arg(long)]
    port: u16,
    #[arg(long)]
    seconds: u64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let server = SocketAddr::new(super::address(&args.server)?, args.port);
    let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    // Some servers greet; that is all that is ever said.
    let _nothing_said = stream.read(&mut [0; 512]);
    std::thread::sleep(Duration::from_secs(args.seconds.min(60)));
    Ok(())
}
