//! Link and network layer: where the transport header is, and whose it is.

use super::{NotAFlow, Packet};
use crate::cursor::{Cursor, Frame};
use crate::key::Addr;

/// EtherTypes (IEEE 802 numbers).
pub(super) const ETH_IPV4: u16 = 0x0800;
pub(super) const ETH_IPV6: u16 = 0x86dd;
const ETH_VLAN: u16 = 0x8100;
const ETH_QINQ: u16 = 0x88a8;
const ETH_LEN: usize = 14;
const VLAN_LEN: usize = 4;

/// Extension headers (IANA "IPv6 Extension Header Types").
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;
const FRAGMENT_LEN: usize = 8;
/// Extension headers followed before a packet is given up; the verifier needs a bound, hosts rarely send two.
const MAX_EXTENSIONS: u32 = 6;

/// Which part of its datagram a packet is: offset and "more fragments" as IPv4 has them (RFC 791, 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Part(u16);

const MORE: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;
/// An extension header too many: what follows is not read. IPv4's reserved bit, which is masked out.
const UNREAD: u16 = 0x8000;

impl Part {
    /// All of it.
    pub const WHOLE: Self = Self(0);

    #[inline(always)]
    const fn v4(field: u16) -> Self {
        Self(field & (MORE | OFFSET))
    }

    /// Of the fragment header (RFC 8200, 4.5).
    #[inline(always)]
    const fn v6(field: u16) -> Self {
        Self(field >> 3 | (field & 1) << 13)
    }

    /// Not a fragment.
    #[inline(always)]
    pub const fn is_whole(self) -> bool {
        self.0 == 0
    }

    /// A fragment other than the first.
    #[inline(always)]
    pub const fn is_later(self) -> bool {
        self.0 & OFFSET != 0
    }

    /// The fragment at the end, or all of it.
    #[inline(always)]
    pub const fn is_last(self) -> bool {
        self.0 & MORE == 0
    }

    #[inline(always)]
    pub(super) const fn is_unread(self) -> bool {
        self.0 & UNREAD != 0
    }

    /// As a number.
    #[inline(always)]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Of a number that [`Self::bits`] gave.
    #[inline(always)]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }
}

/// What the network layer says of a frame beside its addresses: where the transport header is.
///
/// In this order in memory, because an error lies where the first field would. The compiler takes such a field apart,
/// and of an `at` put together again Linux 6.1's verifier knows no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Network {
    /// Bytes from the transport header on, by the IP length.
    pub(super) bytes: u32,
    /// Which part of a datagram they are.
    part: Part,
    /// Where the transport header begins.
    pub(super) at: usize,
}

impl Network {
    /// Which part of a datagram the frame holds.
    #[inline(always)]
    pub fn part(&self) -> Part {
        self.part
    }

    /// Where the transport header begins.
    #[inline(always)]
    pub fn at(&self) -> usize {
        self.at
    }

    /// What [`Packet::extensions`] found, in one word: the kernel's functions hand over no more.
    #[inline(always)]
    pub fn to_word(found: Result<Self, NotAFlow>) -> u64 {
        match found {
            Ok(network) => (network.bytes as u64) << 32 | (network.part.0 as u64) << 16 | network.at as u64 & WORD_AT,
            Err(NotAFlow::Malformed) => 1 << 16,
            Err(_) => 0,
        }
    }

    /// The other way round. Of `at` the word has room for 12 bits, which holds all headers there can be.
    #[inline(always)]
    pub fn of_word(word: u64) -> Result<Self, NotAFlow> {
        let at = (word & WORD_AT) as usize;
        if at == 0 {
            return Err(if word == 0 { NotAFlow::Truncated } else { NotAFlow::Malformed });
        }
        Ok(Self { bytes: (word >> 32) as u32, part: Part((word >> 16) as u16), at })
    }
}

/// Bits of a word for an offset: the largest is that of an inner packet, behind all that may stand before.
const WORD_AT: u64 = 0x3fff;

impl Packet {
    /// Reads the frame behind `cursor` up to its transport header: addresses, protocol and VLAN, enough for rules on
    /// addresses. Whatever stood in the packet before is overwritten where it lies, here and in
    /// [`Self::transport`]: the kernel half has few registers and a short stack.
    ///
    /// # Errors
    /// Says why the frame belongs to no flow.
    #[inline(always)]
    pub fn network<C: Cursor + ?Sized>(&mut self, cursor: &C, frame: Frame) -> Result<Network, NotAFlow> {
        self.ethernet(cursor, frame, 0)
    }

    /// As [`Self::network`], with the Ethernet header at `start`.
    #[inline(always)]
    pub(super) fn ethernet<C: Cursor + ?Sized>(
        &mut self,
        cursor: &C,
        frame: Frame,
        start: usize,
    ) -> Result<Network, NotAFlow> {
        let mut ether_type = cursor.be16(start + 12).ok_or(NotAFlow::Truncated)?;
        let mut at = start + ETH_LEN;
        self.vlan = frame.vlan;
        if ether_type == ETH_VLAN || ether_type == ETH_QINQ {
            let vlan = cursor.be16(at).ok_or(NotAFlow::Truncated)? & 0x0fff;
            // What the driver took out stood before.
            if frame.vlan == 0 {
                self.vlan = vlan;
            }
            ether_type = cursor.be16(at + 2).ok_or(NotAFlow::Truncated)?;
            at += VLAN_LEN;
            if ether_type == ETH_VLAN || ether_type == ETH_QINQ {
                ether_type = cursor.be16(at + 2).ok_or(NotAFlow::Truncated)?;
                at += VLAN_LEN;
            }
        }
        self.ip(cursor, frame, ether_type, at)
    }

    /// Reads the IP header at `at`.
    #[inline(always)]
    pub(super) fn ip<C: Cursor + ?Sized>(
        &mut self,
        cursor: &C,
        frame: Frame,
        ether_type: u16,
        at: usize,
    ) -> Result<Network, NotAFlow> {
        match ether_type {
            ETH_IPV4 => self.ipv4(cursor, frame, at),
            ETH_IPV6 => self.ipv6(cursor, frame, at),
            _ => Err(NotAFlow::NotIp),
        }
    }

    #[inline(always)]
    fn ipv4<C: Cursor + ?Sized>(&mut self, cursor: &C, frame: Frame, at: usize) -> Result<Network, NotAFlow> {
        let ip = cursor.ipv4(at).ok_or(NotAFlow::Truncated)?;
        let header = ((ip.version_ihl & 0x0f) as usize) * 4;
        if ip.version_ihl >> 4 != 4 || header < 20 {
            return Err(NotAFlow::Malformed);
        }
        let part = Part::v4(ip.fragment);
        if !part.is_whole() {
            self.datagram = cursor.be16(at + 4).ok_or(NotAFlow::Truncated)? as u32;
        }
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
        Ok(Network { at: at + header, bytes: ip_bytes - header as u32, part })
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
        if is_extension(ip.next) {
            return cursor.extensions(self, ip.next, at + 40, ip_bytes);
        }
        self.protocol = ip.next;
        Ok(Network { at: at + 40, bytes: ip_bytes, part: Part::WHOLE })
    }

    /// Follows the extension headers from the one at `next` on, of kind `protocol`, of which `bytes` bytes are left.
    /// Behind the fragment header of a later fragment nothing is read: what it names is in the first one.
    ///
    /// # Errors
    /// A header is cut or contradicts the packet's length.
    #[inline(always)]
    pub fn extensions<C: Cursor + ?Sized>(
        &mut self,
        cursor: &C,
        mut protocol: u8,
        mut next: usize,
        mut bytes: u32,
    ) -> Result<Network, NotAFlow> {
        let mut followed = 0;
        let mut part = Part::WHOLE;
        while is_extension(protocol) {
            if followed == MAX_EXTENSIONS {
                part = Part(UNREAD);
                break;
            }
            let length = match protocol {
                FRAGMENT => FRAGMENT_LEN,
                AUTHENTICATION => (cursor.u8(next + 1).ok_or(NotAFlow::Truncated)? as usize + 2) * 4,
                _ => (cursor.u8(next + 1).ok_or(NotAFlow::Truncated)? as usize + 1) * 8,
            };
            if bytes < length as u32 {
                return Err(NotAFlow::Malformed);
            }
            if protocol == FRAGMENT {
                let this = Part::v6(cursor.be16(next + 2).ok_or(NotAFlow::Truncated)?);
                if !this.is_whole() {
                    self.datagram = cursor.be32(next + 4).ok_or(NotAFlow::Truncated)?;
                    part = this;
                }
            }
            let at = next;
            bytes -= length as u32;
            next += length;
            if part.is_later() {
                break;
            }
            protocol = cursor.u8(at).ok_or(NotAFlow::Truncated)?;
            followed += 1;
        }
        self.protocol = protocol;
        Ok(Network { at: next, bytes, part })
    }
}

/// Whether another header follows that says what comes next.
#[inline(always)]
fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION | MOBILITY | HOST_IDENTITY | SHIM6
    )
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
