//! What the reference reads from a frame.

use std::net::Ipv4Addr;

use super::flow::flag;
use crate::capture::{Frame, Network};

const ETHERTYPE_AT: usize = 12;
const ETHERNET_BYTES: usize = 14;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_TAG: u16 = 0x8100;
const TAG_BYTES: usize = 4;
const IPV4_HEADER_MIN_BYTES: usize = 20;
const FRAGMENT_OFFSET: u16 = 0x1fff;
const IPV4_IN_IPV4: u8 = 4;

/// The protocols that the reference tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Protocol {
    /// Everything else in IPv4, later fragments included.
    Other = 0,
    /// ICMP.
    Icmp = 1,
    /// IGMP.
    Igmp = 2,
    /// TCP.
    Tcp = 6,
    /// UDP.
    Udp = 17,
    /// SCTP.
    Sctp = 132,
}

/// A packet as the reference sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Sender; of the outer header where IPv4 lies in IPv4.
    pub src: Ipv4Addr,
    /// Receiver; of the outer header where IPv4 lies in IPv4.
    pub dst: Ipv4Addr,
    /// Sender's port; 0 without ports.
    pub src_port: u16,
    /// Receiver's port; 0 without ports.
    pub dst_port: u16,
    /// Protocol column.
    pub protocol: Protocol,
    /// TCP flags as on the wire; 0 for other protocols.
    pub flags: u8,
    /// TCP window, not scaled; 0 for other protocols.
    pub window: u16,
    /// TCP sequence number.
    pub sequence: u32,
    /// TCP acknowledgement number.
    pub acknowledgement: u32,
    /// Transport payload, no more than was captured.
    pub payload_bytes: u32,
    /// Transport header alone.
    pub header_bytes: u32,
    /// Type and code of an ICMP message.
    pub icmp: Option<(u8, u8)>,
}

/// A 5-tuple without a direction: equal for a packet and its answer. Packets of one flow, and of the flows it
/// continues, have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Conversation {
    low: (Ipv4Addr, u16),
    high: (Ipv4Addr, u16),
    protocol: Protocol,
}

impl Packet {
    /// Reads an Ethernet frame; nothing where it is not IPv4, or IPv4 that the reference drops.
    pub fn of_ethernet(frame: &[u8]) -> Option<Self> {
        Self::behind(be16(frame, ETHERTYPE_AT)?, frame.get(ETHERNET_BYTES..)?)
    }

    /// Reads a frame of a capture of any link type; nothing as in [`Self::of_ethernet`]. The reference itself reads
    /// Ethernet alone.
    pub fn of_frame(frame: &Frame<'_>) -> Option<Self> {
        let Network { ether_type, offset } = frame.network()?;
        Self::behind(ether_type, frame.bytes.get(offset..)?)
    }

    /// Reads what an EtherType announced.
    fn behind(mut ether_type: u16, mut rest: &[u8]) -> Option<Self> {
        // Behind a tag the reference takes the payload to the end of the frame: padding and trailers count.
        let tagged = ether_type == ETHERTYPE_TAG;
        while ether_type == ETHERTYPE_TAG {
            ether_type = be16(rest, 2)?;
            rest = rest.get(TAG_BYTES..)?;
        }
        if ether_type == ETHERTYPE_IPV4 { Self::read(rest, tagged) } else { None }
    }

    /// Equal for both directions.
    pub fn conversation(&self) -> Conversation {
        let (a, b) = ((self.src, self.src_port), (self.dst, self.dst_port));
        Conversation { low: a.min(b), high: a.max(b), protocol: self.protocol }
    }

    /// Whether all of these flags are set.
    pub(super) fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// Whether it is the second step of a TCP handshake, sent by the server.
    pub(super) fn is_syn_ack(&self) -> bool {
        self.has(flag::SYN | flag::ACK)
    }

    fn read(bytes: &[u8], to_end: bool) -> Option<Self> {
        let outer = Ipv4::of(bytes, to_end)?;
        let mut packet = Self {
            src: outer.src,
            dst: outer.dst,
            src_port: 0,
            dst_port: 0,
            protocol: Protocol::Other,
            flags: 0,
            window: 0,
            sequence: 0,
            acknowledgement: 0,
            payload_bytes: 0,
            header_bytes: 0,
            icmp: None,
        };
        let mut ip = outer;
        // Each step leaves at least a header behind, so this ends.
        while let (IPV4_IN_IPV4, Some(payload)) = (ip.protocol, ip.payload) {
            let Some(inner) = Ipv4::of(payload, to_end) else { break };
            ip = inner;
        }
        let known = ip.payload.is_some_and(|payload| packet.transport(ip.protocol, payload));
        if known {
            return Some(packet);
        }
        if outer.protocol == Protocol::Igmp as u8 && outer.payload.is_some() {
            packet.protocol = Protocol::Igmp;
        }
        is_named(outer.protocol).then_some(packet)
    }

    /// Reads the transport header; whether it is one that the reference knows.
    fn transport(&mut self, protocol: u8, payload: &[u8]) -> bool {
        match protocol {
            6 => self.tcp(payload),
            17 => self.ports(Protocol::Udp, payload, 8),
            132 => self.ports(Protocol::Sctp, payload, 12),
            1 => self.icmp(payload),
            _ => None,
        }
        .is_some()
    }

    fn tcp(&mut self, payload: &[u8]) -> Option<()> {
        let fixed: &[u8; 20] = payload.first_chunk()?;
        // The data offset may claim more than there is.
        let header_bytes = (usize::from(fixed[12] >> 4) * 4).min(payload.len());
        self.ports(Protocol::Tcp, payload, header_bytes)?;
        self.sequence = be32(payload, 4)?;
        self.acknowledgement = be32(payload, 8)?;
        self.flags = fixed[13];
        self.window = be16(payload, 14)?;
        Some(())
    }

    fn ports(&mut self, protocol: Protocol, payload: &[u8], header_bytes: usize) -> Option<()> {
        let payload_bytes = payload.len().checked_sub(header_bytes)?;
        self.src_port = be16(payload, 0)?;
        self.dst_port = be16(payload, 2)?;
        self.protocol = protocol;
        self.header_bytes = clamp(header_bytes);
        self.payload_bytes = clamp(payload_bytes);
        Some(())
    }

    fn icmp(&mut self, payload: &[u8]) -> Option<()> {
        let [kind, code] = *payload.first_chunk()?;
        self.protocol = Protocol::Icmp;
        self.icmp = Some((kind, code));
        Some(())
    }
}

/// One IPv4 header and what follows it.
#[derive(Clone, Copy)]
struct Ipv4<'a> {
    src: Ipv4Addr,
    dst: Ipv4Addr,
    protocol: u8,
    /// The IP payload as far as it was captured; nothing in a later fragment and where the total length is 0
    /// (segmentation offload), which the reference reads no further.
    payload: Option<&'a [u8]>,
}

impl<'a> Ipv4<'a> {
    fn of(bytes: &'a [u8], to_end: bool) -> Option<Self> {
        let fixed: &[u8; IPV4_HEADER_MIN_BYTES] = bytes.first_chunk()?;
        let header_bytes = usize::from(fixed[0] & 0xf) * 4;
        if header_bytes < IPV4_HEADER_MIN_BYTES {
            return None;
        }
        let total_bytes = usize::from(be16(bytes, 2)?);
        let later_fragment = be16(bytes, 6)? & FRAGMENT_OFFSET != 0;
        let end = if to_end { bytes.len() } else { total_bytes.min(bytes.len()) };
        let payload =
            if later_fragment || total_bytes == 0 { None } else { Some(bytes.get(header_bytes..end).unwrap_or(&[])) };
        Some(Self {
            src: Ipv4Addr::from(be32(bytes, 12)?),
            dst: Ipv4Addr::from(be32(bytes, 16)?),
            protocol: fixed[9],
            payload,
        })
    }
}

/// Whether jnetpcap, which reads packets for the reference, has a name for a protocol number. Packets without are
/// dropped there.
fn is_named(protocol: u8) -> bool {
    matches!(protocol, 0..=61 | 94 | 103 | 111 | 118 | 133 | 137)
}

fn clamp(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests;
