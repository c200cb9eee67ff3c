//! A bounded flood of TCP SYN, UDP or echo packets from this host's own address, in IPv4 or IPv6.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, sendto, socket};
use rand::{Rng, RngCore};

use super::forge::{checksum, syn, udp};
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
    /// Of payload, for UDP and echo requests.
    #[arg(long)]
    bytes: usize,
    #[arg(long)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Protocol {
    Syn,
    Udp,
    Icmp,
}

const FASTEST: u64 = 20_000;
const LONGEST_S: u64 = 15;

pub(super) fn run(args: &Args) -> Result<()> {
    let target = super::address(&args.target)?;
    let source = own_address(target)?;
    let (family, kind) = match (args.protocol, target) {
        (Protocol::Syn, IpAddr::V4(_)) => (AddressFamily::Inet, SockProtocol::Tcp),
        (Protocol::Syn, IpAddr::V6(_)) => (AddressFamily::Inet6, SockProtocol::Tcp),
        (Protocol::Udp, IpAddr::V4(_)) => (AddressFamily::Inet, SockProtocol::Udp),
        (Protocol::Udp, IpAddr::V6(_)) => (AddressFamily::Inet6, SockProtocol::Udp),
        (Protocol::Icmp, IpAddr::V4(_)) => (AddressFamily::Inet, SockProtocol::Icmp),
        (Protocol::Icmp, IpAddr::V6(_)) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    // The kernel puts its own header before ours.
    let socket = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, kind).context("a raw socket (needs root)")?;
    let to = SockaddrStorage::from(SocketAddr::new(target, 0));
    let mut rng = rng(args.seed, "flood", 0);
    let mut payload = vec![0; args.bytes.min(1400)];
    rng.fill_bytes(&mut payload);
    let mut pace = Pace::new(args.rate.min(FASTEST), args.seconds.min(LONGEST_S));
    let (mut sent, mut number) = (0_u64, 0_u16);
    while pace.tick() {
        number = number.wrapping_add(1);
        let segment = segment(args, (source, target), number, &payload, &mut rng)?;
        match sendto(socket.as_raw_fd(), &segment, &to, MsgFlags::empty()) {
            Ok(_) => sent += 1,
            Err(Errno::ENOBUFS | Errno::EAGAIN) => {}
            Err(error) => return Err(error).context("sending"),
        }
    }
    println!("{sent} packets sent");
    Ok(())
}

/// The address that packets to `target` leave with.
fn own_address(target: IpAddr) -> Result<IpAddr> {
    let any: SocketAddr = if target.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
    let probe = UdpSocket::bind(any)?;
    // Connecting a UDP socket sends nothing.
    probe.connect((target, 9)).with_context(|| format!("no way to {target}"))?;
    Ok(probe.local_addr()?.ip())
}

fn segment(
    args: &Args,
    (source, target): (IpAddr, IpAddr),
    number: u16,
    payload: &[u8],
    rng: &mut impl Rng,
) -> Result<Vec<u8>> {
    let to = if args.port == 0 { rng.random_range(1..=u16::MAX) } else { args.port };
    let ports = (rng.random_range(1024..=u16::MAX), to);
    let (next, mut segment, checksum_at) = match (args.protocol, target) {
        (Protocol::Syn, _) => (6, syn(ports, rng), 16),
        (Protocol::Udp, _) => (17, udp(ports, payload)?, 6),
        (Protocol::Icmp, IpAddr::V4(_)) => (1, echo(8, number, payload), 2),
        (Protocol::Icmp, IpAddr::V6(_)) => (58, echo(128, number, payload), 2),
    };
    let sum = match (source, target) {
        // ICMP of IPv4 has no pseudo header.
        (IpAddr::V4(_), IpAddr::V4(_)) if next == 1 => checksum(&[], &segment),
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let length = u16::try_from(segment.len())?.to_be_bytes();
            checksum(&[&from.octets()[..], &to.octets(), &[0, next], &length].concat(), &segment)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let length = u32::try_from(segment.len())?.to_be_bytes();
            checksum(&[&from.octets()[..], &to.octets(), &length, &[0, 0, 0, next]].concat(), &segment)
        }
        _ => bail!("{source} and {target} are of two families"),
    };
    segment.splice(checksum_at..checksum_at + 2, sum.to_be_bytes());
    Ok(segment)
}

fn echo(kind: u8, number: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = number.to_be_bytes();
    [&[kind, 0, 0, 0, 0x67, 0x6c, high, low][..], payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_segment_sums_to_nothing_with_its_pseudo_header() -> Result<()> {
        let v4: (IpAddr, IpAddr) = ("198.19.1.11".parse()?, "198.18.0.10".parse()?);
        let v6: (IpAddr, IpAddr) = ("2001:2:0:131::b".parse()?, "2001:2:0:120::a".parse()?);
        for (protocol, next) in [(Protocol::Syn, 6_u8), (Protocol::Udp, 17), (Protocol::Icmp, 58)] {
            let target = v6.1.to_string();
            let args = Args { target, protocol, port: 80, rate: 1, seconds: 1, bytes: 33, seed: 1 };
            let made = segment(&args, v6, 1, &[7; 33], &mut rng(1, "t", 0))?;
            let (IpAddr::V6(from), IpAddr::V6(to)) = v6 else { bail!("not IPv6") };
            let length = u32::try_from(made.len())?.to_be_bytes();
            let pseudo = [&from.octets()[..], &to.octets(), &length, &[0, 0, 0, next]].concat();
            assert_eq!(checksum(&pseudo, &made), 0);
        }
        let args = Args {
            target: v4.1.to_string(),
            protocol: Protocol::Icmp,
            port: 0,
            rate: 1,
            seconds: 1,
            bytes: 8,
            seed: 1,
        };
        assert_eq!(checksum(&[], &segment(&args, v4, 9, &[1; 8], &mut rng(1, "t", 0))?), 0);
        Ok(())
    }
}
