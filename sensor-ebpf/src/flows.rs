//! Flows with a full entry: count the packet in one, end it, open it anew.

use ganglion_flow::lifecycle::{self, Arrival};
use ganglion_flow::state::Change;
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
    let sender_is_a = passing.sender_is_a != 0;
    let arrival = lifecycle::arrival(flow, &passing.packet, sender_is_a);
    if arrival == Arrival::Reopens {
        end(passing, flow, Reason::Reopened);
    }
    let change = match arrival {
        Arrival::AfterEnd => return skip(passing, Counter::SkipAfterEnd),
        Arrival::Opens | Arrival::Reopens => {
            clear(flow);
            flow.open(&passing.packet, sender_is_a, passing.outbound != 0, passing.now_us)
        }
        Arrival::Resumes => flow.resume(&passing.packet, sender_is_a, passing.now_us),
        Arrival::Continues => flow.update(&passing.packet, sender_is_a, passing.now_us),
    };
    after(passing, flow, change);
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
        Some(how) => end(passing, flow, how.into()),
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
    lifecycle::mark_ended(flow, passing.now_us);
}

/// Empties a flow that was exported because it lasts, and goes on.
#[inline(always)]
pub fn cut(flow: &mut FlowState) {
    lifecycle::cut(flow, clear);
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
