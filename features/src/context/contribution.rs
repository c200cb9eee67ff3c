//! What one FLOW record adds to the tracks of its two ends.

use crate::sketch::Sketch;
use ganglion_flow::key::mix;
use ganglion_flow::record::FlowRecord;
use ganglion_flow::{Addr, Reason, Stage};

/// Counts of one record, and later of a part of a window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Contribution {
    /// Flows heard of for the first time.
    pub(super) started: u32,
    pub(super) ended: u32,
    /// Ended without a word from the responder.
    pub(super) unanswered: u32,
    /// Ended by a reset.
    pub(super) reset: u32,
    /// New flows by SOURCE records.
    pub(super) new: u32,
    pub(super) new_unanswered: u32,
    /// Of ended flows.
    pub(super) packets: u64,
    /// Of ended flows.
    pub(super) payload_bytes: u64,
    /// Of ended flows.
    pub(super) duration_us: u64,
    pub(super) ports: Sketch,
    pub(super) peers: Sketch,
    /// Flows started, by hash of their service.
    pub(super) services: [u16; SERVICES],
}

/// Cells that services are hashed into.
pub(super) const SERVICES: usize = 16;

/// Hash of a service: where it is and what it speaks.
pub(super) fn service(responder: Addr, port: u16, protocol: u8) -> u64 {
    let low = mix(mix(mix(u64::from(protocol), responder.hi), responder.lo), port.into());
    // The high bits of a product are its best mixed ones.
    low >> 24
}

impl Contribution {
    pub(super) fn of_flow(record: &FlowRecord) -> Self {
        let state = &record.state;
        let header = &record.header;
        let this = Stage::from_u8(header.stage).map_or(0, Stage::bit);
        let mut part = Self { started: u32::from(state.stages & !this == 0), ..Self::default() };
        if header.stage == Stage::End as u8 {
            part.ended = 1;
            part.unanswered = u32::from(state.bwd.packets == 0);
            part.reset = u32::from(header.reason == Reason::Rst as u8);
            part.packets = state.fwd.packets.saturating_add(state.bwd.packets);
            part.payload_bytes = state.fwd.payload_bytes.saturating_add(state.bwd.payload_bytes);
            part.duration_us = state.last_us.saturating_sub(state.first_us);
        }
        part
    }

    /// The same, with the other end noted.
    pub(super) fn towards(&self, peer: Addr, port: u16, service: u64) -> Self {
        let mut part = *self;
        part.peers.mark_address(peer);
        part.ports.mark_port(port);
        part.services[service as usize % SERVICES] = part.started as u16;
        part
    }

    pub(super) fn join(&mut self, other: &Self) {
        self.started = self.started.saturating_add(other.started);
        self.ended = self.ended.saturating_add(other.ended);
        self.unanswered = self.unanswered.saturating_add(other.unanswered);
        self.reset = self.reset.saturating_add(other.reset);
        self.new = self.new.saturating_add(other.new);
        self.new_unanswered = self.new_unanswered.saturating_add(other.new_unanswered);
        self.packets = self.packets.saturating_add(other.packets);
        self.payload_bytes = self.payload_bytes.saturating_add(other.payload_bytes);
        self.duration_us = self.duration_us.saturating_add(other.duration_us);
        self.ports.join(&other.ports);
        self.peers.join(&other.peers);
        for (mine, theirs) in self.services.iter_mut().zip(other.services) {
            *mine = mine.saturating_add(theirs);
        }
    }
}
