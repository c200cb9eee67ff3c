//! Flows of one packet: remembered, promoted by their second packet, or overwritten and counted.

use aya_ebpf::bindings::BPF_NOEXIST;
use ganglion_flow::Counter;
use ganglion_flow::half_open::{HalfOpen, HalfOpenSet, WAYS};
use ganglion_flow::settings::flag;

use crate::counters::Count;
use crate::lock::{Guard, UNTAGGED, carries, taken, try_lock};
use crate::maps::{FLOWS, HALF_OPEN, NEW_FLOW, setting};
use crate::path::Passing;
use crate::{rules, sources};

/// The packet was remembered, or could not be.
pub const NOTED: u32 = 0;
/// A limit refused the packet.
pub const REFUSED: u32 = 1;
/// The flow has its full entry now, with the remembered packet; the present one is still to be counted.
pub const PROMOTED: u32 = 2;

/// Sees to a packet whose flow has no full entry: [`NOTED`], [`REFUSED`] or [`PROMOTED`]. Proved once by the
/// verifier.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn ganglion_half_open(passing: *const Passing) -> u32 {
    let Some(count) = Count::get() else {
        return NOTED;
    };
    if passing.is_null() {
        return NOTED;
    }
    // SAFETY: the caller's packet; the verifier proved the pointer.
    let passing = unsafe { &*passing };
    let segments = passing.packet.segments as u64;
    let index = passing.key.hash(setting!(seed)) & setting!(half_open_mask);
    let Some(set) = HALF_OPEN.get_ptr_mut(index) else {
        count.add(Counter::SkipFull, segments);
        return NOTED;
    };
    // SAFETY: a live map value; its entries are changed under its lock alone.
    let Ok(guard) = try_lock(unsafe { &raw mut (*set).lock }, UNTAGGED) else {
        count.add(Counter::SkipLock, segments);
        return NOTED;
    };
    let (way, found) = find(set, passing);
    // SAFETY: `way` is below `WAYS`, and the lock is held.
    let slot = unsafe { &mut *(&raw mut (*set).ways).cast::<HalfOpen>().add(way & (WAYS - 1)) };
    let outcome = if found {
        promote(passing, slot, count)
    } else if is_promoted(passing) {
        // Another CPU gave the flow its entry between this one's look-up and the lock.
        PROMOTED
    } else {
        note(passing, slot, count)
    };
    drop(guard);
    outcome
}

#[inline(always)]
fn is_promoted(passing: &Passing) -> bool {
    // On the stack: before 6.3 a key may not lie in a function's argument.
    let key = passing.key;
    // SAFETY: a live map value. One that is being deleted carries nobody's tag: its flow is over.
    FLOWS.get_ptr_mut(&key).is_some_and(|flow| unsafe { carries(flow.cast(), passing.tag) })
}

/// Remembers the packet, unless a limit refuses it; what was remembered here is counted and folded.
#[inline(always)]
fn note(passing: &Passing, slot: &mut HalfOpen, count: Count) -> u32 {
    let flags = setting!(flags);
    let known = flags & flag::SOURCES != 0 && sources::opened(passing);
    if flags & flag::NEW_FLOW_LIMITS != 0
        && passing.outbound == 0
        // Rules on addresses go by the tunnel's ends.
        && passing.tunnelled == 0
        && !known
        && rules::refuses_new_flow(passing, flags, count)
    {
        return REFUSED;
    }
    if !slot.is_empty() {
        count.add(Counter::SkipFolded, slot.segments as u64);
        sources::folded(slot, passing.now_us);
    }
    slot.note(&passing.key, &passing.packet, passing.sender_is_a != 0, passing.outbound != 0, passing.now_us);
    NOTED
}

/// The way that holds the packet's flow and true, or the way to overwrite (an empty one, else the oldest).
#[inline(always)]
fn find(set: *mut HalfOpenSet, passing: &Passing) -> (usize, bool) {
    let mut oldest = u64::MAX;
    let mut victim = 0;
    let mut i = 0;
    while i < WAYS {
        // SAFETY: `i` is below `WAYS`, and the lock is held.
        let slot = unsafe { &*(&raw const (*set).ways).cast::<HalfOpen>().add(i) };
        if !slot.is_empty() && same(&slot.key, &passing.key) {
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

/// Gives the flow its full entry, with the remembered packet.
#[inline(always)]
fn promote(passing: &Passing, slot: &mut HalfOpen, count: Count) -> u32 {
    let Some(template) = NEW_FLOW.get_ptr_mut(passing.hook as u32) else {
        return NOTED;
    };
    // On the stack: before 6.3 a key may not lie in a function's argument.
    let key = passing.key;
    // SAFETY: this CPU's slot for this hook, which does not preempt itself.
    let template = unsafe { &mut *template };
    // Nobody counts in the entry before this CPU has opened it, not even one that held its address before.
    template.lock = taken(passing.tag);
    let inserted = FLOWS.insert(&key, template, BPF_NOEXIST as u64).is_ok();
    let Some(flow) = FLOWS.get_ptr_mut(&key) else {
        count.add(Counter::SkipFull, passing.packet.segments as u64);
        return NOTED;
    };
    if inserted {
        // SAFETY: inserted with its lock taken, and not released since.
        let (guard, state) = unsafe { (Guard::inserted(flow.cast(), passing.tag), &mut *flow) };
        slot.open(state);
        drop(guard);
        count.one(Counter::FlowsOpened);
    // SAFETY: a live map value.
    } else if unsafe { carries(flow.cast(), passing.tag) } {
        // Another CPU's packet opened the entry first.
        count.add(Counter::SkipLock, slot.segments as u64);
    } else {
        // The flow before is between its export and its deletion: the first packet waits on.
        count.add(Counter::SkipClosing, passing.packet.segments as u64);
        return NOTED;
    }
    slot.seen_us = 0;
    PROMOTED
}
