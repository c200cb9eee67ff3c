//! Programs for `cargo xtask bench` alone (feature `bench`): the shipped path behind a prologue that gives
//! every run another flow, beside the same prologue with nothing but a look-up; other locks, other walks.

mod locks;

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::btf_maps::PerCpuArray;
use aya_ebpf::helpers::generated::bpf_get_prandom_u32;
use aya_ebpf::macros::{btf_map, xdp};
use aya_ebpf::programs::XdpContext;
use ganglion_flow::settings::flag;
use ganglion_flow::{FlowState, Frame, Hook};

use crate::context::{self, AtXdp};
use crate::export;
use crate::maps::{FLOWS, PASSING, setting};
use crate::path::{self, Direction, Passing};
use crate::sweep::MapElement;

/// Packets that [`new_flow`] had.
#[btf_map]
static BENCH_PACKETS: PerCpuArray<u64, 1> = PerCpuArray::new();

/// What [`bench_walk`] found.
#[btf_map]
static BENCH_NEWEST_US: PerCpuArray<u64, 1> = PerCpuArray::new();

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

/// Every packet is the first of its flow.
#[xdp]
pub fn bench_first_packet(ctx: XdpContext) -> u32 {
    new_flow(&ctx, 0)
}

/// Of two packets, the first opens a flow and the second gives it its entry.
#[xdp]
pub fn bench_two_packets(ctx: XdpContext) -> u32 {
    new_flow(&ctx, 1)
}

/// Gives the packet a sender in 198.18.0.0/15 and a port, the same for 2^`shift` packets, then never again before 2^33
/// others; then the shipped path.
#[inline(always)]
fn new_flow(ctx: &XdpContext, shift: u32) -> u32 {
    let (bytes, frame) = context::xdp(ctx);
    let Some(packets) = BENCH_PACKETS.get_ptr_mut(0) else {
        return xdp_action::XDP_ABORTED;
    };
    // SAFETY: this CPU's entry, and test runs do not preempt each other on it.
    let number = unsafe {
        *packets += 1;
        (*packets - 1) >> shift
    };
    // An odd factor: every number below 2^33 comes once.
    let tuple = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let high = (0xc612 | (tuple >> 16) & 1) as u16;
    let rewritten = bytes.bytes.put16(SOURCE_LOW - 2, high.to_be())
        && bytes.bytes.put16(SOURCE_LOW, (tuple as u16).to_be())
        && bytes.bytes.put16(SOURCE_PORT, ((tuple >> 17) as u16).to_be());
    if rewritten {
        path::decide(&bytes, frame, Direction::In, Hook::Xdp);
    }
    xdp_action::XDP_PASS
}

/// The shipped path, then a look-up that makes the flow due for an early record again.
#[xdp]
pub fn bench_update_with_record(ctx: XdpContext) -> u32 {
    let (bytes, frame) = context::xdp(&ctx);
    path::decide(&bytes, frame, Direction::In, Hook::Xdp);
    let Some(passing) = PASSING.get_ptr_mut(Hook::Xdp as u32) else {
        return xdp_action::XDP_PASS;
    };
    // SAFETY: this CPU's slot for this hook, which does not preempt itself.
    if let Some(flow) = FLOWS.get_ptr_mut(unsafe { &(*passing).key }) {
        // SAFETY: a live map value; nobody else runs on this flow.
        unsafe { (*flow).stages = 0 };
    }
    xdp_action::XDP_PASS
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
    if !parse(bytes, frame, passing) {
        return false;
    }
    if timed {
        passing.now_us = export::now_us();
    }
    FLOWS.get_ptr_mut(&passing.key).is_some()
}

/// Reads packet and key; false when it belongs to no flow.
#[inline(always)]
fn parse(bytes: &AtXdp, frame: Frame, passing: &mut Passing) -> bool {
    let Ok(network) = passing.packet.network(bytes, frame) else {
        return false;
    };
    if passing.packet.transport(bytes, frame, network).is_err() {
        return false;
    }
    let domain = if setting!(flags) & flag::VLAN_DOMAIN != 0 { passing.packet.vlan } else { setting!(domain) as u16 };
    let (key, sender_is_a) = passing.packet.key(domain);
    passing.key = key;
    passing.sender_is_a = sender_is_a as u8;
    true
}

/// A walk over `FLOWS` that only looks when each flow was last seen.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_map_elem")]
pub extern "C" fn bench_walk(ctx: *mut MapElement) -> i32 {
    // SAFETY: the kernel's context for this kind of iterator; null after the last entry.
    let value = unsafe { (*ctx).value.cast::<FlowState>() };
    if value.is_null() {
        return 0;
    }
    let Some(newest) = BENCH_NEWEST_US.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: the iterator's buffer has the map's value size; the other is this CPU's entry.
    unsafe {
        if (*value).last_us > *newest {
            *newest = (*value).last_us;
        }
    }
    0
}
