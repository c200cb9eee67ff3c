//! Which flow a fragment without ports belongs to: what the first fragment of its datagram said.
//!
//! A set-associative table with a replacement of our own, as for single packets ([`crate::half_open`]): memory stays
//! what it is under a flood of first fragments, and a fragment whose first one is not remembered is counted as such.
//! Fragments are not put together, so one that overlaps another counts its bytes like any.

use crate::key::{Addr, mix};
use crate::packet::{Packet, Part};
use crate::wire::wire_struct;

/// Datagrams per set.
pub const WAYS: usize = 4;
/// Sets in the kernel's table: 4,096 datagrams under way, 236 KiB.
pub const SETS: usize = 1024;
/// How long the fragments of a datagram are waited for, µs: as long as Linux does (`net.ipv4.ipfrag_time`).
pub const LIFE_US: u64 = 30 * crate::US_PER_S;

/// Stands for the protocol in IPv6, whose later fragments do not always name it.
const IPV6_FRAGMENT: u8 = 44;

wire_struct! {
    /// What the fragments of one datagram have in common (RFC 791, 3.2; RFC 8200, 4.5).
    pub struct DatagramKey {
        /// Sender.
        pub src: Addr,
        /// Receiver.
        pub dst: Addr,
        /// Identification; 16 bits in IPv4.
        pub identification: u32,
        /// The network, as in [`crate::FlowKey`].
        pub domain: u16,
        /// IP protocol number in IPv4, 44 in IPv6.
        pub protocol: u8,
        /// Always zero.
        pub zero: u8,
    }
}

wire_struct! {
    /// A datagram of which the first fragment was seen.
    pub struct Datagram {
        /// Which one.
        pub key: DatagramKey,
        /// Time of the first fragment, µs since boot; 0 marks an empty slot.
        pub seen_us: u64,
        /// The packet's ports.
        pub src_port: u16,
        /// As above.
        pub dst_port: u16,
        /// ICMP type and code.
        pub icmp: u16,
        /// IP protocol number.
        pub protocol: u8,
        /// 1 after its last fragment: late ones are still known, but nobody has to wait for them.
        pub complete: u8,
    }
}

wire_struct! {
    /// One set of the table.
    pub struct DatagramSet {
        /// The kernel's try-lock.
        pub lock: u32,
        /// Always zero.
        pub zero: u32,
        /// The entries, in no order.
        pub ways: [Datagram; 4],
    }
}

impl DatagramKey {
    /// Of the datagram that `packet` is a fragment of.
    #[inline(always)]
    pub fn of(packet: &Packet, domain: u16) -> Self {
        Self {
            src: packet.src,
            dst: packet.dst,
            identification: packet.datagram,
            domain,
            protocol: if packet.src.is_v4() { packet.protocol } else { IPV6_FRAGMENT },
            zero: 0,
        }
    }

    /// A 32-bit mix of all fields.
    #[inline(always)]
    pub fn hash(&self, seed: u64) -> u32 {
        let rest = (self.identification as u64) << 32 | (self.domain as u64) << 16 | self.protocol as u64;
        mix(mix(mix(mix(mix(seed, self.src.hi), self.src.lo), self.dst.hi), self.dst.lo), rest) as u32
    }

    /// Field by field: a comparison of the whole becomes a call in the kernel.
    #[inline(always)]
    fn is(&self, other: &Self) -> bool {
        self.identification == other.identification
            && self.src.lo == other.src.lo
            && self.dst.lo == other.dst.lo
            && self.src.hi == other.src.hi
            && self.dst.hi == other.dst.hi
            && self.protocol == other.protocol
            && self.domain == other.domain
    }
}

impl Datagram {
    #[inline(always)]
    fn is_live(&self, now_us: u64) -> bool {
        self.seen_us != 0 && now_us.saturating_sub(self.seen_us) < LIFE_US
    }

    #[inline(always)]
    fn is_awaited(&self, now_us: u64) -> bool {
        self.complete == 0 && self.is_live(now_us)
    }
}

/// What became of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// It belongs to no known flow.
    Unknown,
    /// Its flow is known.
    Known,
    /// Its flow is known, and another datagram was forgotten for it.
    Replaced,
}

impl DatagramSet {
    /// Sees to a fragment: of a first one the ports are remembered, into a later one they are written.
    #[inline(always)]
    pub fn fragment(&mut self, packet: &mut Packet, part: Part, domain: u16, now_us: u64) -> Outcome {
        let key = DatagramKey::of(packet, domain);
        if part.is_later() { self.later(&key, packet, part, now_us) } else { self.first(&key, packet, now_us) }
    }

    #[inline(always)]
    fn first(&mut self, key: &DatagramKey, packet: &Packet, now_us: u64) -> Outcome {
        let mut least = u64::MAX;
        let mut victim = 0;
        let mut i = 0;
        while i < WAYS {
            let way = &self.ways[i];
            if way.seen_us != 0 && way.key.is(key) {
                // The identification went round, or the fragment was sent twice.
                victim = i;
                least = 0;
            }
            // Whoever is awaited goes last, the oldest first.
            let worth = way.seen_us | (way.is_awaited(now_us) as u64) << 63;
            if worth < least {
                least = worth;
                victim = i;
            }
            i += 1;
        }
        let way = &mut self.ways[victim & (WAYS - 1)];
        let replaces = way.is_awaited(now_us) && !way.key.is(key);
        way.key = *key;
        // 0 says that the slot is empty.
        way.seen_us = if now_us == 0 { 1 } else { now_us };
        (way.src_port, way.dst_port) = (packet.src_port, packet.dst_port);
        (way.icmp, way.protocol) = (packet.icmp, packet.protocol);
        way.complete = 0;
        if replaces { Outcome::Replaced } else { Outcome::Known }
    }

    #[inline(always)]
    fn later(&mut self, key: &DatagramKey, packet: &mut Packet, part: Part, now_us: u64) -> Outcome {
        let mut i = 0;
        while i < WAYS {
            let way = &mut self.ways[i];
            if way.is_live(now_us) && way.key.is(key) {
                (packet.src_port, packet.dst_port) = (way.src_port, way.dst_port);
                (packet.icmp, packet.protocol) = (way.icmp, way.protocol);
                if part.is_last() {
                    way.complete = 1;
                }
                return Outcome::Known;
            }
            i += 1;
        }
        Outcome::Unknown
    }
}

#[cfg(test)]
mod tests;
