//! Programs for `cargo xtask bench xdp` alone (feature `bench`): the shipped path behind a prologue that gives
//! every run another flow, beside the same prologue with nothing but a look-up.

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::helpers::generated::bpf_get_prandom_u32;
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use ganglion_flow::settings::flag;
use ganglion_flow::{Frame, Hook};

use crate::context::{self, AtXdp};
use crate::export;
use crate::maps::{FLOWS, PASSING, setting};
use crate::path::{self, Direction, Passing};

/// Offsets in Ethernet + IPv4 + TCP.
const SOURCE_LOW: usize = 28;
const SOURCE_PORT: usize = 34;

/// Rewrites source address and port to one of 262,144 pairs.
#[inline(always)]
fn randomise(bytes: &AtXdp) -> bool {
    // SAFETY: a helper without arguments.
    let random = unsafe { bpf_get_prandom_u32() };
    let low = (random as u16).to_be();
    let port = (40_000 + ((random >> 16) & 3) as u16).to_be();
    bytes.bytes.put16(SOURCE_LOW, low) && bytes.bytes.put16(SOURCE_PORT, port)
}

/// Prologue, then the shipped path.
#[xdp]
pub fn bench_random_update(ctx: XdpContext) -> u32 {
    let (bytes, frame) = context::xdp(&ctx);
    if randomise(&bytes) {
        path::decide(&bytes, frame, Direction::In, Hook::Xdp);
    }
    xdp_action::XDP_PASS
}

/// Prologue, parse, look-up.
#[xdp]
pub fn bench_random_lookup(ctx: XdpContext) -> u32 {
    let (bytes, frame) = context::xdp(&ctx);
    if !randomise(&bytes) {
        return xdp_action::XDP_PASS;
    }
    let Some(passing) = PASSING.get_ptr_mut(Hook::Xdp as u32) else {
        return xdp_action::XDP_PASS;
    };
    // SAFETY: this CPU's slot for this hook, which does not preempt itself.
    match look_up(&bytes, frame, unsafe { &mut *passing }, false) {
        true => xdp_action::XDP_PASS,
        false => xdp_action::XDP_ABORTED,
    }
}

/// Parse, boot clock, look-up: what no count of flows with exact times goes under.
#[xdp]
pub fn bench_floor(ctx: XdpContext) -> u32 {
    let (bytes, frame) = context::xdp(&ctx);
    let Some(passing) = PASSING.get_ptr_mut(Hook::Xdp as u32) else {
        return xdp_action::XDP_PASS;
    };
    // SAFETY: as above.
    match look_up(&bytes, frame, unsafe { &mut *passing }, true) {
        true => xdp_action::XDP_PASS,
        false => xdp_action::XDP_ABORTED,
    }
}

/// Whether the packet has a flow with a full entry.
#[inline(always)]
fn look_up(bytes: &AtXdp, frame: Frame, passing: &mut Passing, timed: bool) -> bool {
    let Ok(network) = passing.packet.network(bytes, frame) else {
        return false;
    };
    if passing.packet.transport(bytes, frame, network).is_err() {
        return false;
    }
    let domain = if setting!(flags) & flag::VLAN_DOMAIN != 0 { passing.packet.vlan } else { setting!(domain) as u16 };
    passing.key = passing.packet.key(domain).0;
    if timed {
        passing.now_us = export::now_us();
    }
    FLOWS.get_ptr_mut(&passing.key).is_some()
}
