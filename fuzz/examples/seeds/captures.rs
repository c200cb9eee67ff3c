//! Captures of every format, byte order, link type and compression.

use std::error::Error;
use std::io::Write;

use super::frames::{all, ipv4, ipv6};
use super::{Captured, Pairs, Seeds};

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
const MODIFIED: u32 = 0xa1b2_cd34;
const ETHERNET: u32 = 1;

pub(super) fn seeds(pairs: &Pairs) -> Result<Seeds, Box<dyn Error>> {
    let made: Vec<Captured> = all()
        .into_iter()
        .zip(1..)
        .map(|((_, bytes), second)| Captured { time_us: second * 1_000_000, original_bytes: bytes.len() as u32, bytes })
        .collect();
    let [little, big] = [Order { big: false }, Order { big: true }];
    let mut seeds: Seeds = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>| seeds.push((name.to_owned(), bytes));
    add("pcap", little.pcap(MICROSECONDS, ETHERNET, &made));
    add("pcap_big_endian", big.pcap(MICROSECONDS, ETHERNET, &made[..4]));
    add("pcap_nanoseconds", little.pcap(NANOSECONDS, ETHERNET, &made[..4]));
    add("pcap_modified", little.pcap(MODIFIED, ETHERNET, &made[..4]));
    add("pcap_truncated", little.pcap(MICROSECONDS, ETHERNET, &made[..4])[..300].to_vec());
    for (name, link) in [("raw", 101), ("cooked_1", 113), ("cooked_2", 276), ("loopback", 0)] {
        add(&format!("pcap_{name}"), little.pcap(MICROSECONDS, link, &linked(link)));
    }
    let pcapng = [little.pcapng(&made[..6]), big.pcapng(&made[6..12])].concat();
    add("pcapng_gzip", gzip(&pcapng)?);
    add("pcapng_zstd", zstd(&pcapng)?);
    add("pcapng", pcapng);
    add("pcap_gzip", gzip(&little.pcap(MICROSECONDS, ETHERNET, &made))?);
    add("pcap_zstd", zstd(&little.pcap(MICROSECONDS, ETHERNET, &made))?);
    let whole = little.pcap(MICROSECONDS, ETHERNET, &made);
    let (one, two) = whole.split_at(700);
    add("pcap_gzip_members", [gzip(one)?, gzip(two)?, vec![0; 20]].concat());
    add("pcap_zstd_frames", [&[0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9][..], &zstd(one)?, &zstd(two)?].concat());
    for name in Pairs::NAMES {
        let frames = pairs.frames(name, 3_000)?;
        add(name, little.pcap(MICROSECONDS, ETHERNET, &frames));
        add(&format!("{name}_pcapng_gzip"), gzip(&big.pcapng(&frames))?);
    }
    Ok(seeds)
}

/// A TCP packet over IPv4 and one over IPv6, as other links than Ethernet begin them.
fn linked(link: u32) -> Vec<Captured> {
    let tcp = [0x9c, 0x40, 0, 80, 0, 0, 1, 0, 0, 0, 2, 0, 0x50, 0x02, 0xfa, 0xf0, 0, 0, 0, 0];
    let packets = [(0x0800_u16, 2, ipv4(6, &[], 0, &tcp)), (0x86dd, 10, ipv6(6, &tcp))];
    let frame = |(ether_type, family, ip): (u16, u8, Vec<u8>)| match link {
        101 => ip,
        113 => [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0][..], &ether_type.to_be_bytes(), &ip].concat(),
        276 => [&ether_type.to_be_bytes()[..], &[0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0], &ip].concat(),
        _ => [&[family, 0, 0, 0][..], &ip].concat(),
    };
    let captured = |bytes: Vec<u8>| Captured { time_us: 5, original_bytes: bytes.len() as u32, bytes };
    packets.map(frame).map(captured).into()
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::GzBuilder::new().filename("capture").write(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn zstd(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3)?;
    encoder.include_checksum(true)?;
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Writes numbers in either byte order.
#[derive(Clone, Copy)]
struct Order {
    big: bool,
}

impl Order {
    fn u16(self, number: u16) -> [u8; 2] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn u32(self, number: u32) -> [u8; 4] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn pcap(self, magic: u32, link: u32, frames: &[Captured]) -> Vec<u8> {
        let version = [self.u16(2), self.u16(4)].concat();
        let mut file = [&self.u32(magic)[..], &version, &[0; 8], &self.u32(65_535), &self.u32(link)].concat();
        let units = if magic == NANOSECONDS { 1_000 } else { 1 };
        for frame in frames {
            let (seconds, rest) = (frame.time_us / 1_000_000, frame.time_us % 1_000_000);
            let numbers = [seconds as u32, rest as u32 * units, frame.bytes.len() as u32, frame.original_bytes];
            numbers.iter().for_each(|number| file.extend(self.u32(*number)));
            file.extend(if magic == MODIFIED { &[0; 8][..] } else { &[] });
            file.extend(&frame.bytes);
        }
        file
    }

    /// A section with two interfaces, frames by turns in enhanced, simple and obsolete blocks, and a block of another
    /// kind.
    fn pcapng(self, frames: &[Captured]) -> Vec<u8> {
        let version = [self.u16(1), self.u16(0)].concat();
        let options =
            [&self.u16(2)[..], &self.u16(4), b"eth0", &self.u16(9), &self.u16(1), &[9, 0, 0, 0], &[0; 4]].concat();
        let interface = |options: &[u8]| self.block(1, &[&self.u16(1)[..], &[0; 2], &self.u32(0), options].concat());
        let mut file = self.block(0x0a0d_0d0a, &[&self.u32(0x1a2b_3c4d)[..], &version, &[0xff; 8]].concat());
        file.extend([interface(&[]), interface(&options), self.block(5, &[0; 12])].concat());
        for (number, frame) in frames.iter().enumerate() {
            let (bytes, original) = (frame.bytes.len() as u32, self.u32(frame.original_bytes));
            let time = [(frame.time_us >> 32) as u32, frame.time_us as u32, bytes].map(|word| self.u32(word)).concat();
            file.extend(match number % 4 {
                1 => self.block(3, &[&original[..], &frame.bytes].concat()),
                2 => self.block(2, &[&self.u16(1)[..], &self.u16(0), &time, &original, &frame.bytes].concat()),
                _ => self.block(6, &[&self.u32(0)[..], &time, &original, &frame.bytes].concat()),
            });
        }
        file
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
        let length = self.u32((12 + body.len() + padding.len()) as u32);
        [&self.u32(kind)[..], &length, body, &padding, &length].concat()
    }
}
