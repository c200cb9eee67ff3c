//! From a frame to the facts that a flow counts.
//!
//! Link and network layer: Ethernet with up to two VLAN tags, IPv4 with options, IPv6 with extension headers, fragments
//! of both. Transport: TCP, UDP, SCTP, ICMP and ICMPv6. Inside of tunnels, when asked: GRE, VXLAN, Geneve, IP in IP.

mod network;
mod transport;
mod tunnel;

pub use network::{Network, Part};
pub use tunnel::{Inner, Tunnel};

use crate::cursor::{Cursor, Frame};
use crate::key::{Addr, FlowKey};

/// IP protocol numbers (IANA).
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
/// SCTP (RFC 9260).
pub const SCTP: u8 = 132;
/// ICMP for IPv4.
pub const ICMP: u8 = 1;
/// ICMP for IPv6.
pub const ICMPV6: u8 = 58;

/// The shortest TCP header; no other transport header that is read is so long.
const TCP_BYTES: u16 = 20;

/// TCP flag bits as they stand in the header.
pub mod tcp_flag {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push buffered data.
    pub const PSH: u8 = 0x08;
    /// Acknowledgement field is valid.
    pub const ACK: u8 = 0x10;
    /// Urgent pointer is valid.
    pub const URG: u8 = 0x20;
    /// ECN echo.
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced.
    pub const CWR: u8 = 0x80;
}

/// Why a frame belongs to no flow. Such frames pass, and are counted by this reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum NotAFlow {
    /// Neither IPv4 nor IPv6 (ARP, LLDP, more than two VLAN tags, …).
    NotIp,
    /// The frame ends inside a header.
    Truncated,
    /// A header contradicts itself: version, header length or total length.
    Malformed,
    /// A fragment other than the first, whose first one was not seen: it carries no ports.
    Fragment,
    /// More IPv6 extension headers than are followed.
    TooManyHeaders,
}

/// What a flow needs to know of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Sender.
    pub src: Addr,
    /// Receiver.
    pub dst: Addr,
    /// Sender's port, host order (TCP, UDP, SCTP); echo identifier for ICMP echo; else 0.
    pub src_port: u16,
    /// Receiver's port, host order; echo identifier for ICMP echo; else 0.
    pub dst_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// TCP flags ([`tcp_flag`]), else 0.
    pub flags: u8,
    /// Transport header bytes: TCP data offset, UDP 8, SCTP 12, ICMP 8, else 0. A later fragment has none.
    pub header_bytes: u16,
    /// TCP window as it stands in the header (unscaled), else 0.
    pub window: u16,
    /// ICMP type in the high byte, code in the low byte; else 0.
    pub icmp: u16,
    /// TCP sequence number, else 0.
    pub seq: u32,
    /// TCP acknowledgement number as it stands in the header, else 0.
    pub ack: u32,
    /// Transport payload bytes by the IP length, over all merged packets.
    pub payload_bytes: u32,
    /// Bytes on the wire from the Ethernet header on, headers of merged packets counted.
    pub wire_bytes: u32,
    /// Wire packets in the frame (1 unless merged).
    pub segments: u32,
    /// Payload of each merged packet but the last; 0 for a plain packet.
    pub segment_bytes: u32,
    /// VLAN identifier of the outer tag, 0 for none.
    pub vlan: u16,
    /// Identification of the datagram that this is a fragment of; says nothing where it is none.
    pub datagram: u32,
}

impl Packet {
    /// Nothing known yet.
    pub const ZERO: Self = Self {
        src: Addr { hi: 0, lo: 0 },
        dst: Addr { hi: 0, lo: 0 },
        src_port: 0,
        dst_port: 0,
        protocol: 0,
        flags: 0,
        header_bytes: 0,
        window: 0,
        icmp: 0,
        seq: 0,
        ack: 0,
        payload_bytes: 0,
        wire_bytes: 0,
        segments: 0,
        segment_bytes: 0,
        vlan: 0,
        datagram: 0,
    };

    /// Reads the frame behind `cursor`.
    ///
    /// # Errors
    /// Says why the frame belongs to no flow.
    pub fn parse<C: Cursor + ?Sized>(cursor: &C, frame: Frame) -> Result<Self, NotAFlow> {
        let mut packet = Self::ZERO;
        let network = packet.network(cursor, frame)?;
        packet.transport(cursor, frame, network)?;
        Ok(packet)
    }

    /// Whether the packet holds a TCP header; a later fragment of a TCP segment does not.
    #[inline(always)]
    pub fn has_tcp_header(&self) -> bool {
        self.header_bytes >= TCP_BYTES
    }

    /// The flow key, and whether the sender is endpoint A of it.
    #[inline(always)]
    pub fn key(&self, domain: u16) -> (FlowKey, bool) {
        FlowKey::new(self.src, self.dst, self.src_port, self.dst_port, self.protocol, domain)
    }
}

#[cfg(test)]
mod tests;
