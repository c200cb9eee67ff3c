//! What is inside of a tunnel, when asked: the packet's flow is then the inner one.
//!
//! Rules on addresses were judged on the outer packet by then; on the inner flow only a verdict is looked up.

use aya_ebpf::bindings::{__sk_buff, xdp_md};
use aya_ebpf::programs::{TcContext, XdpContext};
use ganglion_flow::settings::flag;
use ganglion_flow::{Counter, Cursor, Frame, NotAFlow, Packet};

use crate::context::{AtTc, AtXdp};
use crate::counters::Count;
use crate::maps::setting;
use crate::path::Passing;
use crate::{context, fragments, memory, rules};

/// The packet under way is the one that counts: the inner one now, or the outer one where there is no tunnel, or nothing
/// in it that could be read.
pub const COUNTED: u32 = 0;
/// A verdict drops the inner flow.
pub const DROP: u32 = 1;
/// The inner packet is a later fragment of an unknown datagram.
pub const FRAGMENT: u32 = 2;
/// The inner packet is a fragment, and others held the table of those too long.
pub const BUSY: u32 = 3;

/// Largest offset of an outer transport header: two tags, IPv6 and all extension headers a host would send.
const FARTHEST: usize = 1023;
const PACKET_WORDS: usize = size_of::<Packet>() / 8;

/// A hook's way to the inner packet.
pub trait Inside {
    /// Replaces the packet under way by the one in it, whose outer transport header is at `at`. `exempt` says that no
    /// rule may drop it.
    fn look(&self, passing: &mut Passing, at: usize, exempt: bool) -> u32;
}

impl Inside for AtXdp {
    #[inline(always)]
    fn look(&self, passing: &mut Passing, at: usize, exempt: bool) -> u32 {
        ganglion_inner_xdp(self.ctx, passing, at as u64, exempt as u64)
    }
}

impl Inside for AtTc {
    #[inline(always)]
    fn look(&self, passing: &mut Passing, at: usize, exempt: bool) -> u32 {
        ganglion_inner_skb(self.ctx, passing, at as u64, exempt as u64)
    }
}

/// At XDP. Proved once by the verifier.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ganglion_inner_xdp(ctx: *mut xdp_md, passing: *mut Passing, at: u64, exempt: u64) -> u32 {
    if passing.is_null() {
        return COUNTED;
    }
    let (bytes, frame) = context::xdp(&XdpContext::new(ctx));
    // SAFETY: the caller's packet; the verifier proved the pointer.
    look(&bytes, frame, unsafe { &mut *passing }, at as usize, exempt != 0)
}

/// At TC. Proved once per program by the verifier.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ganglion_inner_skb(ctx: *mut __sk_buff, passing: *mut Passing, at: u64, exempt: u64) -> u32 {
    if passing.is_null() {
        return COUNTED;
    }
    let (bytes, frame) = context::skb_deep(&TcContext::new(ctx));
    // SAFETY: as above.
    look(&bytes, frame, unsafe { &mut *passing }, at as usize, exempt != 0)
}

#[inline(always)]
fn look<C: Cursor>(bytes: &C, frame: Frame, passing: &mut Passing, at: usize, exempt: bool) -> u32 {
    let Some(count) = Count::get() else {
        return COUNTED;
    };
    if at > FARTHEST {
        return COUNTED;
    }
    let Some(tunnel) = passing.packet.tunnel(bytes, at) else {
        return COUNTED;
    };
    let end = passing.packet.end(at);
    let Ok(network) = passing.inner.inside(bytes, frame, end, tunnel) else {
        return COUNTED;
    };
    let part = network.part();
    match passing.inner.transport(bytes, frame, network) {
        Ok(()) | Err(NotAFlow::Fragment) => {}
        Err(_) => return COUNTED,
    }
    // The headers of merged packets inside were on the wire too.
    count.add(Counter::SeenBytes, passing.inner.wire_bytes.saturating_sub(passing.packet.wire_bytes) as u64);
    // SAFETY: both are whole, aligned packets in one map value.
    unsafe { memory::copy((&raw mut passing.packet).cast(), (&raw const passing.inner).cast(), PACKET_WORDS) };
    let domain = tunnel.domain(passing.key.domain);
    if !part.is_whole() {
        let seen = fragments::see(passing, part, domain);
        if part.is_later() && seen != fragments::KNOWN {
            return if seen == fragments::BUSY { BUSY } else { FRAGMENT };
        }
    }
    passing.file(domain);
    passing.tunnelled = 1;
    if !exempt && setting!(flags) & flag::VERDICTS != 0 && rules::ganglion_verdict(passing) == rules::DROP {
        return DROP;
    }
    count.add(Counter::Inner, passing.packet.segments as u64);
    COUNTED
}
