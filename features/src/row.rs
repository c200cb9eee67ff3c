//! What a record becomes: numbers for the model, facts for the policy.

use crate::community_id;
use crate::sketch::Sketch;
use crate::table::COUNT;
use ganglion_flow::record::{FlowRecord, SourceRecord};
use ganglion_flow::source::level;
use ganglion_flow::state::{DirState, endpoints, status};
use ganglion_flow::{Addr, FlowKey, RecordHeader, Role, Stage};

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// The features in table order; never NaN or infinite.
    pub values: [f32; COUNT],
    /// What is known beside them. Never a model's input.
    pub meta: Meta,
}

/// Whom and what a row is about.
#[derive(Clone, Copy, Debug)]
pub struct Meta {
    /// The record's header.
    pub header: RecordHeader,
    /// Who opened the flow; in a SOURCE row the record's address.
    pub initiator: Addr,
    /// The other end; in a SOURCE row all zero.
    pub responder: Addr,
    /// The initiator's port (echo id for ICMP echo).
    pub initiator_port: u16,
    /// The responder's port.
    pub responder_port: u16,
    /// IP protocol number; 0 in a SOURCE row.
    pub protocol: u8,
    /// Separates networks, as in the flow key.
    pub domain: u16,
    /// What stands for ports in a Community ID: type and counterpart or code for ICMP, else the ports.
    pub community_ports: (u16, u16),
    /// Packets of both directions.
    pub packets: u64,
    /// Payload bytes of both directions.
    pub payload_bytes: u64,
    /// Time from first to last packet, µs.
    pub duration_us: u64,
    /// The responder spoke.
    pub answered: bool,
    /// The initiator spoke again after an answer.
    pub established: bool,
    /// The responder went on after its SYN's answer: it heard the initiator's side of the handshake.
    pub confirmed: bool,
    /// The first packet left the sensor's machine.
    pub outbound: bool,
    /// The same number for all records of one flow.
    pub flow_hash: u64,
    /// Counts of the address, in a SOURCE row.
    pub source: Option<SourceMeta>,
}

/// Counts of an address, for reasons in words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceMeta {
    /// Whether the address received the flows (else it opened them).
    pub receives: bool,
    /// The highest level any count reached in this window, 0 to 8.
    pub level: u8,
    /// New flows in this window.
    pub new: u32,
    /// New flows without an answer in this window.
    pub unanswered: u32,
    /// Flows open now.
    pub open: u32,
    /// Distinct destination ports, estimated.
    pub ports: f64,
    /// Distinct peers, estimated.
    pub peers: f64,
}

impl Meta {
    pub(crate) fn of_flow(record: &FlowRecord) -> Self {
        let state = &record.state;
        let ((initiator, initiator_port), (responder, responder_port)) = endpoints(&record.key, state);
        Self {
            header: record.header,
            initiator,
            responder,
            initiator_port,
            responder_port,
            protocol: record.key.protocol,
            domain: record.key.domain,
            community_ports: community_id::ports(&record.key, state),
            packets: state.fwd.packets.saturating_add(state.bwd.packets),
            payload_bytes: state.fwd.payload_bytes.saturating_add(state.bwd.payload_bytes),
            duration_us: state.last_us.saturating_sub(state.first_us),
            answered: state.bwd.packets > 0,
            established: state.has(status::ESTABLISHED),
            confirmed: went_on(&state.bwd),
            outbound: state.has(status::OUTBOUND),
            flow_hash: flow_hash(&record.key, state.first_us),
            source: None,
        }
    }

    pub(crate) fn of_source(record: &SourceRecord) -> Self {
        let state = &record.state;
        let unanswered = state.new_window.saturating_sub(state.answered_window);
        Self {
            header: record.header,
            initiator: state.addr,
            responder: Addr { hi: 0, lo: 0 },
            initiator_port: 0,
            responder_port: 0,
            protocol: 0,
            domain: state.domain,
            community_ports: (0, 0),
            packets: 0,
            payload_bytes: 0,
            duration_us: 0,
            answered: false,
            established: false,
            confirmed: false,
            outbound: false,
            flow_hash: 0,
            source: Some(SourceMeta {
                receives: state.role == Role::Destination as u8,
                level: level(state.new_window).max(level(unanswered)).max(level(state.open)),
                new: state.new_window,
                unanswered,
                open: state.open,
                ports: Sketch(state.ports).estimate(),
                peers: Sketch(state.peers).estimate(),
            }),
        }
    }

    /// Whether the flow is over.
    pub fn ended(&self) -> bool {
        self.header.stage == Stage::End as u8
    }
}

/// Whether a TCP responder sent anything but SYNs and resets. Whoever forges the initiator's address can't see the
/// SYN's answer, and a wrong acknowledgement is answered by a reset.
fn went_on(responder: &DirState) -> bool {
    let [_, syns, resets, ..] = responder.flags;
    responder.packets > u64::from(syns) + u64::from(resets)
}

/// A reopened 5-tuple is another flow, so its first packet's time counts.
fn flow_hash(key: &FlowKey, first_us: u64) -> u64 {
    let ends = u64::from(key.hash(0)) << 32 | u64::from(key.hash(0x5bd1_e995));
    ganglion_flow::key::mix(ends, first_us)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganglion_flow::Wire;

    #[test]
    fn only_a_responder_that_goes_on_confirms_the_handshake() {
        let responder = |packets: u64, syns: u32, resets: u32| {
            let mut state = DirState { packets, ..DirState::ZERO };
            (state.flags[1], state.flags[2]) = (syns, resets);
            state
        };
        for (packets, syns, resets) in [(0, 0, 0), (1, 1, 0), (2, 2, 0), (2, 1, 1), (1, 0, 1)] {
            assert!(!went_on(&responder(packets, syns, resets)), "{packets} {syns} {resets}");
        }
        for (packets, syns, resets) in [(2, 1, 0), (3, 1, 1), (9, 0, 0)] {
            assert!(went_on(&responder(packets, syns, resets)), "{packets} {syns} {resets}");
        }
    }
}
