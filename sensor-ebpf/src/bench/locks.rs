//! The update under other locks than the shipped one: none, and the kernel's own (docs/adr/0001-try-lock.md).

use aya_ebpf::bindings::{bpf_spin_lock, xdp_action};
use aya_ebpf::btf_maps::HashMap;
use aya_ebpf::helpers::generated;
use aya_ebpf::macros::{btf_map, xdp};
use aya_ebpf::programs::XdpContext;
use ganglion_flow::{FlowKey, FlowState, Hook};

use super::parse;
use crate::context;
use crate::export::now_us;
use crate::maps::{FLOWS, PASSING};
use crate::path::Passing;

/// A flow with the kernel's lock.
#[repr(C)]
pub struct SpinFlow {
    lock: bpf_spin_lock,
    zero: u32,
    flow: FlowState,
}

/// Filled by the benchmark.
#[btf_map]
static BENCH_SPIN_FLOWS: HashMap<FlowKey, SpinFlow, 1024> = HashMap::new();

/// Parse, clock, look-up and update, with no lock at all.
#[xdp]
pub fn bench_update_unlocked(ctx: XdpContext) -> u32 {
    let Some(passing) = parsed(&ctx) else {
        return xdp_action::XDP_ABORTED;
    };
    let Some(flow) = FLOWS.get_ptr_mut(&passing.key) else {
        return xdp_action::XDP_ABORTED;
    };
    // SAFETY: a live map value, and on purpose nothing keeps another CPU off: what that loses is measured.
    unsafe { (*flow).update(&passing.packet, passing.sender_is_a != 0, passing.now_us) };
    xdp_action::XDP_PASS
}

/// The same under `bpf_spin_lock`.
#[xdp]
pub fn bench_update_spin(ctx: XdpContext) -> u32 {
    let Some(passing) = parsed(&ctx) else {
        return xdp_action::XDP_ABORTED;
    };
    let Some(at) = BENCH_SPIN_FLOWS.get_ptr_mut(&passing.key) else {
        return xdp_action::XDP_ABORTED;
    };
    // SAFETY: a live map value, whose flow is changed under its lock alone.
    unsafe {
        generated::bpf_spin_lock(&raw mut (*at).lock);
        (*at).flow.update(&passing.packet, passing.sender_is_a != 0, passing.now_us);
        generated::bpf_spin_unlock(&raw mut (*at).lock);
    }
    xdp_action::XDP_PASS
}

/// The packet under way, with key and time.
#[inline(always)]
fn parsed(ctx: &XdpContext) -> Option<&'static Passing> {
    let (bytes, frame) = context::xdp(ctx);
    let passing = PASSING.get_ptr_mut(Hook::Xdp as u32)?;
    // SAFETY: this CPU's slot for this hook, which does not preempt itself.
    let passing = unsafe { &mut *passing };
    if !parse(&bytes, frame, passing) {
        return None;
    }
    passing.now_us = now_us();
    Some(passing)
}
