//! What is inside of a tunnel: GRE, VXLAN, Geneve, IP in IP.
//!
//! One level: a tunnel in a tunnel is a flow of the inner one. A fragmented outer packet is not looked into, and where
//! the inner one can't be read the packet belongs to the outer flow.

use super::network::{ETH_IPV4, ETH_IPV6};
use super::{Network, NotAFlow, Packet, Part, UDP};
use crate::cursor::{Cursor, Frame};

/// IP protocol numbers (IANA).
const IPV4_IN_IP: u8 = 4;
const IPV6_IN_IP: u8 = 41;
const GRE: u8 = 47;
/// UDP ports (IANA).
const VXLAN_PORT: u16 = 4789;
const GENEVE_PORT: u16 = 6081;
/// Transparent Ethernet bridging.
const ETH_BRIDGING: u16 = 0x6558;

const UDP_BYTES: usize = 8;
const VXLAN_BYTES: usize = 8;
const GENEVE_BYTES: usize = 8;
/// The VXLAN header's flag for a network identifier (RFC 7348, 5).
const VXLAN_HAS_VNI: u8 = 0x08;
/// Geneve (RFC 8926, 3.4): version and length of options, then "this is a control packet".
const GENEVE_VERSION: u8 = 0xc0;
const GENEVE_OPTIONS: u8 = 0x3f;
const GENEVE_CONTROL: u8 = 0x80;
/// GRE (RFC 2784, RFC 2890): optional fields, and what must be zero: routing and version 1 among it.
const GRE_CHECKSUM: u16 = 0x8000;
const GRE_KEY: u16 = 0x2000;
const GRE_SEQUENCE: u16 = 0x1000;
const GRE_REFUSED: u16 = !(GRE_CHECKSUM | GRE_KEY | GRE_SEQUENCE) & 0xfc07;

/// Where an inner packet lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Where it begins, from the start of the frame, in bytes.
    pub at: usize,
    /// What it begins with, as Ethernet would say; `ETH_BRIDGING` for an Ethernet header.
    ether_type: u16,
    /// The low 16 bits of the number of the network it belongs to.
    number: u16,
    /// Whether it has such a number. No `Option`: the kernel's verifier refuses a copy of what was never written.
    numbered: bool,
}

impl Tunnel {
    /// The domain of the inner packet: the low 16 bits of a VXLAN or Geneve network identifier or of a GRE key, else
    /// that of the outer packet.
    #[inline(always)]
    pub fn domain(&self, outer: u16) -> u16 {
        if self.numbered { self.number } else { outer }
    }

    /// Whether an Ethernet header comes first.
    #[inline(always)]
    pub fn is_bridged(&self) -> bool {
        self.ether_type == ETH_BRIDGING
    }

    #[inline(always)]
    const fn plain(at: usize, ether_type: u16) -> Self {
        Self { at, ether_type, number: 0, numbered: false }
    }

    #[inline(always)]
    const fn numbered(at: usize, ether_type: u16, number: u16) -> Self {
        Self { at, ether_type, number, numbered: true }
    }
}

/// A packet that came in a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inner {
    /// The packet. Of a later fragment without its ports, as [`Packet::transport`] leaves it.
    pub packet: Packet,
    /// Which part of its datagram it is.
    pub part: Part,
    /// The network it belongs to.
    pub domain: u16,
}

impl Packet {
    /// The packet in this one, whose transport header `network` found; `outer` is the domain of this packet. `None`
    /// where this one counts itself.
    pub fn inner<C: Cursor + ?Sized>(&self, cursor: &C, frame: Frame, network: Network, outer: u16) -> Option<Inner> {
        if !network.part().is_whole() || !self.may_be_tunnel() {
            return None;
        }
        let tunnel = self.tunnel(cursor, network.at())?;
        let mut packet = Self::ZERO;
        let network = packet.inside(cursor, frame, self.end(network.at()), tunnel).ok()?;
        match packet.transport(cursor, frame, network) {
            Ok(()) | Err(NotAFlow::Fragment) => {}
            Err(_) => return None,
        }
        Some(Inner { packet, part: network.part(), domain: tunnel.domain(outer) })
    }

    /// Whether the protocol and ports are those of a tunnel: the cheap question that comes first.
    #[inline(always)]
    pub fn may_be_tunnel(&self) -> bool {
        match self.protocol {
            UDP => self.dst_port == VXLAN_PORT || self.dst_port == GENEVE_PORT,
            IPV4_IN_IP | IPV6_IN_IP | GRE => true,
            _ => false,
        }
    }

    /// The tunnel whose header is at `at`, this packet's transport header; `None` where it is none, or carries
    /// neither Ethernet nor IP.
    #[inline(always)]
    pub fn tunnel<C: Cursor + ?Sized>(&self, cursor: &C, at: usize) -> Option<Tunnel> {
        match self.protocol {
            UDP if self.dst_port == VXLAN_PORT => vxlan(cursor, at + UDP_BYTES),
            UDP if self.dst_port == GENEVE_PORT => geneve(cursor, at + UDP_BYTES),
            GRE => gre(cursor, at),
            IPV4_IN_IP => Some(Tunnel::plain(at, ETH_IPV4)),
            IPV6_IN_IP => Some(Tunnel::plain(at, ETH_IPV6)),
            _ => None,
        }
    }

    /// Reads the inner packet of `tunnel` up to its transport header; [`Self::transport`] goes on, with the same frame,
    /// so that its bytes on the wire are those of the whole one. The outer packet ends at `outer_end`.
    ///
    /// # Errors
    /// Says why there is no packet inside.
    #[inline(always)]
    pub fn inside<C: Cursor + ?Sized>(
        &mut self,
        cursor: &C,
        frame: Frame,
        outer_end: u32,
        tunnel: Tunnel,
    ) -> Result<Network, NotAFlow> {
        // Padding behind the outer packet is none of the inner one's.
        let len = if outer_end < frame.len { outer_end } else { frame.len };
        let visible = Frame { len, vlan: 0, ..frame };
        if tunnel.is_bridged() {
            return self.ethernet(cursor, visible, tunnel.at);
        }
        self.vlan = 0;
        self.ip(cursor, visible, tunnel.ether_type, tunnel.at)
    }

    /// Where this packet ends in a frame in which its transport header is at `at`.
    #[inline(always)]
    pub fn end(&self, at: usize) -> u32 {
        at as u32 + self.header_bytes as u32 + self.payload_bytes
    }
}

#[inline(always)]
fn vxlan<C: Cursor + ?Sized>(cursor: &C, at: usize) -> Option<Tunnel> {
    let flags = cursor.u8(at)?;
    let number = cursor.be16(at + 5)?;
    if flags & VXLAN_HAS_VNI == 0 {
        return None;
    }
    Some(Tunnel::numbered(at + VXLAN_BYTES, ETH_BRIDGING, number))
}

#[inline(always)]
fn geneve<C: Cursor + ?Sized>(cursor: &C, at: usize) -> Option<Tunnel> {
    let (first, flags) = (cursor.u8(at)?, cursor.u8(at + 1)?);
    let (ether_type, number) = (cursor.be16(at + 2)?, cursor.be16(at + 5)?);
    if first & GENEVE_VERSION != 0 || flags & GENEVE_CONTROL != 0 {
        return None;
    }
    let options = (first & GENEVE_OPTIONS) as usize * 4;
    Some(Tunnel::numbered(at + GENEVE_BYTES + options, ether_type, number))
}

#[inline(always)]
fn gre<C: Cursor + ?Sized>(cursor: &C, at: usize) -> Option<Tunnel> {
    let (flags, ether_type) = (cursor.be16(at)?, cursor.be16(at + 2)?);
    if flags & GRE_REFUSED != 0 {
        return None;
    }
    let mut next = at + 4;
    if flags & GRE_CHECKSUM != 0 {
        next += 4;
    }
    let mut number = 0;
    if flags & GRE_KEY != 0 {
        number = cursor.be16(next + 2)?;
        next += 4;
    }
    if flags & GRE_SEQUENCE != 0 {
        next += 4;
    }
    Some(Tunnel { at: next, ether_type, number, numbered: flags & GRE_KEY != 0 })
}
