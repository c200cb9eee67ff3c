//! The event log: JSON lines that say what really happened on the wire, and when.
//!
//! Labels come from joining records with this log by time and address. Attackers and benign clients
//! never share an address; with `direction: out` the server itself is the attacker, and only its
//! traffic with `targets` counts. With `spoofed` every source of the range that is no host does.

use std::fs::File;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result};
use serde::Serialize;

use super::attack::AttackRun;
use super::class::Class;
use super::draw::{Settings, Split};
use super::host::Host;
use crate::clock::boot_ns;

/// Which way the first packets go, seen from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    In,
    Out,
}

/// One line of the log.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event<'a> {
    /// First line: what the range is.
    Range {
        version: u32,
        scenario: &'a str,
        seed: u64,
        split: Split,
        interface: &'a str,
        network: &'a str,
        host_networks: &'a [&'a str],
        hosts: &'a [Host],
    },
    BenignStart(&'a Session<'a>),
    BenignEnd(&'a Session<'a>),
    AttackStart(&'a AttackRun),
    AttackEnd(&'a AttackRun),
}

/// A benign session.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Session<'a> {
    pub(crate) id: u64,
    pub(crate) name: &'a str,
    pub(crate) class: Class,
    pub(crate) label: u8,
    pub(crate) client: &'a str,
    /// The other side's addresses, seen from the server.
    pub(crate) peers: &'a [IpAddr],
    pub(crate) direction: Direction,
    pub(crate) settings: &'a Settings,
    /// At the end: the tool's exit code; none when it was stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exit: Option<i32>,
}

#[derive(Serialize)]
struct Line<'a> {
    boot_ns: u64,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

/// Appends events to a file, or to nothing.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    file: Option<Mutex<File>>,
}

impl EventLog {
    /// A log in `path`, which is replaced.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self { file: Some(Mutex::new(file)) })
    }

    /// Writes one line at once; returns its time.
    pub(crate) fn write(&self, event: &Event<'_>) -> Result<u64> {
        let boot_ns = boot_ns()?;
        if let Some(file) = &self.file {
            let mut text = serde_json::to_vec(&Line { boot_ns, event })?;
            text.push(b'\n');
            let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            file.write_all(&text).context("writing the event log")?;
        }
        Ok(boot_ns)
    }
}
