//! Where packet bytes lie: XDP buffers and socket buffers, behind one cursor.

use core::arch::asm;

use aya_ebpf::bindings::{__sk_buff, xdp_md};
use aya_ebpf::programs::{TcContext, XdpContext};
use ganglion_flow::cursor::{Ipv4, Ipv6, Tcp};
use ganglion_flow::packet::Network;
use ganglion_flow::{Addr, Cursor, Frame, NotAFlow, Packet};

/// Headers are complete within this many bytes of a socket buffer, or the rest is pulled up.
const PULL_BYTES: u32 = 128;
/// As above where the packet in a tunnel counts: two IPv6 headers and Geneve's longest options.
const PULL_DEEP_BYTES: u32 = 512;
/// Ethernet, IPv4 and TCP without options.
const HEADERS_V4: u32 = 54;
/// Ethernet, IPv6 and TCP without options.
const HEADERS_V6: u32 = 74;
/// EtherType of IPv6 as `skb->protocol` has it.
const ETH_IPV6_BE: u32 = 0x86dd_u16.to_be() as u32;

/// The directly readable part of a packet.
pub struct Bytes {
    start: usize,
    end: usize,
}

macro_rules! load {
    ($self:ident, $offset:ident, $type:ty) => {{
        let at = $self.start + $offset;
        if at + size_of::<$type>() > $self.end {
            return None;
        }
        // SAFETY: the bound was checked against the packet's end, which the verifier proves again. Headers
        // lie at odd multiples of two; BPF loads on the supported machines need no alignment.
        unsafe { *(at as *const $type) }
    }};
}

/// A field of a header that [`Bytes::span`] proved.
macro_rules! field {
    ($at:ident, $offset:literal, $type:ty) => {
        // SAFETY: the span was checked against the packet's end, which the verifier proves again; alignment as above.
        unsafe { *(($at + $offset) as *const $type) }
    };
}

impl Bytes {
    /// Where `offset` lies, when `len` bytes from there on are readable.
    #[inline(always)]
    fn span(&self, offset: usize, len: usize) -> Option<usize> {
        let mut at = self.start;
        // SAFETY: an addition. In plain code the compiler would make each field's address anew from the packet's start,
        // and the verifier's proof is of this pointer alone.
        unsafe {
            asm!("{at} += {offset}", at = inout(reg) at, offset = in(reg) offset, options(pure, nomem, nostack));
        }
        if at + len > self.end { None } else { Some(at) }
    }
}

#[cfg(feature = "bench")]
impl Bytes {
    /// Writes two bytes at `offset`; false when the packet ends before.
    #[inline(always)]
    pub fn put16(&self, offset: usize, value: u16) -> bool {
        let at = self.start + offset;
        if at + 2 > self.end {
            return false;
        }
        // SAFETY: the bound was checked against the packet's end.
        unsafe { *(at as *mut u16) = value };
        true
    }
}

impl Cursor for Bytes {
    #[inline(always)]
    fn u8(&self, offset: usize) -> Option<u8> {
        Some(load!(self, offset, u8))
    }

    #[inline(always)]
    fn be16(&self, offset: usize) -> Option<u16> {
        Some(u16::from_be(load!(self, offset, u16)))
    }

    #[inline(always)]
    fn be32(&self, offset: usize) -> Option<u32> {
        Some(u32::from_be(load!(self, offset, u32)))
    }

    #[inline(always)]
    fn ne64(&self, offset: usize) -> Option<u64> {
        Some(load!(self, offset, u64))
    }

    #[inline(always)]
    fn ipv4(&self, offset: usize) -> Option<Ipv4> {
        let at = self.span(offset, 20)?;
        Some(Ipv4 {
            version_ihl: field!(at, 0, u8),
            total: u16::from_be(field!(at, 2, u16)),
            fragment: u16::from_be(field!(at, 6, u16)),
            protocol: field!(at, 9, u8),
            src: u32::from_be(field!(at, 12, u32)),
            dst: u32::from_be(field!(at, 16, u32)),
        })
    }

    #[inline(always)]
    fn ipv6(&self, offset: usize) -> Option<Ipv6> {
        let at = self.span(offset, 40)?;
        Some(Ipv6 {
            version: field!(at, 0, u8) >> 4,
            payload: u16::from_be(field!(at, 4, u16)),
            next: field!(at, 6, u8),
            src: Addr { hi: field!(at, 8, u64), lo: field!(at, 16, u64) },
            dst: Addr { hi: field!(at, 24, u64), lo: field!(at, 32, u64) },
        })
    }

    #[inline(always)]
    fn tcp(&self, offset: usize) -> Option<Tcp> {
        let at = self.span(offset, 16)?;
        Some(Tcp {
            src_port: u16::from_be(field!(at, 0, u16)),
            dst_port: u16::from_be(field!(at, 2, u16)),
            seq: u32::from_be(field!(at, 4, u32)),
            ack: u32::from_be(field!(at, 8, u32)),
            offset_flags: u16::from_be(field!(at, 12, u16)),
            window: u16::from_be(field!(at, 14, u16)),
        })
    }
}

/// Reads a packet pointer, a 32-bit field of the context that the verifier widens. In plain code the compiler
/// would move it through 32-bit registers, after which it is no pointer any more.
macro_rules! pointer {
    ($ctx:expr, $type:ty, $field:ident) => {{
        let value: usize;
        // SAFETY: an aligned load of a field of the live context.
        unsafe {
            asm!(
                "{value} = *(u32 *)({ctx} + {offset})",
                value = out(reg) value,
                ctx = in(reg) $ctx,
                offset = const core::mem::offset_of!($type, $field),
                options(readonly, nostack, preserves_flags),
            );
        }
        value
    }};
}

/// A packet at XDP: what lies there, and its context, for functions that begin anew with it.
pub struct AtXdp {
    pub bytes: Bytes,
    pub ctx: *mut xdp_md,
}

/// A packet at TC.
pub struct AtTc {
    pub bytes: Bytes,
    pub ctx: *mut __sk_buff,
}

macro_rules! cursor_with_context {
    ($type:ty, $extensions:ident) => {
        impl Cursor for $type {
            #[inline(always)]
            fn u8(&self, offset: usize) -> Option<u8> {
                self.bytes.u8(offset)
            }

            #[inline(always)]
            fn be16(&self, offset: usize) -> Option<u16> {
                self.bytes.be16(offset)
            }

            #[inline(always)]
            fn be32(&self, offset: usize) -> Option<u32> {
                self.bytes.be32(offset)
            }

            #[inline(always)]
            fn ne64(&self, offset: usize) -> Option<u64> {
                self.bytes.ne64(offset)
            }

            #[inline(always)]
            fn ipv4(&self, offset: usize) -> Option<Ipv4> {
                self.bytes.ipv4(offset)
            }

            #[inline(always)]
            fn ipv6(&self, offset: usize) -> Option<Ipv6> {
                self.bytes.ipv6(offset)
            }

            #[inline(always)]
            fn tcp(&self, offset: usize) -> Option<Tcp> {
                self.bytes.tcp(offset)
            }

            #[inline(always)]
            fn extensions(
                &self,
                packet: &mut Packet,
                kind: u8,
                offset: usize,
                bytes: u32,
            ) -> Result<Network, NotAFlow> {
                let from = (bytes as u64) << 32 | (kind as u64) << 16 | offset as u64;
                Network::of_word($extensions(self.ctx, packet, from))
            }
        }
    };
}

cursor_with_context!(AtXdp, ganglion_extensions_xdp);
cursor_with_context!(AtTc, ganglion_extensions_skb);

/// Follows extension headers: offset, kind of the first one and bytes left in one word, [`Network::to_word`] back.
/// Proved once by the verifier, instead of once per way to an IPv6 header.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ganglion_extensions_xdp(ctx: *mut xdp_md, packet: *mut Packet, from: u64) -> u64 {
    if packet.is_null() {
        return 0;
    }
    // SAFETY: the caller's packet; the verifier proved the pointer.
    extensions(&xdp_bytes(ctx), unsafe { &mut *packet }, from)
}

/// As above.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ganglion_extensions_skb(ctx: *mut __sk_buff, packet: *mut Packet, from: u64) -> u64 {
    if packet.is_null() {
        return 0;
    }
    // SAFETY: as above.
    extensions(&skb_bytes(ctx), unsafe { &mut *packet }, from)
}

#[inline(always)]
fn extensions(bytes: &Bytes, packet: &mut Packet, from: u64) -> u64 {
    let offset = (from & 0xfff) as usize;
    Network::to_word(packet.extensions(bytes, (from >> 16) as u8, offset, (from >> 32) as u32))
}

#[inline(always)]
fn xdp_bytes(ctx: *mut xdp_md) -> Bytes {
    Bytes { start: pointer!(ctx, xdp_md, data), end: pointer!(ctx, xdp_md, data_end) }
}

#[inline(always)]
fn skb_bytes(skb: *mut __sk_buff) -> Bytes {
    Bytes { start: pointer!(skb, __sk_buff, data), end: pointer!(skb, __sk_buff, data_end) }
}

/// The packet at XDP.
#[inline(always)]
pub fn xdp(ctx: &XdpContext) -> (AtXdp, Frame) {
    let bytes = xdp_bytes(ctx.ctx);
    let frame = Frame::plain((bytes.end - bytes.start) as u32);
    (AtXdp { bytes, ctx: ctx.ctx }, frame)
}

/// The packet at TC. Pulls headers up where the buffer's linear part ends before them.
#[inline(always)]
pub fn skb(ctx: &TcContext) -> (AtTc, Frame) {
    // SAFETY: the context stays valid for the whole run; a plain read of `struct __sk_buff`.
    let protocol = unsafe { (*ctx.skb.skb).protocol };
    pulled(ctx, if protocol == ETH_IPV6_BE { HEADERS_V6 } else { HEADERS_V4 }, PULL_BYTES)
}

/// As [`skb`], with the headers inside of a tunnel.
#[inline(always)]
pub fn skb_deep(ctx: &TcContext) -> (AtTc, Frame) {
    pulled(ctx, PULL_DEEP_BYTES, PULL_DEEP_BYTES)
}

/// With `pull` bytes readable, where there are so many, unless `headers` are already.
#[inline(always)]
fn pulled(ctx: &TcContext, headers: u32, pull: u32) -> (AtTc, Frame) {
    // SAFETY: the context stays valid for the whole run; these are plain reads of `struct __sk_buff`.
    let (len, segments, segment_bytes, vlan_present, vlan_tci) = unsafe {
        let skb = ctx.skb.skb;
        ((*skb).len, (*skb).gso_segs, (*skb).gso_size, (*skb).vlan_present, (*skb).vlan_tci)
    };
    // Frames that a guest left to be split say how large the pieces are, not how many.
    let segments = if segments == 0 && segment_bytes > 0 { len.div_ceil(segment_bytes) } else { segments };
    let wanted = if len < headers { len } else { headers };
    let mut bytes = skb_bytes(ctx.skb.skb);
    if ((bytes.end - bytes.start) as u32) < wanted {
        // On failure the parser meets the end of the data and counts the frame as truncated.
        let _ = ctx.pull_data(if len < pull { len } else { pull });
        bytes = skb_bytes(ctx.skb.skb);
    }
    let frame = Frame {
        len,
        segments: if segments > 1 { segments } else { 1 },
        segment_bytes: if segments > 1 { segment_bytes } else { 0 },
        vlan: if vlan_present != 0 { (vlan_tci & 0x0fff) as u16 } else { 0 },
    };
    (AtTc { bytes, ctx: ctx.skb.skb }, frame)
}
