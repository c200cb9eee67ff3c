//! Flows with a full entry: count the packet in one, end it, open it anew.

use ganglion_flow::packet::{TCP, tcp_flag};
use ganglion_flow::state::{self, Change, End, status};
use ganglion_flow::{Counter, FlowState, Reason, Stage};

use crate::counters::Count;
use crate::export::{self, Cause};
use crate::lock::{Refused, try_lock};
use crate::path::Passing;
use crate::{memory, sources};

const FLOW_WORDS: usize = size_of::<FlowState>() / 8;

/// The packet was counted, in the flow or as skipped.
pub const COUNTED: u32 = 0;
/// The entry is about to be deleted, or another flow's by now: the packet is still to be counted.
pub const CLOSING: u32 = 1;

/// Counts the packet in the flow at `flow`: [`COUNTED`] or [`CLOSING`]. Proved once by the verifier.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn ganglion_update(flow: *mut FlowState, passing: *const Passing) -> u32 {
    if flow.is_null() || passing.is_null() {
        return COUNTED;
    }
    // SAFETY: the caller's packet; the verifier proved the pointer.
    let passing = unsafe { &*passing };
    // SAFETY: a map value; its fields are changed under its lock alone.
    match try_lock(unsafe { &raw mut (*flow).lock }, passing.tag) {
        Ok(guard) => {
            // SAFETY: the lock is held.
            locked(passing, unsafe { &mut *flow });
            drop(guard);
        }
        Err(Refused::Busy) => skip(passing, Counter::SkipLock),
        Err(Refused::Foreign) => return CLOSING,
    }
    COUNTED
}

/// Counts the packet as in no flow.
#[inline(always)]
fn skip(passing: &Passing, why: Counter) {
    if let Some(count) = Count::get() {
        count.add(why, passing.packet.segments as u64);
    }
}

#[inline(always)]
fn locked(passing: &Passing, flow: &mut FlowState) {
    let mut fresh = flow.first_us == 0 && flow.last_us == 0;
    if flow.has(status::ENDED) {
        if !state::reopens(&passing.packet) {
            return skip(passing, Counter::SkipAfterEnd);
        }
        fresh = true;
    } else if restarts(flow, passing) {
        end(passing, flow, Reason::Reopened);
        fresh = true;
    }
    let change = if fresh {
        clear(flow);
        flow.open(&passing.packet, passing.sender_is_a != 0, passing.outbound != 0, passing.now_us)
    } else if flow.is_cut() {
        flow.resume(&passing.packet, passing.sender_is_a != 0, passing.now_us)
    } else {
        flow.update(&passing.packet, passing.sender_is_a != 0, passing.now_us)
    };
    after(passing, flow, change);
}

/// A SYN from the initiator after an established connection opens the 5-tuple anew.
#[inline(always)]
fn restarts(flow: &FlowState, passing: &Passing) -> bool {
    passing.packet.protocol == TCP
        && passing.packet.flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN
        && flow.has(status::ESTABLISHED)
        && flow.is_forward(passing.sender_is_a != 0)
}

/// Exports what the packet made due, and tells the address table what changed.
#[inline(always)]
fn after(passing: &Passing, flow: &mut FlowState, change: Change) {
    if change.answered {
        sources::answered(&passing.key, flow, passing.now_us);
    }
    if change.established {
        sources::established(&passing.key, flow, passing.now_us);
    }
    match change.end {
        Some(End::Fin) => end(passing, flow, Reason::Fin),
        Some(End::Rst) => end(passing, flow, Reason::Rst),
        None => {
            if let Some(stage) = Stage::by_packets(flow.packets(), flow.stages) {
                flow.stages |= stage.bit();
                let hook = passing.hook;
                export::flow(&passing.key, flow, Cause { stage, reason: Reason::Early, hook, now_us: passing.now_us });
            }
        }
    }
}

/// Exports the flow as ended and leaves its marker. The lock is held.
#[inline(always)]
fn end(passing: &Passing, flow: &mut FlowState, reason: Reason) {
    // Between a cut and its next packet a flow has nothing to export.
    if !flow.is_cut() {
        let cause = Cause { stage: Stage::End, reason, hook: passing.hook, now_us: passing.now_us };
        export::flow(&passing.key, flow, cause);
    }
    sources::ended(&passing.key, flow, reason as u8 == Reason::Rst as u8, passing.now_us);
    flow.status |= status::ENDED;
    flow.last_us = passing.now_us;
}

/// Empties a flow that was exported because it lasts, and goes on.
#[inline(always)]
pub fn cut(flow: &mut FlowState) {
    let (status, last_us) = (flow.status, flow.last_us);
    clear(flow);
    flow.status = status;
    flow.last_us = last_us;
}

/// Makes the value all zero but for the lock, which is held.
#[inline(always)]
fn clear(flow: &mut FlowState) {
    let at: *mut FlowState = flow;
    // SAFETY: a whole, aligned map value; the lock word is the first half of the first word.
    unsafe {
        memory::zero(at.cast::<u64>().add(1), FLOW_WORDS - 1);
        at.cast::<u32>().add(1).write_volatile(0);
    }
}
