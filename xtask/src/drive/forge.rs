//! A bounded flood of TCP SYN or UDP packets with forged sources, each from another address.
//!
//! Sources come from the part of 198.18.0.0/15 in which no host of the range lives, so that no
//! forged packet is ever taken for a benign client's. The kernel fills in the IPv4 checksum; the one of
//! TCP and UDP is made here.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket};
use rand::{Rng, RngCore};

use super::pace::Pace;
use crate::lab::draw::rng;

#[derive(clap::Args)]
pub(super) struct Args {
    target: String,
    #[arg(long)]
    protocol: Protocol,
    /// 0: another one for each packet.
    #[arg(long)]
    port: u16,
    #[arg(long)]
    rate: u64,
    #[arg(long)]
    seconds: u64,
    /// Of payload, for UDP.
    #[arg(long)]
    bytes: usize,
    #[arg(long)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Protocol {
    Syn,
    Udp,
}

const FASTEST: u64 = 20_000;
const LONGEST_S: u64 = 15;

pub(super) fn run(args: &Args) -> Result<()> {
    let IpAddr::V4(target) = super::address(&args.target)? else { bail!("only IPv4 is forged") };
    // "Raw" as protocol means that the header comes from us.
    let socket = socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw);
    let socket = socket.context("a raw socket (needs root)")?;
    let [a, b, c, d] = target.octets();
    let to = SockaddrIn::new(a, b, c, d, 0);
    let mut rng = rng(args.seed, "forge", 0);
    let mut payload = vec![0; args.bytes.min(1400)];
    rng.fill_bytes(&mut payload);
    let mut pace = Pace::new(args.rate.min(FASTEST), args.seconds.min(LONGEST_S));
    let mut sent = 0_u64;
    while pace.tick() {
        let packet = packet(args, target, &payload, &mut rng)?;
        match sendto(socket.as_raw_fd(), &packet, &to, MsgFlags::empty()) {
            Ok(_) => sent += 1,
            Err(Errno::ENOBUFS | Errno::EAGAIN) => {}
            Err(error) => return Err(error).context("sending"),
        }
    }
    println!("{sent} packets sent");
    Ok(())
}

/// Any address of 198.18.0.0/15 outside of the hosts' own networks.
fn source(rng: &mut impl Rng) -> Ipv4Addr {
    loop {
        let [b, c, d]: [u8; 3] = rng.random();
        if c >= 4 && d != 0 && d != 255 {
            return Ipv4Addr::new(198, 18 + (b & 1), c, d);
        }
    }
}

fn packet(args: &Args, target: Ipv4Addr, payload: &[u8], rng: &mut impl Rng) -> Result<Vec<u8>> {
    let source = source(rng);
    let ports =
        (rng.random_range(1024..=u16::MAX), if args.port == 0 { rng.random_range(1..=u16::MAX) } else { args.port });
    let (number, mut segment, checksum_at) = match args.protocol {
        Protocol::Syn => (6, syn(ports, rng), 16),
        Protocol::Udp => (17, udp(ports, payload)?, 6),
    };
    let sum = checksum(&pseudo(source, target, number, &segment)?, &segment);
    segment.splice(checksum_at..checksum_at + 2, sum.to_be_bytes());

    let total = u16::try_from(20 + segment.len())?;
    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&total.to_be_bytes());
    packet.extend_from_slice(&rng.random::<u16>().to_be_bytes());
    packet.extend_from_slice(&[0x40, 0, rng.random_range(40..=64), number, 0, 0]);
    packet.extend_from_slice(&source.octets());
    packet.extend_from_slice(&target.octets());
    packet.append(&mut segment);
    Ok(packet)
}

/// A SYN as Linux sends it: MSS, SACK permitted, time stamp, window scale.
pub(super) fn syn((from, to): (u16, u16), rng: &mut impl Rng) -> Vec<u8> {
    let mut segment = Vec::with_capacity(40);
    segment.extend_from_slice(&from.to_be_bytes());
    segment.extend_from_slice(&to.to_be_bytes());
    segment.extend_from_slice(&rng.random::<u32>().to_be_bytes());
    segment.extend_from_slice(&[0; 4]);
    segment.extend_from_slice(&[0xa0, 0x02, 0xfa, 0xf0, 0, 0, 0, 0]);
    segment.extend_from_slice(&[2, 4, 5, 0xb4, 4, 2, 8, 10]);
    segment.extend_from_slice(&rng.random::<u32>().to_be_bytes());
    segment.extend_from_slice(&[0, 0, 0, 0, 1, 3, 3, 7]);
    segment
}

/// A UDP datagram, its checksum still to be made.
pub(super) fn udp((from, to): (u16, u16), payload: &[u8]) -> Result<Vec<u8>> {
    let mut segment = Vec::with_capacity(8 + payload.len());
    segment.extend_from_slice(&from.to_be_bytes());
    segment.extend_from_slice(&to.to_be_bytes());
    segment.extend_from_slice(&u16::try_from(8 + payload.len())?.to_be_bytes());
    segment.extend_from_slice(&[0, 0]);
    segment.extend_from_slice(payload);
    Ok(segment)
}

/// The Internet checksum over pseudo header and segment (RFC 1071).
pub(super) fn checksum(pseudo: &[u8], segment: &[u8]) -> u16 {
    let words = pseudo.chunks(2).chain(segment.chunks(2)).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // Both halves were added until one was left.
    !(sum as u16)
}

/// What IPv4's TCP and UDP sum besides the segment.
fn pseudo(source: Ipv4Addr, target: Ipv4Addr, number: u8, segment: &[u8]) -> Result<Vec<u8>> {
    let length = u16::try_from(segment.len())?.to_be_bytes();
    Ok([&source.octets()[..], &target.octets(), &[0, number], &length].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_with_its_checksum_sums_to_nothing() -> Result<()> {
        let (source, target) = (Ipv4Addr::new(198, 18, 9, 9), Ipv4Addr::new(198, 18, 0, 10));
        let mut segment = syn((1, 80), &mut rng(1, "t", 0));
        let sum = checksum(&pseudo(source, target, 6, &segment)?, &segment);
        segment.splice(16..18, sum.to_be_bytes());
        assert_eq!(checksum(&pseudo(source, target, 6, &segment)?, &segment), 0);
        Ok(())
    }

    #[test]
    fn no_host_of_the_range_is_ever_forged() {
        let mut rng = rng(1, "t", 0);
        for _ in 0..10_000 {
            let [_, b, c, _] = source(&mut rng).octets();
            assert!((b == 18 || b == 19) && c >= 4);
        }
    }
}
