//! How packet bytes are reached: one safe trait, with an implementation per place a packet can lie in.

use crate::key::Addr;
use crate::packet::{Network, NotAFlow, Packet};

/// Read access to a frame's bytes: `None` when the frame ends before. Implemented for a byte slice here, for
/// XDP and skb contexts in `sensor-ebpf`.
pub trait Cursor {
    /// The byte at `offset`.
    fn u8(&self, offset: usize) -> Option<u8>;

    /// The big-endian 16-bit number at `offset`, in host order.
    fn be16(&self, offset: usize) -> Option<u16>;

    /// The big-endian 32-bit number at `offset`, in host order.
    fn be32(&self, offset: usize) -> Option<u32>;

    /// The eight bytes at `offset` as they lie in memory.
    fn ne64(&self, offset: usize) -> Option<u64>;

    /// The IPv4 header at `offset`, without options. A place that can prove a whole header at once reads it so.
    #[inline(always)]
    fn ipv4(&self, offset: usize) -> Option<Ipv4> {
        Some(Ipv4 {
            version_ihl: self.u8(offset)?,
            total: self.be16(offset + 2)?,
            fragment: self.be16(offset + 6)?,
            protocol: self.u8(offset + 9)?,
            src: self.be32(offset + 12)?,
            dst: self.be32(offset + 16)?,
        })
    }

    /// The IPv6 header at `offset`.
    #[inline(always)]
    fn ipv6(&self, offset: usize) -> Option<Ipv6> {
        Some(Ipv6 {
            version: self.u8(offset)? >> 4,
            payload: self.be16(offset + 4)?,
            next: self.u8(offset + 6)?,
            src: Addr { hi: self.ne64(offset + 8)?, lo: self.ne64(offset + 16)? },
            dst: Addr { hi: self.ne64(offset + 24)?, lo: self.ne64(offset + 32)? },
        })
    }

    /// Follows the IPv6 extension headers at `offset` ([`Packet::extensions`]). A place where that is dear to prove has it
    /// proved apart.
    ///
    /// # Errors
    /// As there.
    #[inline(always)]
    fn extensions(&self, packet: &mut Packet, kind: u8, offset: usize, bytes: u32) -> Result<Network, NotAFlow> {
        packet.extensions(self, kind, offset, bytes)
    }

    /// The TCP header at `offset`, up to its window.
    #[inline(always)]
    fn tcp(&self, offset: usize) -> Option<Tcp> {
        Some(Tcp {
            src_port: self.be16(offset)?,
            dst_port: self.be16(offset + 2)?,
            seq: self.be32(offset + 4)?,
            ack: self.be32(offset + 8)?,
            offset_flags: self.be16(offset + 12)?,
            window: self.be16(offset + 14)?,
        })
    }
}

/// What is read of an IPv4 header, numbers in host order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields of RFC 791")]
pub struct Ipv4 {
    pub version_ihl: u8,
    pub total: u16,
    pub fragment: u16,
    pub protocol: u8,
    pub src: u32,
    pub dst: u32,
}

/// What is read of an IPv6 header, numbers in host order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields of RFC 8200")]
pub struct Ipv6 {
    pub version: u8,
    pub payload: u16,
    pub next: u8,
    pub src: Addr,
    pub dst: Addr,
}

/// What is read of a TCP header, numbers in host order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields of RFC 9293")]
pub struct Tcp {
    pub src_port: u16,
    pub dst_port: u16,
    pub seq: u32,
    pub ack: u32,
    pub offset_flags: u16,
    pub window: u16,
}

#[inline(always)]
fn chunk<const N: usize>(bytes: &[u8], offset: usize) -> Option<&[u8; N]> {
    bytes.get(offset..)?.first_chunk()
}

/// Headers are read whole: one check of the length in the place of one for each field.
impl Cursor for [u8] {
    #[inline(always)]
    fn u8(&self, offset: usize) -> Option<u8> {
        self.get(offset).copied()
    }

    #[inline(always)]
    fn be16(&self, offset: usize) -> Option<u16> {
        chunk(self, offset).map(|bytes| u16::from_be_bytes(*bytes))
    }

    #[inline(always)]
    fn be32(&self, offset: usize) -> Option<u32> {
        chunk(self, offset).map(|bytes| u32::from_be_bytes(*bytes))
    }

    #[inline(always)]
    fn ne64(&self, offset: usize) -> Option<u64> {
        chunk(self, offset).map(|bytes| u64::from_ne_bytes(*bytes))
    }

    #[inline(always)]
    fn ipv4(&self, offset: usize) -> Option<Ipv4> {
        whole::<20>(self, offset)?.ipv4(0)
    }

    #[inline(always)]
    fn ipv6(&self, offset: usize) -> Option<Ipv6> {
        whole::<40>(self, offset)?.ipv6(0)
    }

    #[inline(always)]
    fn tcp(&self, offset: usize) -> Option<Tcp> {
        whole::<16>(self, offset)?.tcp(0)
    }
}

/// A header whose bytes are all there.
struct Whole<'a, const N: usize>(&'a [u8; N]);

#[inline(always)]
fn whole<const N: usize>(bytes: &[u8], offset: usize) -> Option<Whole<'_, N>> {
    chunk(bytes, offset).map(Whole)
}

impl<const N: usize> Cursor for Whole<'_, N> {
    #[inline(always)]
    fn u8(&self, offset: usize) -> Option<u8> {
        self.0.get(offset).copied()
    }

    #[inline(always)]
    fn be16(&self, offset: usize) -> Option<u16> {
        chunk(self.0, offset).map(|bytes| u16::from_be_bytes(*bytes))
    }

    #[inline(always)]
    fn be32(&self, offset: usize) -> Option<u32> {
        chunk(self.0, offset).map(|bytes| u32::from_be_bytes(*bytes))
    }

    #[inline(always)]
    fn ne64(&self, offset: usize) -> Option<u64> {
        chunk(self.0, offset).map(|bytes| u64::from_ne_bytes(*bytes))
    }
}

/// What the hook knows of a frame beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Length of the frame from the Ethernet header on, in bytes; for a merged train, of the whole train with
    /// its headers counted once (`skb->len`).
    pub len: u32,
    /// Wire packets merged into this frame by GRO or not yet split by GSO; 1 for a plain packet.
    pub segments: u32,
    /// Transport payload of each merged packet but the last, in bytes; 0 for a plain packet.
    pub segment_bytes: u32,
    /// VLAN tag that the driver took out of the frame, 0 for none.
    pub vlan: u16,
}

impl Frame {
    /// A plain wire packet of `len` bytes.
    #[inline(always)]
    pub const fn plain(len: u32) -> Self {
        Self { len, segments: 1, segment_bytes: 0, vlan: 0 }
    }
}
