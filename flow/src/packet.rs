//! From a frame to the facts that a flow counts: Ethernet, two VLAN tags, IPv4, IPv6, TCP, UDP, ICMP.

use crate::cursor::{Cursor, Frame};
use crate::key::{Addr, FlowKey};

/// EtherTypes (IEEE 802 numbers).
const ETH_IPV4: u16 = 0x0800;
const ETH_IPV6: u16 = 0x86dd;
const ETH_VLAN: u16 = 0x8100;
const ETH_QINQ: u16 = 0x88a8;
const ETH_LEN: usize = 14;
const VLAN_LEN: usize = 4;

/// IP protocol numbers (IANA).
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
/// ICMP for IPv4.
pub const ICMP: u8 = 1;
/// ICMP for IPv6.
pub const ICMPV6: u8 = 58;

const IPV6_HOP_BY_HOP: u8 = 0;
const IPV6_ROUTING: u8 = 43;
const IPV6_FRAGMENT: u8 = 44;
const IPV6_AUTHENTICATION: u8 = 51;
const IPV6_DESTINATION: u8 = 60;
/// Extension headers followed before a packet is given up; the verifier needs a bound, hosts rarely send two.
const MAX_EXTENSIONS: u32 = 6;

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
    /// A fragment other than the first: it carries no ports.
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
    /// Sender's port, host order; echo identifier for ICMP echo; else 0.
    pub src_port: u16,
    /// Receiver's port, host order; echo identifier for ICMP echo; else 0.
    pub dst_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// TCP flags ([`tcp_flag`]), else 0.
    pub flags: u8,
    /// Transport header bytes: TCP data offset, UDP 8, ICMP 8 (4 when shorter), else 0.
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
}

/// What the network layer says of a frame beside its addresses: where the transport header is.
///
/// In this order in memory, because an error lies where the first field would. The compiler takes such a field apart,
/// and of an `at` put together again Linux 6.1's verifier knows no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Network {
    /// Bytes from the transport header on, by the IP length.
    bytes: u32,
    /// Why the packet belongs to no flow although its addresses are known.
    refused: Option<NotAFlow>,
    /// Where the transport header begins.
    at: usize,
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

    /// Reads the frame behind `cursor` up to its transport header: addresses, protocol and VLAN, enough for rules on
    /// addresses. Whatever stood in the packet before is overwritten where it lies, here and in
    /// [`Self::transport`]: the kernel half has few registers and a short stack.
    ///
    /// # Errors
    /// Says why the frame belongs to no flow.
    #[inline(always)]
    pub fn network<C: Cursor + ?Sized>(&mut self, cursor: &C, frame: Frame) -> Result<Network, NotAFlow> {
        let mut ether_type = cursor.be16(12).ok_or(NotAFlow::Truncated)?;
        let mut at = ETH_LEN;
        self.vlan = frame.vlan;
        if ether_type == ETH_VLAN || ether_type == ETH_QINQ {
            self.vlan = cursor.be16(at).ok_or(NotAFlow::Truncated)? & 0x0fff;
            ether_type = cursor.be16(at + 2).ok_or(NotAFlow::Truncated)?;
            at += VLAN_LEN;
            if ether_type == ETH_VLAN || ether_type == ETH_QINQ {
                ether_type = cursor.be16(at + 2).ok_or(NotAFlow::Truncated)?;
                at += VLAN_LEN;
            }
        }
        match ether_type {
            ETH_IPV4 => self.ipv4(cursor, frame, at),
            ETH_IPV6 => self.ipv6(cursor, frame, at),
            _ => Err(NotAFlow::NotIp),
        }
    }

    /// Reads the transport header of a frame whose network layer was read.
    ///
    /// # Errors
    /// Says why the frame belongs to no flow.
    #[inline(always)]
    pub fn transport<C: Cursor + ?Sized>(
        &mut self,
        cursor: &C,
        frame: Frame,
        network: Network,
    ) -> Result<(), NotAFlow> {
        if let Some(why) = network.refused {
            return Err(why);
        }
        let at = network.at;
        match self.protocol {
            TCP => self.tcp(cursor, at)?,
            UDP => self.udp(cursor, at)?,
            ICMP | ICMPV6 => self.icmp(cursor, at)?,
            _ => {
                (self.src_port, self.dst_port) = (0, 0);
                (self.header_bytes, self.icmp) = (0, 0);
                self.without_tcp();
            }
        }
        self.sizes(frame, network);
        Ok(())
    }

    #[inline(always)]
    fn tcp<C: Cursor + ?Sized>(&mut self, cursor: &C, at: usize) -> Result<(), NotAFlow> {
        let header = cursor.tcp(at).ok_or(NotAFlow::Truncated)?;
        self.src_port = header.src_port;
        self.dst_port = header.dst_port;
        (self.seq, self.ack) = (header.seq, header.ack);
        self.window = header.window;
        self.icmp = 0;
        self.flags = header.offset_flags as u8;
        self.header_bytes = (header.offset_flags >> 12) * 4;
        if self.header_bytes < 20 {
            return Err(NotAFlow::Malformed);
        }
        Ok(())
    }

    #[inline(always)]
    fn without_tcp(&mut self) {
        (self.flags, self.window, self.seq, self.ack) = (0, 0, 0, 0);
    }

    #[inline(always)]
    fn udp<C: Cursor + ?Sized>(&mut self, cursor: &C, at: usize) -> Result<(), NotAFlow> {
        self.src_port = cursor.be16(at).ok_or(NotAFlow::Truncated)?;
        self.dst_port = cursor.be16(at + 2).ok_or(NotAFlow::Truncated)?;
        (self.header_bytes, self.icmp) = (8, 0);
        self.without_tcp();
        Ok(())
    }

    #[inline(always)]
    fn icmp<C: Cursor + ?Sized>(&mut self, cursor: &C, at: usize) -> Result<(), NotAFlow> {
        self.icmp = cursor.be16(at).ok_or(NotAFlow::Truncated)?;
        (self.src_port, self.dst_port) = (0, 0);
        self.header_bytes = 8;
        self.without_tcp();
        let kind = self.icmp >> 8;
        let echo = if self.protocol == ICMP { kind == 8 || kind == 0 } else { kind == 128 || kind == 129 };
        if echo {
            let id = cursor.be16(at + 4).ok_or(NotAFlow::Truncated)?;
            self.src_port = id;
            self.dst_port = id;
        }
        Ok(())
    }

    #[inline(always)]
    fn sizes(&mut self, frame: Frame, network: Network) {
        self.payload_bytes = network.bytes.saturating_sub(self.header_bytes as u32);
        self.wire_bytes = frame.len;
        self.segments = frame.segments;
        self.segment_bytes = frame.segment_bytes;
        if frame.segments > 1 {
            let headers = network.at as u32 + self.header_bytes as u32;
            self.wire_bytes = frame.len + (frame.segments - 1) * headers;
            // Some drivers hand over trains without saying how they were cut.
            if self.segment_bytes == 0 || self.segment_bytes * (frame.segments - 1) > self.payload_bytes {
                self.segment_bytes = self.payload_bytes / frame.segments;
            }
        }
    }

    /// The flow key, and whether the sender is endpoint A of it.
    #[inline(always)]
    pub fn key(&self, domain: u16) -> (FlowKey, bool) {
        FlowKey::new(self.src, self.dst, self.src_port, self.dst_port, self.protocol, domain)
    }

    #[inline(always)]
    fn ipv4<C: Cursor + ?Sized>(&mut self, cursor: &C, frame: Frame, at: usize) -> Result<Network, NotAFlow> {
        let ip = cursor.ipv4(at).ok_or(NotAFlow::Truncated)?;
        let header = ((ip.version_ihl & 0x0f) as usize) * 4;
        if ip.version_ihl >> 4 != 4 || header < 20 {
            return Err(NotAFlow::Malformed);
        }
        let refused = if ip.fragment & 0x1fff != 0 { Some(NotAFlow::Fragment) } else { None };
        // A train may be longer than 16 bits can say; the stack then writes 0.
        let present = rest(frame, at)?;
        let ip_bytes = if frame.segments > 1 { present } else { ip.total as u32 };
        if ip_bytes < header as u32 {
            return Err(NotAFlow::Malformed);
        }
        // A length beyond the frame is a lie that the stack discards; here it would count bytes that never were.
        if ip_bytes > present {
            return Err(NotAFlow::Truncated);
        }
        self.src = Addr::v4(ip.src);
        self.dst = Addr::v4(ip.dst);
        self.protocol = ip.protocol;
        Ok(Network { at: at + header, bytes: ip_bytes - header as u32, refused })
    }

    #[inline(always)]
    fn ipv6<C: Cursor + ?Sized>(&mut self, cursor: &C, frame: Frame, at: usize) -> Result<Network, NotAFlow> {
        let ip = cursor.ipv6(at).ok_or(NotAFlow::Truncated)?;
        if ip.version != 6 {
            return Err(NotAFlow::Malformed);
        }
        let present = rest(frame, at + 40)?;
        let ip_bytes = if frame.segments > 1 { present } else { ip.payload as u32 };
        if ip_bytes > present {
            return Err(NotAFlow::Truncated);
        }
        self.src = ip.src;
        self.dst = ip.dst;
        self.extensions(cursor, ip.next, at + 40, ip_bytes)
    }

    /// Follows the extension headers from `next` on, of which `bytes` bytes are left.
    #[inline(always)]
    fn extensions<C: Cursor + ?Sized>(
        &mut self,
        cursor: &C,
        mut protocol: u8,
        mut next: usize,
        mut bytes: u32,
    ) -> Result<Network, NotAFlow> {
        let mut followed = 0;
        let mut refused = None;
        loop {
            let length = match protocol {
                IPV6_HOP_BY_HOP | IPV6_ROUTING | IPV6_DESTINATION => {
                    (cursor.u8(next + 1).ok_or(NotAFlow::Truncated)? as usize + 1) * 8
                }
                IPV6_AUTHENTICATION => (cursor.u8(next + 1).ok_or(NotAFlow::Truncated)? as usize + 2) * 4,
                IPV6_FRAGMENT => {
                    if cursor.be16(next + 2).ok_or(NotAFlow::Truncated)? & 0xfff8 != 0 {
                        refused = Some(NotAFlow::Fragment);
                        break;
                    }
                    8
                }
                _ => break,
            };
            if followed == MAX_EXTENSIONS {
                refused = Some(NotAFlow::TooManyHeaders);
                break;
            }
            protocol = cursor.u8(next).ok_or(NotAFlow::Truncated)?;
            if bytes < length as u32 {
                return Err(NotAFlow::Malformed);
            }
            bytes -= length as u32;
            next += length;
            followed += 1;
        }
        self.protocol = protocol;
        Ok(Network { at: next, bytes, refused })
    }
}

/// Bytes of the frame from `at` on. No saturating difference: its constant 0 leads Linux 6.1's verifier into a
/// branch that no packet takes, where a header longer than nothing is not found impossible.
#[inline(always)]
fn rest(frame: Frame, at: usize) -> Result<u32, NotAFlow> {
    if frame.len < at as u32 {
        return Err(NotAFlow::Malformed);
    }
    Ok(frame.len - at as u32)
}

#[cfg(test)]
mod tests;
