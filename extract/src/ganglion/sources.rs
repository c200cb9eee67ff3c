//! The address table: what each sender and each receiver did lately, by the rules of the kernel's.
//!
//! It has as many places as the kernel's has by default, and overwrites as the kernel does: a flood from forged addresses
//! takes no more memory here than there.

use ganglion_flow::record::SourceRecord;
use ganglion_flow::source::{SourceSet, SourceState, status};
use ganglion_flow::state::{self, Change};
use ganglion_flow::{
    Addr, FlowKey, FlowState, HalfOpen, Hook, Packet, Reason, RecordHeader, RecordKind, Role, Stage, Wire,
};

/// Sets of the table.
const SETS: usize = 16_384;

/// What happened to a flow of the address.
#[derive(Clone, Copy)]
enum Event<'a> {
    Opened(&'a Packet),
    Answered,
    Established,
    Ended { open: u32, reset: bool },
}

/// The table, and the records that it made.
pub(super) struct Sources {
    sets: Vec<SourceSet>,
    seed: u64,
    made: Vec<SourceRecord>,
}

impl Sources {
    pub(super) fn new(seed: u64) -> Self {
        Self { sets: vec![SourceSet::ZERO; SETS], seed, made: Vec::new() }
    }

    /// A new flow by its first packet.
    pub(super) fn opened(&mut self, slot: &HalfOpen) {
        let packet = slot.packet();
        let (event, domain, now_us) = (Event::Opened(&packet), slot.key.domain, slot.seen_us);
        self.touch(packet.dst, Role::Destination, packet.src, domain, event, now_us);
        self.touch(packet.src, Role::Source, packet.dst, domain, event, now_us);
    }

    /// What a packet changed in a flow.
    pub(super) fn changed(&mut self, key: &FlowKey, flow: &FlowState, change: &Change, now_us: u64) {
        if change.answered {
            self.both(key, flow, Event::Answered, now_us);
        }
        if change.established {
            self.both(key, flow, Event::Established, now_us);
        }
    }

    /// A flow ended.
    pub(super) fn ended(&mut self, key: &FlowKey, flow: &FlowState, reset: bool, now_us: u64) {
        let is_open = flow.has(state::status::ESTABLISHED);
        if is_open || reset {
            self.both(key, flow, Event::Ended { open: is_open.into(), reset }, now_us);
        }
    }

    /// Forgets all addresses: another capture begins.
    pub(super) fn clear(&mut self) {
        self.sets.fill(SourceSet::ZERO);
    }

    /// Records made since the last call.
    pub(super) fn take_made(&mut self) -> Vec<SourceRecord> {
        std::mem::take(&mut self.made)
    }

    fn both(&mut self, key: &FlowKey, flow: &FlowState, event: Event<'_>, now_us: u64) {
        let ((initiator, _), (responder, _)) = state::endpoints(key, flow);
        self.touch(initiator, Role::Source, responder, key.domain, event, now_us);
        self.touch(responder, Role::Destination, initiator, key.domain, event, now_us);
    }

    fn touch(&mut self, addr: Addr, role: Role, peer: Addr, domain: u16, event: Event<'_>, now_us: u64) {
        let set = (addr.hash(self.seed) ^ role as u32) as usize % SETS;
        let ways = &mut self.sets[set].ways;
        let entry = match ways.iter().position(|entry| entry.is(addr, role as u8, domain)) {
            Some(way) => &mut ways[way],
            None => {
                // Only a new flow makes an entry; it takes the one whose loss costs least.
                let (Event::Opened(_), Some(entry)) = (event, ways.iter_mut().min_by_key(|entry| entry.worth())) else {
                    return;
                };
                *entry = SourceState { addr, role: role as u8, domain, first_us: now_us, ..SourceState::ZERO };
                entry
            }
        };
        entry.roll(now_us);
        match event {
            Event::Opened(packet) => {
                entry.opened(packet.protocol, packet.dst_port, packet.wire_bytes, peer, now_us);
            }
            Event::Answered => {
                entry.answered_total = entry.answered_total.wrapping_add(1);
                entry.answered_window += 1;
            }
            Event::Established => {
                entry.established_total = entry.established_total.wrapping_add(1);
                entry.open += 1;
                entry.status |= status::ESTABLISHED;
            }
            Event::Ended { open, reset } => {
                entry.open = entry.open.saturating_sub(open);
                entry.reset_window += u32::from(reset);
                return;
            }
        }
        if entry.rises() {
            let header = RecordHeader::new(RecordKind::Source, Stage::Source, Reason::Level, Hook::Sweep, now_us);
            self.made.push(SourceRecord { header, state: *entry });
        }
    }
}
