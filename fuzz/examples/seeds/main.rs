//! Writes the seeds: small inputs of every kind that a target is about, from which the fuzzer begins.
//!
//! `cargo run --manifest-path fuzz/Cargo.toml --example seeds` after a layout or a protocol changed. What is written
//! follows from the code and the captures in `extract/tests/oracle/pairs/` alone.

mod captures;
mod flows;
mod frames;
mod records;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use ganglion_extract::capture::Capture;

/// Named inputs of a target.
type Seeds = Vec<(String, Vec<u8>)>;

fn main() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pairs = Pairs(here.join("../extract/tests/oracle/pairs"));
    for (target, seeds) in [
        ("packet", frames::seeds(&pairs)?),
        ("capture", captures::seeds(&pairs)?),
        ("record", records::seeds(&pairs)?),
        ("flows", flows::seeds()),
    ] {
        let folder = here.join("seeds").join(target);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        for (name, bytes) in &seeds {
            fs::write(folder.join(name), bytes)?;
        }
        let bytes: usize = seeds.iter().map(|(_, bytes)| bytes.len()).sum();
        println!("{target}: {} seeds, {bytes} bytes", seeds.len());
    }
    Ok(())
}

/// The captures that the reference was compared with.
struct Pairs(PathBuf);

/// A frame of them.
struct Captured {
    time_us: u64,
    original_bytes: u32,
    bytes: Vec<u8>,
}

impl Pairs {
    const NAMES: [&str; 4] = ["fin_variants_odd_headers", "ftp_bruteforce", "ftp_data_dns_ipv6", "smb_vlan_long"];

    /// The first frames of one, `most` bytes in all.
    fn frames(&self, name: &str, most: usize) -> Result<Vec<Captured>, Box<dyn Error>> {
        let mut capture = Capture::open(&self.0.join(format!("{name}.pcap.gz")))?;
        let (mut frames, mut bytes) = (Vec::new(), 0);
        while let Some(frame) = capture.next()? {
            bytes += frame.bytes.len();
            if bytes > most {
                break;
            }
            let time_us = u64::try_from(frame.time_ns / 1_000)?;
            frames.push(Captured { time_us, original_bytes: frame.original_bytes, bytes: frame.bytes.to_vec() });
        }
        Ok(frames)
    }
}
