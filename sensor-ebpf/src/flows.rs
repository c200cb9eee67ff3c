//! Flows with a full entry: count the packet in one, end it, or hand the packet to the half-open table.

use ganglion_flow::packet::Packet;
use ganglion_flow::state::{self, Change, End, status};
use ganglion_flow::{Counter, FlowKey, FlowState, Hook, Reason, Stage};

use crate::counters::Count;
use crate::export::{self, Cause};
use crate::lock::try_lock;
use crate::maps::FLOWS;
use crate::path::{Decision, Direction, Passing};
use crate::{half_open, memory, sources};

const FLOW_WORDS: usize = size_of::<FlowState>() / 8;

/// Counts the packet in its flow.
#[inline(always)]
pub fn count(passing: &Passing<'_>) -> Decision {
    let now_us = export::now_us();
    match FLOWS.get_ptr_mut(passing.key) {
        Some(flow) => {
            update(passing, flow, now_us);
            Decision::Pass
        }
        None => half_open::count(passing, now_us),
    }
}

/// Counts the packet in `flow`.
#[inline(always)]
pub fn update(passing: &Passing<'_>, flow: *mut FlowState, now_us: u64) {
    let packet = passing.packet;
    let segments = packet.segments as u64;
    // SAFETY: a live map value; its fields are changed under its lock alone.
    let Some(guard) = try_lock(unsafe { &raw mut (*flow).lock }) else {
        passing.count.add(Counter::SkipLock, segments);
        return;
    };
    // SAFETY: the lock is held.
    let flow = unsafe { &mut *flow };
    if flow.status & (status::CLOSING | status::ENDED) != 0 {
        if flow.has(status::CLOSING) {
            passing.count.add(Counter::SkipClosing, segments);
            return;
        }
        if !state::reopens(packet) {
            passing.count.add(Counter::SkipAfterEnd, segments);
            return;
        }
        clear(flow);
    } else if flow.first_us != 0 && restarts(flow, packet, passing.sender_is_a) {
        end(passing.count, passing.key, flow, Cause { stage: Stage::End, reason: Reason::Reopened, hook: passing.hook, now_us });
        clear(flow);
    }
    let change = if flow.first_us == 0 {
        flow.open(packet, passing.sender_is_a, passing.direction == Direction::Out, now_us)
    } else {
        flow.update(packet, passing.sender_is_a, now_us)
    };
    after(passing, flow, change, now_us);
    drop(guard);
}

/// A SYN from the initiator with a new sequence number, after an answer, opens the 5-tuple anew.
#[inline(always)]
fn restarts(flow: &FlowState, packet: &Packet, sender_is_a: bool) -> bool {
    use ganglion_flow::packet::{TCP, tcp_flag};
    packet.protocol == TCP
        && packet.flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN
        && flow.has(status::ESTABLISHED)
        && flow.is_forward(sender_is_a)
}

/// Exports what the packet made due, and tells the address table what changed.
#[inline(always)]
pub fn after(passing: &Passing<'_>, flow: &mut FlowState, change: Change, now_us: u64) {
    if let Some(how) = change.end {
        let reason = match how {
            End::Fin => Reason::Fin,
            End::Rst => Reason::Rst,
        };
        sources::changed(passing.count, passing.key, flow, change, now_us);
        end(passing.count, passing.key, flow, Cause { stage: Stage::End, reason, hook: passing.hook, now_us });
        return;
    }
    if change.answered || change.established {
        sources::changed(passing.count, passing.key, flow, change, now_us);
    }
    if let Some(stage) = Stage::by_packets(flow.packets(), flow.stages) {
        flow.stages |= stage.bit();
        export::flow(passing.count, passing.key, flow, Cause { stage, reason: Reason::Early, hook: passing.hook, now_us });
    }
}

/// Exports the flow as ended and leaves its marker. The lock is held.
#[inline(always)]
pub fn end(count: Count, key: *const FlowKey, flow: &mut FlowState, cause: Cause) {
    export::flow(count, key, flow, cause);
    sources::ended(count, key, flow, cause);
    flow.status |= status::ENDED;
    flow.last_us = cause.now_us;
}

/// Makes the value all zero but for the lock, which is held.
#[inline(always)]
pub fn clear(flow: &mut FlowState) {
    let at: *mut FlowState = flow;
    // SAFETY: a whole, aligned map value; the lock word is the first half of the first word.
    unsafe {
        memory::zero(at.cast::<u64>().add(1), FLOW_WORDS - 1);
        at.cast::<u32>().add(1).write_volatile(0);
    }
}

/// Where the sweep stands.
pub const SWEEP: Hook = Hook::Sweep;
