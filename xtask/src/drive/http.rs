//! As much HTTP/1.1 as browsers, polls, probes and bots of the range need.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

/// One connection at a time to one server.
#[derive(Debug)]
pub(super) struct Client {
    server: SocketAddr,
    agent: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(super) fn new(server: IpAddr, port: u16, agent: &str) -> Self {
        Self { server: SocketAddr::new(server, port), agent: agent.to_owned(), stream: None }
    }

    /// Fetches `path`; returns the status and the length of the body.
    pub(super) fn get(&mut self, path: &str) -> Result<(u16, u64)> {
        self.request("GET", path, &[])
    }

    /// Sends a form.
    pub(super) fn post(&mut self, path: &str, body: &[u8]) -> Result<(u16, u64)> {
        self.request("POST", path, body)
    }

    /// Lets go of the connection; the next request makes a new one.
    pub(super) fn close(&mut self) {
        self.stream = None;
    }

    fn request(&mut self, method: &str, path: &str, body: &[u8]) -> Result<(u16, u64)> {
        // A kept connection may have been closed by the server meanwhile: that deserves a second try.
        let fresh = self.stream.is_none();
        match self.attempt(method, path, body) {
            Err(_) if !fresh => {
                self.close();
                self.attempt(method, path, body)
            }
            result => result,
        }
    }

    fn attempt(&mut self, method: &str, path: &str, body: &[u8]) -> Result<(u16, u64)> {
        if self.stream.is_none() {
            let stream = TcpStream::connect_timeout(&self.server, Duration::from_secs(5))?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.set_nodelay(true)?;
            self.stream = Some(BufReader::new(stream));
        }
        let Some(stream) = self.stream.as_mut() else { bail!("no connection") };
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: www.lab.test\r\nUser-Agent: {}\r\nAccept: */*\r\n", self.agent);
        if !body.is_empty() {
            write!(head, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n", body.len())?;
        }
        let mut message = (head + "\r\n").into_bytes();
        message.extend_from_slice(body);
        stream.get_mut().write_all(&message)?;
        let (status, length, close) = read_head(stream)?;
        let read = std::io::copy(&mut stream.by_ref().take(length), &mut std::io::sink())?;
        if read < length {
            bail!("the body ended after {read} of {length} bytes");
        }
        if close {
            self.close();
        }
        Ok((status, length))
    }
}

/// Status, length of the body, and whether the server closes afterwards.
pub(super) fn read_head(stream: &mut impl BufRead) -> Result<(u16, u64, bool)> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    let status = status.with_context(|| format!("no status line: {line:?}"))?;
    let (mut length, mut close) = (0, false);
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 || line == "\r\n" {
            return Ok((status, length, close));
        }
        let lower = line.to_ascii_lowercase();
        match lower.split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse()?,
            Some(("connection", value)) => close = value.trim() == "close",
            _ => {}
        }
    }
}

/// In the clear or encrypted.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Channel {
    Http,
    Tls,
}

/// One request over a TLS connection of its own, by curl; with a body it is a POST.
pub(super) fn tls(server: IpAddr, path: &str, body: Option<&str>, agent: &str) -> Result<()> {
    let mut curl = Command::new("curl");
    curl.args(["-gksS", "--max-time", "5", "-o", "/dev/null", "-A", agent]);
    if let Some(body) = body {
        curl.args(["-d", body]);
    }
    curl.arg(format!("https://{}{path}", crate::lab::host::in_url(server)));
    let status = curl.stdin(Stdio::null()).status().context("starting curl")?;
    if !status.success() {
        bail!("curl ended with {status}");
    }
    Ok(())
}
