//! Flows of one packet: remembered, promoted by their second packet, or overwritten and counted.

use aya_ebpf::bindings::BPF_NOEXIST;
use ganglion_flow::half_open::{HalfOpen, HalfOpenSet, WAYS};
use ganglion_flow::settings::flag;
use ganglion_flow::{Counter, FlowState};

use crate::lock::try_lock;
use crate::maps::{FLOWS, HALF_OPEN, ZERO_FLOW, setting};
use crate::path::{Decision, Direction, Passing};
use crate::{flows, rules, sources};

/// Counts a packet that has no full entry.
#[inline(always)]
pub fn count(passing: &Passing<'_>, now_us: u64) -> Decision {
    let index = passing.key.hash(setting!(seed)) & setting!(half_open_mask);
    let segments = passing.packet.segments as u64;
    let Some(set) = HALF_OPEN.get_ptr_mut(index) else {
        passing.count.add(Counter::SkipFull, segments);
        return Decision::Pass;
    };
    // SAFETY: a live map value; its entries are changed under its lock alone.
    let Some(guard) = try_lock(unsafe { &raw mut (*set).lock }) else {
        passing.count.add(Counter::SkipLock, segments);
        return Decision::Pass;
    };
    let (way, found) = find(set, passing);
    // SAFETY: `way` is below `WAYS`, and the lock is held.
    let slot = unsafe { &mut *(&raw mut (*set).ways).cast::<HalfOpen>().add(way & (WAYS - 1)) };
    if found {
        promote(passing, slot, now_us);
        drop(guard);
        return Decision::Pass;
    }
    let known = if passing.flags & flag::SOURCES != 0 { sources::opened(passing, now_us) } else { false };
    if passing.flags & flag::NEW_FLOW_LIMITS != 0
        && passing.direction == Direction::In
        && !known
        && rules::limit_new_flow(passing) == Decision::Drop
    {
        drop(guard);
        return Decision::Drop;
    }
    if !slot.is_empty() {
        passing.count.add(Counter::SkipFolded, slot.segments as u64);
        sources::folded(passing.count, slot, now_us);
    }
    slot.note(passing.key, passing.packet, passing.sender_is_a, passing.direction == Direction::Out, now_us);
    drop(guard);
    Decision::Pass
}

/// The way that holds the packet's flow and true, or the way to overwrite (an empty one, else the oldest).
#[inline(always)]
fn find(set: *mut HalfOpenSet, passing: &Passing<'_>) -> (usize, bool) {
    let mut oldest = u64::MAX;
    let mut victim = 0;
    let mut i = 0;
    while i < WAYS {
        // SAFETY: `i` is below `WAYS`, and the lock is held.
        let slot = unsafe { &*(&raw const (*set).ways).cast::<HalfOpen>().add(i) };
        if !slot.is_empty() && same(&slot.key, passing.key) {
            return (i, true);
        }
        if slot.seen_us < oldest {
            oldest = slot.seen_us;
            victim = i;
        }
        i += 1;
    }
    (victim, false)
}

/// Field by field: a comparison of the whole becomes a call.
#[inline(always)]
fn same(a: &ganglion_flow::FlowKey, b: &ganglion_flow::FlowKey) -> bool {
    a.port_a == b.port_a
        && a.port_b == b.port_b
        && a.addr_a.lo == b.addr_a.lo
        && a.addr_b.lo == b.addr_b.lo
        && a.addr_a.hi == b.addr_a.hi
        && a.addr_b.hi == b.addr_b.hi
        && a.protocol == b.protocol
        && a.domain == b.domain
}

/// Gives the flow its full entry: the remembered packet, then this one.
#[inline(always)]
fn promote(passing: &Passing<'_>, slot: &mut HalfOpen, now_us: u64) {
    let segments = passing.packet.segments as u64;
    let Some(template) = ZERO_FLOW.get(0) else {
        passing.count.add(Counter::SkipFull, segments);
        return;
    };
    // Another CPU may have been first; the entry is then there, which is all that is wanted.
    let inserted = FLOWS.insert(passing.key, template, BPF_NOEXIST as u64).is_ok();
    let Some(flow) = FLOWS.get_ptr_mut(passing.key) else {
        passing.count.add(Counter::SkipFull, segments);
        return;
    };
    if inserted {
        passing.count.one(Counter::FlowsOpened);
        if let Some(guard) = try_lock(flow.cast()) {
            // SAFETY: the lock is held.
            let state: &mut FlowState = unsafe { &mut *flow };
            if state.first_us == 0 {
                slot.open(state);
                slot.seen_us = 0;
            }
            drop(guard);
        }
    }
    flows::update(passing, flow, now_us);
    if slot.seen_us != 0 {
        // The entry was opened by another CPU's packet before this one's memory of the first.
        passing.count.add(Counter::SkipLock, slot.segments as u64);
        slot.seen_us = 0;
    }
}
