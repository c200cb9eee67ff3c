//! Addresses and the 40-byte flow key.

use crate::wire::wire_struct;

wire_struct! {
    /// An IPv6 address, or an IPv4 address mapped into `::ffff:0:0/96` (RFC 4291, 2.5.5.2), as it lies on the wire.
    #[derive(Hash)]
    pub struct Addr {
        /// Bytes 0–7, in memory order.
        pub hi: u64,
        /// Bytes 8–15, in memory order.
        pub lo: u64,
    }
}

impl Addr {
    /// The IPv4 address with this host-order number, mapped.
    #[inline(always)]
    pub const fn v4(number: u32) -> Self {
        Self { hi: 0, lo: (0x0000_ffff_0000_0000 | number as u64).to_be() }
    }

    /// The address with these 16 bytes.
    pub const fn from_octets(octets: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = octets;
        Self { hi: u64::from_ne_bytes([a, b, c, d, e, f, g, h]), lo: u64::from_ne_bytes([i, j, k, l, m, n, o, p]) }
    }

    /// The 16 bytes of the address.
    pub const fn octets(&self) -> [u8; 16] {
        let [a, b, c, d, e, f, g, h] = self.hi.to_ne_bytes();
        let [i, j, k, l, m, n, o, p] = self.lo.to_ne_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }

    /// Four 32-bit words in memory order: the data of a longest-prefix-match key.
    #[inline(always)]
    pub const fn words(&self) -> [u32; 4] {
        if cfg!(target_endian = "little") {
            [self.hi as u32, (self.hi >> 32) as u32, self.lo as u32, (self.lo >> 32) as u32]
        } else {
            [(self.hi >> 32) as u32, self.hi as u32, (self.lo >> 32) as u32, self.lo as u32]
        }
    }

    /// Whether this is a mapped IPv4 address.
    pub const fn is_v4(&self) -> bool {
        self.hi == 0 && (u64::from_be(self.lo) >> 32) == 0xffff
    }

    #[inline(always)]
    fn above(&self, other: &Self) -> bool {
        self.hi > other.hi || (self.hi == other.hi && self.lo > other.lo)
    }
}

impl From<core::net::IpAddr> for Addr {
    fn from(ip: core::net::IpAddr) -> Self {
        match ip {
            core::net::IpAddr::V4(v4) => Self::v4(v4.to_bits()),
            core::net::IpAddr::V6(v6) => Self::from_octets(v6.octets()),
        }
    }
}

impl From<Addr> for core::net::IpAddr {
    fn from(addr: Addr) -> Self {
        core::net::Ipv6Addr::from(addr.octets()).to_canonical()
    }
}

impl core::fmt::Display for Addr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::net::IpAddr::from(*self).fmt(f)
    }
}

wire_struct! {
    /// What makes two packets one flow, the same for both directions: the endpoint with the larger
    /// (address, port) stands second.
    #[derive(Hash)]
    pub struct FlowKey {
        /// Address of the first endpoint.
        pub addr_a: Addr,
        /// Address of the second endpoint.
        pub addr_b: Addr,
        /// Port of the first endpoint, host order; the echo identifier for ICMP echo, else 0.
        pub port_a: u16,
        /// Port of the second endpoint, host order.
        pub port_b: u16,
        /// IP protocol number (6 TCP, 17 UDP, 132 SCTP, 1 ICMP, 58 ICMPv6).
        pub protocol: u8,
        /// Always zero.
        pub zero: u8,
        /// Separates networks with overlapping addresses: VLAN, the low 16 bits of a tunnel's number, or interface group;
        /// default 0.
        pub domain: u16,
    }
}

impl FlowKey {
    /// The key of packets from (`src`, `src_port`) to (`dst`, `dst_port`), and whether the sender is endpoint A.
    #[inline(always)]
    pub fn new(src: Addr, dst: Addr, src_port: u16, dst_port: u16, protocol: u8, domain: u16) -> (Self, bool) {
        let swap = src.above(&dst) || (src.hi == dst.hi && src.lo == dst.lo && src_port > dst_port);
        let key = if swap {
            Self { addr_a: dst, addr_b: src, port_a: dst_port, port_b: src_port, protocol, zero: 0, domain }
        } else {
            Self { addr_a: src, addr_b: dst, port_a: src_port, port_b: dst_port, protocol, zero: 0, domain }
        };
        (key, !swap)
    }

    /// Tells flows apart that have one place in a table after each other: an even number, which leaves the lowest bit
    /// to the lock. Cheaper than [`Self::hash`] and not meant to spread.
    #[inline(always)]
    pub fn tag(&self) -> u32 {
        let (a, b) = (self.addr_a.hi ^ self.addr_a.lo, self.addr_b.hi ^ self.addr_b.lo ^ self.rest());
        let sum = a.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(b.wrapping_mul(0xc2b2_ae3d_27d4_eb4f));
        (sum >> 32) as u32 & !1
    }

    /// Whether it is the same key, word by word: `==` asks for every field, which shows where packets are compared in a row.
    #[inline(always)]
    pub fn is(&self, other: &Self) -> bool {
        let words = |key: &Self| {
            // In the order in which they lie in memory, so that one load gets all four.
            let rest = (key.port_a as u64) | (key.port_b as u64) << 16 | (key.protocol as u64) << 32;
            [
                key.addr_a.hi,
                key.addr_a.lo,
                key.addr_b.hi,
                key.addr_b.lo,
                rest | (key.zero as u64) << 40 | (key.domain as u64) << 48,
            ]
        };
        let (mine, theirs) = (words(self), words(other));
        (mine[0] ^ theirs[0] | mine[1] ^ theirs[1] | mine[2] ^ theirs[2] | mine[3] ^ theirs[3] | mine[4] ^ theirs[4])
            == 0
    }

    /// All fields but the addresses, in one word.
    #[inline(always)]
    fn rest(&self) -> u64 {
        (self.port_a as u64) << 48 | (self.port_b as u64) << 32 | (self.protocol as u64) << 16 | self.domain as u64
    }

    /// A 32-bit mix of all fields, for set-associative tables.
    #[inline(always)]
    pub fn hash(&self, seed: u64) -> u32 {
        let ports = self.rest();
        mix(mix(mix(mix(mix(seed, self.addr_a.hi), self.addr_a.lo), self.addr_b.hi), self.addr_b.lo), ports) as u32
    }
}

/// Folds `value` into the running hash `seed`: a multiply and two shifts, all cheap in BPF. Folded before the
/// product too, because the low bits of a product know nothing of the high bits, where an IPv4 address's
/// host part lies. The table's users add a random seed, so that nobody outside can aim at one set.
#[inline(always)]
pub fn mix(seed: u64, value: u64) -> u64 {
    let v = seed ^ value;
    let x = (v ^ (v >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^ (x >> 32)
}

impl Addr {
    /// A 32-bit mix of the address, for set-associative tables.
    #[inline(always)]
    pub fn hash(&self, seed: u64) -> u32 {
        mix(mix(seed, self.hi), self.lo) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Wire;
    use core::net::IpAddr;

    #[test]
    fn both_directions_share_a_key() {
        let (a, b) = (Addr::v4(0xc612_0001), Addr::v4(0xc612_0002));
        let (forth, first) = FlowKey::new(a, b, 40000, 80, 6, 0);
        let (back, second) = FlowKey::new(b, a, 80, 40000, 6, 0);
        assert_eq!(forth, back);
        assert_ne!(first, second);
    }

    #[test]
    fn one_host_talking_to_itself_has_two_directions() {
        let a = Addr::v4(0x7f00_0001);
        let (forth, first) = FlowKey::new(a, a, 40000, 80, 6, 0);
        let (back, second) = FlowKey::new(a, a, 80, 40000, 6, 0);
        assert_eq!(forth, back);
        assert_ne!(first, second);
    }

    #[test]
    fn every_field_changes_the_tag() {
        let key = FlowKey::new(Addr::v4(0xc612_0001), Addr::v4(0xc612_0002), 40000, 80, 6, 0).0;
        let changes: [fn(&mut FlowKey); 8] = [
            |k| k.addr_a.hi ^= 1,
            |k| k.addr_a.lo ^= 1 << 63,
            |k| k.addr_b.hi ^= 1,
            |k| k.addr_b.lo ^= 1 << 63,
            |k| k.port_a ^= 1,
            |k| k.port_b ^= 1,
            |k| k.protocol = 17,
            |k| k.domain ^= 1,
        ];
        for (i, change) in changes.iter().enumerate() {
            let mut other = key;
            change(&mut other);
            assert_ne!(other.tag(), key.tag(), "field {i}");
            assert_eq!(other.tag() & 1, 0, "the lock's bit");
        }
    }

    #[test]
    fn hosts_and_ports_of_one_network_spread_over_a_table() {
        let used = |hash: &dyn Fn(u32) -> u32| {
            (0..500).map(|i| hash(i) & 0x3fff).collect::<std::collections::BTreeSet<_>>().len()
        };
        let server = Addr::v4(0xc612_000a);
        let v6 = |i: u32| Addr::from_octets([0x20, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (i >> 8) as u8, i as u8]);
        let key = |i: u32| FlowKey::new(Addr::v4(0xc613_0101), server, 40_000 + i as u16, 80, 6, 0).0;
        for (what, sets) in [
            ("IPv4 hosts", used(&|i| Addr::v4(0xc612_0000 + i).hash(7))),
            ("IPv6 hosts", used(&|i| v6(i).hash(7))),
            ("source ports", used(&|i| key(i).hash(7))),
            ("peers", used(&|i| FlowKey::new(Addr::v4(0xc613_0000 + i), server, 4000, 80, 6, 0).0.hash(7))),
        ] {
            assert!(sets > 450, "500 {what} share {sets} of 16,384 sets");
        }
    }

    #[test]
    fn addresses_survive_the_round_trip() {
        for text in ["198.18.0.1", "2001:2::7", "::1", "0.0.0.0"] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(IpAddr::from(Addr::from(ip)), ip);
            let mut bytes = [0; 16];
            assert!(Addr::from(ip).put(&mut bytes));
            assert_eq!(bytes, Addr::from(ip).octets());
        }
    }
}
