//! The address table: what each sender and each receiver did lately.

use ganglion_flow::half_open::HalfOpen;
use ganglion_flow::settings::flag;
use ganglion_flow::source::{SourceSet, SourceState, WAYS, status};
use ganglion_flow::state::{self, Change};
use ganglion_flow::{Addr, Counter, FlowKey, FlowState, Reason, Role};

use crate::counters::Count;
use crate::export::{self, Cause};
use crate::lock::try_lock;
use crate::maps::{SOURCES, setting};
use crate::memory;
use crate::path::Passing;

const SOURCE_WORDS: usize = size_of::<SourceState>() / 8;

/// What happened to a flow of the address.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Event {
    Opened,
    Answered,
    Established,
    Ended,
    EndedByReset,
    Folded,
}

/// An event and whom it concerns.
struct Touch {
    addr: Addr,
    peer: Addr,
    now_us: u64,
    role: Role,
    domain: u16,
    port: u16,
    wire_bytes: u32,
    protocol: u8,
    event: Event,
}

/// A new flow was opened; true when its sender once completed a handshake.
#[inline(always)]
pub fn opened(passing: &Passing<'_>, now_us: u64) -> bool {
    let packet = passing.packet;
    let mut touch = Touch {
        addr: packet.dst,
        peer: packet.src,
        now_us,
        role: Role::Destination,
        domain: passing.key.domain,
        port: packet.dst_port,
        wire_bytes: packet.wire_bytes,
        protocol: packet.protocol,
        event: Event::Opened,
    };
    apply(passing.count, &touch);
    touch.addr = packet.src;
    touch.peer = packet.dst;
    touch.role = Role::Source;
    apply(passing.count, &touch)
}

/// A flow was answered, established, or both. The flow's lock is held.
#[inline(always)]
pub fn changed(count: Count, key: *const FlowKey, flow: &FlowState, change: Change, now_us: u64) {
    if change.answered {
        both(count, key, flow, Event::Answered, now_us);
    }
    if change.established {
        both(count, key, flow, Event::Established, now_us);
    }
}

/// A flow ended. The flow's lock is held.
#[inline(always)]
pub fn ended(count: Count, key: *const FlowKey, flow: &FlowState, cause: Cause) {
    let reset = cause.reason as u8 == Reason::Rst as u8;
    if flow.has(state::status::ESTABLISHED) || reset {
        both(count, key, flow, if reset { Event::EndedByReset } else { Event::Ended }, cause.now_us);
    }
}

/// A single-packet flow was overwritten.
#[inline(always)]
pub fn folded(count: Count, slot: &HalfOpen, now_us: u64) {
    let (src, dst) = slot.ends();
    let touch = Touch {
        addr: src,
        peer: dst,
        now_us,
        role: Role::Source,
        domain: slot.key.domain,
        port: 0,
        wire_bytes: slot.segments,
        protocol: 0,
        event: Event::Folded,
    };
    apply(count, &touch);
}

#[inline(always)]
fn both(count: Count, key: *const FlowKey, flow: &FlowState, event: Event, now_us: u64) {
    if setting!(flags) & flag::SOURCES == 0 {
        return;
    }
    // SAFETY: the key is the caller's, on its stack or in a live map entry.
    let ((initiator, _), (responder, _)) = state::endpoints(unsafe { &*key }, flow);
    // Whether the flow had been counted as open rides in the one field that these events leave unused.
    let was_open = flow.has(state::status::ESTABLISHED) as u32;
    let mut touch = Touch {
        addr: initiator,
        peer: responder,
        now_us,
        role: Role::Source,
        // SAFETY: as above.
        domain: unsafe { (*key).domain },
        port: 0,
        wire_bytes: was_open,
        protocol: 0,
        event,
    };
    apply(count, &touch);
    touch.addr = responder;
    touch.peer = initiator;
    touch.role = Role::Destination;
    apply(count, &touch);
}

/// Finds or makes the entry and applies the event; true when the address once completed a handshake. A
/// function of its own, so that its states are verified once and its stack is its own.
#[inline(never)]
fn apply(count: Count, touch: &Touch) -> bool {
    let index = (touch.addr.hash(setting!(seed)) ^ touch.role as u32) & setting!(sources_mask);
    let Some(set) = SOURCES.get_ptr_mut(index) else {
        return false;
    };
    // SAFETY: a live map value; its entries are changed under its lock alone.
    let Some(guard) = try_lock(unsafe { &raw mut (*set).lock }) else {
        count.one(Counter::SourcesSkipped);
        return false;
    };
    let (way, found) = find(set, touch);
    // SAFETY: `way` is below `WAYS`, and the lock is held.
    let entry = unsafe { &mut *(&raw mut (*set).ways).cast::<SourceState>().add(way & (WAYS - 1)) };
    if !found {
        // Only a new flow makes an entry: an address thrown out keeps no balance to restore.
        if touch.event != Event::Opened {
            return false;
        }
        if entry.first_us != 0 {
            count.one(Counter::SourcesReplaced);
        }
        begin(entry, touch);
    }
    entry.roll(touch.now_us);
    record(entry, touch);
    if touch.event as u32 <= Event::Established as u32 && entry.rises() {
        export::source(count, entry, touch.now_us);
    }
    let known = entry.status & status::ESTABLISHED != 0;
    drop(guard);
    known
}

/// The way that holds the address and true, or the way whose loss costs least.
#[inline(always)]
fn find(set: *mut SourceSet, touch: &Touch) -> (usize, bool) {
    let mut least = u64::MAX;
    let mut victim = 0;
    let mut i = 0;
    while i < WAYS {
        // SAFETY: `i` is below `WAYS`, and the lock is held.
        let entry = unsafe { &*(&raw const (*set).ways).cast::<SourceState>().add(i) };
        if entry.is(touch.addr, touch.role, touch.domain) {
            return (i, true);
        }
        let worth = entry.worth();
        if worth < least {
            least = worth;
            victim = i;
        }
        i += 1;
    }
    (victim, false)
}

#[inline(always)]
fn begin(entry: &mut SourceState, touch: &Touch) {
    let at: *mut SourceState = entry;
    // SAFETY: a whole, aligned entry under its set's lock.
    unsafe { memory::zero(at.cast(), SOURCE_WORDS) };
    entry.addr = touch.addr;
    entry.role = touch.role as u8;
    entry.domain = touch.domain;
    entry.first_us = touch.now_us;
}

#[inline(always)]
fn record(entry: &mut SourceState, touch: &Touch) {
    match touch.event {
        Event::Opened => entry.opened(touch.protocol, touch.port, touch.wire_bytes, touch.peer, touch.now_us),
        Event::Answered => {
            entry.answered_total = entry.answered_total.wrapping_add(1);
            entry.answered_window += 1;
        }
        Event::Established => {
            entry.established_total = entry.established_total.wrapping_add(1);
            entry.open += 1;
            entry.status |= status::ESTABLISHED;
        }
        Event::Ended | Event::EndedByReset => {
            entry.open = entry.open.saturating_sub(touch.wire_bytes);
            if touch.event == Event::EndedByReset {
                entry.reset_window += 1;
            }
        }
        Event::Folded => entry.folded_packets = entry.folded_packets.wrapping_add(touch.wire_bytes),
    }
}
