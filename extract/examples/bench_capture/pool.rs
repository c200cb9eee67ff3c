//! The real captures that are repeated.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use ganglion_extract::capture::{Capture, CaptureError, LinkType};

/// Longer captures would stretch the timeline.
const LONGEST_NS: i64 = 600_000_000_000;
/// Packets taken of one capture, so that none is most of the pool.
const MOST_PACKETS: usize = 4_000;
/// Captures with fewer packets a flow are not taken for long flows.
const PACKETS_A_FLOW: usize = 10;
/// Packets taken of a flow for the flow-heavy capture.
const FIRST_PACKETS: u32 = 3;

/// Where captures come from.
pub(crate) struct Source {
    /// In words.
    pub(crate) name: &'static str,
    files: Vec<PathBuf>,
}

/// Which packets are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Captures of flows with many packets.
    LongFlows,
    /// The first packets of every flow of every capture.
    FirstPackets,
}

/// One frame, µs after the first one of its capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) after_us: u64,
    pub(crate) original_bytes: u32,
    pub(crate) bytes: Vec<u8>,
}

/// The captures' packets.
pub(crate) struct Pool {
    pub(crate) captures: Vec<Vec<Packet>>,
}

impl Source {
    /// The collection of captures where it is, else those that come with the project.
    pub(crate) fn find() -> Result<Self, Box<dyn Error>> {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let shared = std::env::var_os("GANGLION_SHARED").map_or_else(|| own.join("../../shared"), PathBuf::from);
        let mut files = Vec::new();
        for group in fs::read_dir(shared.join("data/pcap")).into_iter().flatten().flatten() {
            files.extend(captures_in(&group.path()));
        }
        let name = if files.is_empty() { "the project's own captures" } else { "the capture collection" };
        if files.is_empty() {
            files = captures_in(&own.join("tests/oracle/pairs"));
        }
        if files.is_empty() {
            return Err("no capture in extract/tests/oracle/pairs: the checkout is not whole".into());
        }
        files.sort();
        Ok(Self { name, files })
    }
}

fn captures_in(folder: &Path) -> Vec<PathBuf> {
    let is_capture = |path: &PathBuf| {
        let name = path.to_string_lossy();
        name.ends_with(".pcap.gz") || name.ends_with(".pcapng.gz")
    };
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).filter(is_capture).collect()
}

impl Pool {
    /// Reads what is chosen; captures that are damaged, or not of Ethernet, are left out.
    pub(crate) fn read(source: &Source, choice: Choice) -> Result<Self, Box<dyn Error>> {
        let captures: Vec<_> = source.files.iter().filter_map(|file| read(file, choice).ok().flatten()).collect();
        if captures.is_empty() {
            return Err(format!("{}: none of {} can be used", source.name, source.files.len()).into());
        }
        Ok(Self { captures })
    }

    /// All packets of all captures, once.
    pub(crate) fn packets(&self) -> usize {
        self.captures.iter().map(Vec::len).sum()
    }
}

fn read(file: &Path, choice: Choice) -> Result<Option<Vec<Packet>>, CaptureError> {
    let mut capture = Capture::open(file)?;
    let mut flows: HashMap<_, u32> = HashMap::new();
    let mut packets = Vec::new();
    let mut first_ns = None;
    while let Some(frame) = capture.next()? {
        let first_ns = *first_ns.get_or_insert(frame.time_ns);
        // Times that run backwards before the first packet stay there.
        let after_ns = frame.time_ns.saturating_sub(first_ns).max(0);
        if frame.link != LinkType::Ethernet || after_ns > LONGEST_NS {
            return Ok(None);
        }
        let seen = frame.packet().ok().map(|packet| {
            let seen = flows.entry(packet.key(0).0).or_default();
            *seen += 1;
            *seen
        });
        let taken = match choice {
            Choice::LongFlows => packets.len() < MOST_PACKETS,
            Choice::FirstPackets => seen.is_some_and(|seen| seen <= FIRST_PACKETS),
        };
        if taken {
            let after_us = u64::try_from(after_ns / 1_000).unwrap_or(0);
            packets.push(Packet { after_us, original_bytes: frame.original_bytes, bytes: frame.bytes.to_vec() });
        }
    }
    let total: u32 = flows.values().sum();
    let long = !flows.is_empty() && total as usize >= PACKETS_A_FLOW * flows.len();
    Ok((!packets.is_empty() && (choice == Choice::FirstPackets || long)).then_some(packets))
}
