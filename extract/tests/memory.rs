//! Captures that unpack to far more than they are, or describe more than anybody needs, take no more memory for it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use ganglion_extract::capture::Capture;

const MIB: usize = 1024 * 1024;
/// What a capture is made into: a small part of it would be noticed.
const UNPACKED: usize = 64 * MIB;
/// Most memory of this process, all its tests at once.
const PEAK_MAX: usize = 32 * MIB;

/// A beginning, then the same part again and again, none of it held twice.
struct Repeated {
    begin: Vec<u8>,
    part: Vec<u8>,
    times: usize,
    /// Bytes of what is being read, the beginning or a part, that were read.
    at: usize,
    in_part: bool,
}

impl Repeated {
    fn new(begin: Vec<u8>, part: Vec<u8>, times: usize) -> Self {
        Self { begin, part, times, at: 0, in_part: false }
    }
}

impl Read for Repeated {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let whole = if self.in_part { &self.part } else { &self.begin };
        if self.in_part && self.times == 0 {
            return Ok(0);
        }
        let rest = &whole[self.at..];
        let bytes = rest.len().min(out.len());
        out[..bytes].copy_from_slice(&rest[..bytes]);
        self.at += bytes;
        if self.at == whole.len() {
            self.at = 0;
            self.times -= usize::from(self.in_part);
            self.in_part = true;
        }
        Ok(bytes)
    }
}

/// Reads to the end, which must be a good one; how many frames there were, and in all of them.
fn read(repeated: Repeated) -> (usize, usize) {
    let mut capture = Capture::from_reader(repeated, "test").unwrap();
    let (mut frames, mut bytes) = (0, 0);
    while let Some(frame) = capture.next().unwrap() {
        frames += 1;
        bytes += frame.bytes.len();
    }
    (frames, bytes)
}

/// Most memory that this process held so far.
fn peak_bytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() * 1024
}

#[track_caller]
fn assert_peak() {
    let peak = peak_bytes();
    assert!(peak < PEAK_MAX, "{} MiB", peak / MIB);
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A classic header; its snap length claims 4 GiB.
fn header() -> Vec<u8> {
    words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, u32::MAX, 1])
}

/// A MiB of records, of zeros but for their lengths.
fn records() -> Vec<u8> {
    const RECORD: usize = 64 * 1024;
    let mut record = words(&[0, 0, RECORD as u32 - 16, RECORD as u32 - 16]);
    record.resize(RECORD, 0);
    record.repeat(MIB / RECORD)
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let bytes = body.len() as u32 + 12;
    [words(&[kind, bytes]), body.to_vec(), words(&[bytes])].concat()
}

fn section() -> Vec<u8> {
    block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]))
}

#[test]
fn gzip_unpacks_as_it_goes() {
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let part = gzip(&records());
    assert!(part.len() < MIB / 500, "a bomb");
    let (frames, bytes) = read(Repeated::new(gzip(&header()), part, UNPACKED / MIB));
    assert_eq!(bytes + 16 * frames, UNPACKED);
    assert_peak();
}

#[test]
fn zstd_unpacks_as_it_goes() {
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let part = zstd(&records());
    assert!(part.len() < MIB / 500, "a bomb");
    let (frames, bytes) = read(Repeated::new(zstd(&header()), part, UNPACKED / MIB));
    assert_eq!(bytes + 16 * frames, UNPACKED);
    assert_peak();
}

#[test]
fn blocks_of_other_kinds_are_not_held() {
    const BLOCK: usize = 2 * MIB;
    let part = block(0x0bad, &vec![7; BLOCK - 12]);
    assert_eq!(read(Repeated::new(section(), part, UNPACKED / BLOCK)), (0, 0));
    assert_peak();
}

#[test]
fn interfaces_of_earlier_sections_are_not_held() {
    let interface = block(1, &words(&[1, u32::MAX]));
    let part = [section(), interface.repeat(65_536)].concat();
    assert_eq!(read(Repeated::new(section(), part, 24)), (0, 0));
    assert_peak();
}
