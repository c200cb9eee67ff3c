//! A small HTTP server for what static files can't be: logins, uploads, callbacks, tasks.
//!
//! `GET ...?bytes=N` answers with N bytes, `/login` refuses everybody, everything else swallows its
//! body and says so.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

#[derive(clap::Args)]
pub(super) struct Args {
    #[arg(long)]
    bind: String,
    ports: Vec<u16>,
}

const LARGEST_ANSWER: u64 = 32 << 20;

pub(super) fn run(args: &Args) -> Result<()> {
    let mut listeners = Vec::new();
    for port in &args.ports {
        let listener = TcpListener::bind((args.bind.as_str(), *port));
        listeners.push(listener.with_context(|| format!("listening on port {port}"))?);
    }
    std::thread::scope(|scope| {
        for listener in &listeners {
            scope.spawn(move || {
                for stream in listener.incoming().flatten() {
                    std::thread::spawn(move || serve(stream));
                }
            });
        }
    });
    Ok(())
}

/// Serves one connection until it ends; what goes wrong concerns nobody else.
fn serve(stream: TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split_whitespace().nth(1).unwrap_or("/").to_owned();
        let length = swallow_head(&mut stream)?;
        std::io::copy(&mut stream.by_ref().take(length), &mut std::io::sink())?;
        answer(stream.get_mut(), &path)?;
    }
}

fn swallow_head(stream: &mut impl BufRead) -> Result<u64> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 || line == "\r\n" {
            return Ok(length);
        }
        if let Some(("content-length", value)) = line.to_ascii_lowercase().split_once(':') {
            length = value.trim().parse()?;
        }
    }
}

fn answer(stream: &mut impl Write, path: &str) -> Result<()> {
    let status = if path.starts_with("/login") { "401 Unauthorized" } else { "200 OK" };
    let bytes = path.split_once("bytes=").and_then(|(_, number)| number.parse().ok());
    let bytes: u64 = bytes.unwrap_or(64).min(LARGEST_ANSWER);
    write!(stream, "HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\nContent-Length: {bytes}\r\n\r\n")?;
    std::io::copy(&mut std::io::repeat(b'.').take(bytes), stream)?;
    stream.flush()?;
    Ok(())
}
