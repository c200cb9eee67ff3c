//! When flows begin, end and are forgotten: one set of rules for the kernel's programs and the extractor.

use crate::US_PER_S;
use crate::packet::{Packet, TCP, tcp_flag};
use crate::record::{Reason, Stage};
use crate::state::{FlowState, status};

/// How long what stays, in µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// A flow silent for so long is over.
    pub idle_us: u64,
    /// A flow that lasts so long is exported, and goes on.
    pub active_us: u64,
    /// A flow of one packet, or a TCP flow that is not established, is over after a silence of so long.
    pub half_open_us: u64,
    /// The marker of an ended flow stays for so long.
    pub linger_us: u64,
}

impl Timeouts {
    /// Those of the `ganglion` profile.
    pub const GANGLION: Self =
        Self { idle_us: 60 * US_PER_S, active_us: 120 * US_PER_S, half_open_us: 10 * US_PER_S, linger_us: US_PER_S };
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::GANGLION
    }
}

/// What time asks for in a flow with a full entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Remove the marker of an ended flow.
    Forget,
    /// Export as ended, and delete.
    End(Reason),
    /// Export as ended, and go on in the same entry: it lasted for the active time-out.
    Cut,
    /// Export as it is.
    Early(Stage),
}

/// What is due in a flow with a full entry. With a `flush` other than 0 every flow is, and the number is the reason.
#[inline(always)]
pub fn due(flow: &FlowState, protocol: u8, timeouts: Timeouts, flush: u64, now_us: u64) -> Option<Due> {
    let silent_us = now_us.saturating_sub(flow.last_us);
    let age_us = now_us.saturating_sub(flow.first_us);
    if flow.status & status::ENDED != 0 {
        return (silent_us >= timeouts.linger_us || flush != 0).then_some(Due::Forget);
    }
    if let Some(reason) = flushed(flush) {
        return Some(Due::End(reason));
    }
    if silent_us >= timeouts.idle_us {
        return Some(Due::End(Reason::Idle));
    }
    if waits(flow, protocol) && silent_us >= timeouts.half_open_us {
        return Some(Due::End(Reason::HalfOpen));
    }
    if flow.is_cut() {
        return None;
    }
    if age_us >= timeouts.active_us {
        return Some(Due::Cut);
    }
    Stage::by_age(age_us, flow.stages).map(Due::Early)
}

/// Why a flow of one packet, seen at `seen_us`, is over, if it is.
#[inline(always)]
pub fn half_open_due(seen_us: u64, half_open_us: u64, flush: u64, now_us: u64) -> Option<Reason> {
    match flushed(flush) {
        None => (now_us.saturating_sub(seen_us) >= half_open_us).then_some(Reason::HalfOpen),
        reason => reason,
    }
}

/// The earliest time at which [`due`] has something to do if no packet comes before, with or without early records.
pub fn next_due_us(flow: &FlowState, protocol: u8, timeouts: Timeouts, early: bool) -> u64 {
    if flow.has(status::ENDED) {
        return flow.last_us.saturating_add(timeouts.linger_us);
    }
    let silence_us = if waits(flow, protocol) { timeouts.half_open_us.min(timeouts.idle_us) } else { timeouts.idle_us };
    let silent = flow.last_us.saturating_add(silence_us);
    if flow.is_cut() {
        return silent;
    }
    let old = flow.first_us.saturating_add(timeouts.active_us).min(silent);
    match Stage::next_age_us(flow.stages) {
        Some(age_us) if early => old.min(flow.first_us.saturating_add(age_us)),
        _ => old,
    }
}

#[inline(always)]
fn flushed(flush: u64) -> Option<Reason> {
    if flush == 0 {
        None
    } else if flush == Reason::Upgrade as u64 {
        Some(Reason::Upgrade)
    } else {
        Some(Reason::Shutdown)
    }
}

/// Whether a silence is that of a handshake under way.
#[inline(always)]
fn waits(flow: &FlowState, protocol: u8) -> bool {
    protocol == TCP && flow.status & status::ESTABLISHED == 0
}

/// What a packet is to the full entry of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A stray last packet of an ended flow: of no flow.
    AfterEnd,
    /// The first of a flow: the entry is empty, or the marker of an ended flow.
    Opens,
    /// The first of a flow whose 5-tuple another one has: that one ends.
    Reopens,
    /// The first after a cut.
    Resumes,
    /// A further one.
    Continues,
}

/// What the packet is to the flow.
#[inline(always)]
pub fn arrival(flow: &FlowState, packet: &Packet, sender_is_a: bool) -> Arrival {
    let is_empty = flow.first_us == 0 && flow.last_us == 0;
    if flow.has(status::ENDED) {
        return if reopens(packet) { Arrival::Opens } else { Arrival::AfterEnd };
    }
    if restarts(flow, packet, sender_is_a) {
        Arrival::Reopens
    } else if is_empty {
        Arrival::Opens
    } else if flow.is_cut() {
        Arrival::Resumes
    } else {
        Arrival::Continues
    }
}

/// Whether a packet may open a new flow where an ended one still has its marker.
#[inline(always)]
pub fn reopens(packet: &Packet) -> bool {
    packet.protocol != TCP || packet.flags & (tcp_flag::SYN | tcp_flag::RST | tcp_flag::FIN) == tcp_flag::SYN
}

/// A SYN from the initiator after an established connection opens the 5-tuple anew.
#[inline(always)]
fn restarts(flow: &FlowState, packet: &Packet, sender_is_a: bool) -> bool {
    packet.protocol == TCP
        && packet.flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN
        && flow.has(status::ESTABLISHED)
        && flow.is_forward(sender_is_a)
}

/// Leaves the marker of a flow that a packet ended.
#[inline(always)]
pub fn mark_ended(flow: &mut FlowState, now_us: u64) {
    flow.status |= status::ENDED;
    flow.last_us = now_us;
}

/// Empties a flow that was exported because it lasts. `clear` makes it all zero, as its place allows.
#[inline(always)]
pub fn cut(flow: &mut FlowState, clear: impl FnOnce(&mut FlowState)) {
    let (status, last_us) = (flow.status, flow.last_us);
    clear(flow);
    flow.status = status;
    flow.last_us = last_us;
}

#[cfg(test)]
mod tests;
