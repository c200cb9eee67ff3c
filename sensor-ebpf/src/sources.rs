//! The address table: what each sender and each receiver did lately.

use ganglion_flow::half_open::HalfOpen;
use ganglion_flow::settings::flag;
use ganglion_flow::source::{SourceSet, SourceState, WAYS, status};
use ganglion_flow::state;
use ganglion_flow::{Addr, Counter, FlowKey, FlowState, Role};

use crate::counters::Count;
use crate::export;
use crate::lock::{UNTAGGED, try_lock};
use crate::maps::{SOURCES, setting};
use crate::memory;
use crate::path::Passing;

const SOURCE_WORDS: usize = size_of::<SourceState>() / 8;

/// What happened to a flow of the address.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Event {
    Opened,
    Answered,
    Established,
    Ended,
    EndedByReset,
    Folded,
}

/// An event and whom it concerns.
#[repr(C)]
struct Touch {
    addr: Addr,
    peer: Addr,
    now_us: u64,
    /// Bytes of the first packet; flows no longer open; packets folded: by event.
    amount: u32,
    domain: u16,
    port: u16,
    protocol: u8,
    role: u8,
    event: u8,
    zero: [u8; 5],
}

impl Touch {
    /// The same event, for the other end.
    #[inline(always)]
    fn turn(&mut self, role: Role) {
        core::mem::swap(&mut self.addr, &mut self.peer);
        self.role = role as u8;
    }
}

/// A new flow was opened; true when its sender once completed a handshake.
#[inline(always)]
pub fn opened(passing: &Passing) -> bool {
    let packet = &passing.packet;
    let mut touch = Touch {
        addr: packet.dst,
        peer: packet.src,
        now_us: passing.now_us,
        amount: packet.wire_bytes,
        domain: passing.key.domain,
        port: packet.dst_port,
        protocol: packet.protocol,
        role: Role::Destination as u8,
        event: Event::Opened as u8,
        zero: [0; 5],
    };
    ganglion_touch(&touch);
    touch.turn(Role::Source);
    ganglion_touch(&touch) != 0
}

/// A flow was answered. The flow's lock is held.
#[inline(always)]
pub fn answered(key: &FlowKey, flow: &FlowState, now_us: u64) {
    both(key, flow, Event::Answered, now_us);
}

/// A flow was established. The flow's lock is held.
#[inline(always)]
pub fn established(key: &FlowKey, flow: &FlowState, now_us: u64) {
    both(key, flow, Event::Established, now_us);
}

/// A flow ended, by a reset or otherwise. The flow's lock is held.
#[inline(always)]
pub fn ended(key: &FlowKey, flow: &FlowState, reset: bool, now_us: u64) {
    if flow.has(state::status::ESTABLISHED) || reset {
        both(key, flow, if reset { Event::EndedByReset } else { Event::Ended }, now_us);
    }
}

/// A single-packet flow was overwritten.
#[inline(always)]
pub fn folded(slot: &HalfOpen, now_us: u64) {
    let (src, dst) = slot.ends();
    let touch = Touch {
        addr: src,
        peer: dst,
        now_us,
        amount: slot.segments,
        domain: slot.key.domain,
        port: 0,
        protocol: 0,
        role: Role::Source as u8,
        event: Event::Folded as u8,
        zero: [0; 5],
    };
    ganglion_touch(&touch);
}

#[inline(always)]
fn both(key: &FlowKey, flow: &FlowState, event: Event, now_us: u64) {
    if setting!(flags) & flag::SOURCES == 0 {
        return;
    }
    let ((initiator, _), (responder, _)) = state::endpoints(key, flow);
    let mut touch = Touch {
        addr: initiator,
        peer: responder,
        now_us,
        amount: flow.has(state::status::ESTABLISHED) as u32,
        domain: key.domain,
        port: 0,
        protocol: 0,
        role: Role::Source as u8,
        event: event as u8,
        zero: [0; 5],
    };
    ganglion_touch(&touch);
    touch.turn(Role::Destination);
    ganglion_touch(&touch);
}

/// Finds or makes the entry and applies the event; 1 when the address once completed a handshake. Proved
/// once by the verifier.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ganglion_touch(touch: *const Touch) -> u32 {
    let Some(count) = Count::get() else {
        return 0;
    };
    if touch.is_null() {
        return 0;
    }
    // SAFETY: the caller's event; the verifier proved the pointer.
    apply(count, unsafe { &*touch }) as u32
}

#[inline(always)]
fn apply(count: Count, touch: &Touch) -> bool {
    let index = (touch.addr.hash(setting!(seed)) ^ touch.role as u32) & setting!(sources_mask);
    let Some(set) = SOURCES.get_ptr_mut(index) else {
        return false;
    };
    // SAFETY: a live map value; its entries are changed under its lock alone.
    let Ok(guard) = try_lock(unsafe { &raw mut (*set).lock }, UNTAGGED) else {
        count.add_whole(Counter::SourcesSkipped, 1);
        return false;
    };
    let (way, found) = find(set, touch);
    // SAFETY: `way` is below `WAYS`, and the lock is held.
    let entry = unsafe { &mut *(&raw mut (*set).ways).cast::<SourceState>().add(way & (WAYS - 1)) };
    if !found {
        // Only a new flow makes an entry: an address thrown out keeps no balance to restore.
        if touch.event != Event::Opened as u8 {
            return false;
        }
        if entry.first_us != 0 {
            count.add_whole(Counter::SourcesReplaced, 1);
        }
        begin(entry, touch);
    }
    entry.roll(touch.now_us);
    record(entry, touch);
    if touch.event <= Event::Established as u8 && entry.rises() {
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
    entry.role = touch.role;
    entry.domain = touch.domain;
    entry.first_us = touch.now_us;
}

#[inline(always)]
fn record(entry: &mut SourceState, touch: &Touch) {
    let event = touch.event;
    if event == Event::Opened as u8 {
        entry.opened(touch.protocol, touch.port, touch.amount, touch.peer, touch.now_us);
    } else if event == Event::Answered as u8 {
        entry.answered_total = entry.answered_total.wrapping_add(1);
        entry.answered_window += 1;
    } else if event == Event::Established as u8 {
        entry.established_total = entry.established_total.wrapping_add(1);
        entry.open += 1;
        entry.status |= status::ESTABLISHED;
    } else if event == Event::Folded as u8 {
        entry.folded_packets = entry.folded_packets.wrapping_add(touch.amount);
    } else {
        entry.open = entry.open.saturating_sub(touch.amount);
        if event == Event::EndedByReset as u8 {
            entry.reset_window += 1;
        }
    }
}
