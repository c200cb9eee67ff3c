//! The list of live flows: the busiest first, whatever their number.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ganglion_flow::state::{endpoints, status};
use ganglion_flow::{FlowKey, FlowState};
use ganglion_proto::v1;

use crate::clock;
use crate::maps::FlowTables;

const DEFAULT: u32 = 100;
const MOST: u32 = 10_000;

struct Ranked {
    packets: u64,
    key: FlowKey,
    state: FlowState,
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.packets == other.packets
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.packets.cmp(&other.packets)
    }
}

/// At most `limit` live flows, the most packets first.
pub(super) fn list(tables: &FlowTables, limit: u32) -> std::io::Result<v1::ListFlowsResponse> {
    let limit = if limit == 0 { DEFAULT } else { limit.min(MOST) } as usize;
    let mut total = 0;
    let mut busiest: BinaryHeap<Reverse<Ranked>> = BinaryHeap::with_capacity(limit + 1);
    tables.each_flow(|key, state| {
        if state.status & status::ENDED != 0 {
            return;
        }
        total += 1;
        busiest.push(Reverse(Ranked { packets: state.packets(), key: *key, state: *state }));
        if busiest.len() > limit {
            busiest.pop();
        }
    })?;
    let now_us = clock::boot_ns() / 1000;
    let flows = busiest.into_sorted_vec().iter().map(|Reverse(flow)| live(flow, now_us)).collect();
    Ok(v1::ListFlowsResponse { flows, total })
}

fn live(flow: &Ranked, now_us: u64) -> v1::LiveFlow {
    let (key, state) = (&flow.key, &flow.state);
    let ((source, source_port), (destination, destination_port)) = endpoints(key, state);
    v1::LiveFlow {
        tuple: Some(v1::FlowTuple {
            source_address: source.to_string(),
            source_port: u32::from(source_port),
            destination_address: destination.to_string(),
            destination_port: u32::from(destination_port),
            protocol: u32::from(key.protocol),
            domain: u32::from(key.domain),
        }),
        age_ms: now_us.saturating_sub(state.first_us) / 1000,
        idle_ms: now_us.saturating_sub(state.last_us) / 1000,
        forward_packets: state.fwd.packets,
        backward_packets: state.bwd.packets,
        forward_bytes: state.fwd.wire_bytes,
        backward_bytes: state.bwd.wire_bytes,
        state: phase(state).to_owned(),
        community_id: String::new(),
    }
}

fn phase(state: &FlowState) -> &'static str {
    if state.status & (status::FIN_FWD | status::FIN_BWD) != 0 {
        "closing"
    } else if state.has(status::ESTABLISHED) {
        "established"
    } else if state.bwd.packets > 0 {
        "answered"
    } else {
        "unanswered"
    }
}
