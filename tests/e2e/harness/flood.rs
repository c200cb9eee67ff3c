//! A bounded SYN flood from every address of 198.18.0.0/15, no two packets of one connection.

use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket};

use super::Net;
use super::net::in_namespace;

/// Addresses in 198.18.0.0/15.
pub(crate) const ADDRESSES: u32 = 1 << 17;
/// Source ports are below; those of real connections are not.
pub(crate) const REAL_PORTS: u16 = 61_000;

const NETWORK: u32 = 0xc612_0000;
const PORTS: u32 = REAL_PORTS as u32 - 1024;
/// Apart from the ports of the rounds before, for as many rounds as there are ports.
const PORT_STEP: u32 = 7_919;
/// Packets between two looks at the clock.
const BURST: u32 = 128;
const LONGEST: Duration = Duration::from_secs(120);

/// What to send.
#[derive(Clone, Copy)]
pub(crate) struct SynFlood {
    /// Where to.
    pub(crate) target: Ipv4Addr,
    /// The port that every second packet goes to; the others go to random ones.
    pub(crate) service: u16,
    /// Packets of each address.
    pub(crate) rounds: u32,
    /// At most so many a second.
    pub(crate) rate: u32,
}

/// What was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) packets: u64,
    pub(crate) tuples: usize,
    pub(crate) addresses: usize,
    pub(crate) took: Duration,
}

impl std::fmt::Display for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { packets, tuples, addresses, took } = self;
        write!(f, "{packets} SYNs of {tuples} 5-tuples from {addresses} addresses in {:.1} s", took.as_secs_f64())
    }
}

impl SynFlood {
    /// Sends it all from the world's namespace.
    pub(crate) fn run(self, net: &Net) -> Sent {
        in_namespace(&net.world(), move || self.send())
    }

    fn send(self) -> Sent {
        // "Raw" as protocol means that the header comes from us.
        let raw = socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw).unwrap();
        let [a, b, c, d] = self.target.octets();
        let to = SockaddrIn::new(a, b, c, d, 0);
        let mut tuples = Vec::with_capacity((self.rounds * ADDRESSES) as usize);
        let begun = Instant::now();
        for number in 0..self.rounds * ADDRESSES {
            if number % BURST == 0 {
                let due = Duration::from_secs(1) * number / self.rate;
                std::thread::sleep(due.saturating_sub(begun.elapsed()));
                assert!(begun.elapsed() < LONGEST, "{number} packets in {LONGEST:?}");
            }
            let (source, from, port) = self.tuple(number);
            match sendto(raw.as_raw_fd(), &syn(source, from, self.target, port, mix(number)), &to, MsgFlags::empty()) {
                Ok(_) => tuples.push((source, from, port)),
                Err(Errno::ENOBUFS | Errno::EAGAIN) => {}
                Err(error) => panic!("packet {number}: {error}"),
            }
        }
        let (packets, took) = (tuples.len() as u64, begun.elapsed());
        tuples.sort_unstable();
        tuples.dedup();
        let distinct = tuples.len();
        tuples.dedup_by_key(|tuple| tuple.0);
        Sent { packets, tuples: distinct, addresses: tuples.len(), took }
    }

    /// Source address, source port and destination port: each address once in a round, in another order each time.
    fn tuple(&self, number: u32) -> (u32, u16, u16) {
        let (round, index) = (number / ADDRESSES, number % ADDRESSES);
        // An odd factor permutes the addresses.
        let host = index.wrapping_mul(0x9e37 + 2 * round) % ADDRESSES;
        let from = 1024 + (mix(host) % PORTS + round * PORT_STEP) % PORTS;
        let port = if number.is_multiple_of(2) { u32::from(self.service) } else { 1 + mix(number) % 65_535 };
        (NETWORK | host, from as u16, port as u16)
    }
}

/// A number that looks random.
fn mix(number: u32) -> u32 {
    let mut x = number.wrapping_add(0x9e37_79b9);
    x = (x ^ x >> 16).wrapping_mul(0x85eb_ca6b);
    x = (x ^ x >> 13).wrapping_mul(0xc2b2_ae35);
    x ^ x >> 16
}

/// IPv4 and TCP header of a SYN. The kernel fills in the IPv4 checksum, and drops packets with a wrong one of TCP.
fn syn(source: u32, from: u16, target: Ipv4Addr, port: u16, sequence: u32) -> [u8; 40] {
    let mut packet = [0; 40];
    packet[..10].copy_from_slice(&[0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6]);
    packet[12..16].copy_from_slice(&source.to_be_bytes());
    packet[16..20].copy_from_slice(&target.octets());
    packet[20..22].copy_from_slice(&from.to_be_bytes());
    packet[22..24].copy_from_slice(&port.to_be_bytes());
    packet[24..28].copy_from_slice(&sequence.to_be_bytes());
    packet[32..36].copy_from_slice(&[0x50, 0x02, 0xfa, 0xf0]);
    // Pseudo header: addresses, protocol 6, 20 bytes.
    let words = packet[12..].chunks_exact(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let sum = words.sum::<u32>() + 6 + 20;
    let sum = (sum & 0xffff) + (sum >> 16);
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    packet[36..38].copy_from_slice(&checksum.to_be_bytes());
    packet
}
