//! The list of live flows: the busiest first, whatever their number.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ganglion_features::community_id;
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
    let since_us = if state.is_cut() { state.last_us } else { state.first_us };
    v1::LiveFlow {
        tuple: Some(v1::FlowTuple {
            source_address: source.to_string(),
            source_port: u32::from(source_port),
            destination_address: destination.to_string(),
            destination_port: u32::from(destination_port),
            protocol: u32::from(key.protocol),
            domain: u32::from(key.domain),
        }),
        age_ms: now_us.saturating_sub(since_us) / 1000,
        idle_ms: now_us.saturating_sub(state.last_us) / 1000,
        forward_packets: state.fwd.packets,
        backward_packets: state.bwd.packets,
        forward_bytes: state.fwd.wire_bytes,
        backward_bytes: state.bwd.wire_bytes,
        state: phase(state).to_owned(),
        community_id: community_id::of_flow(key, state),
    }
}

fn phase(state: &FlowState) -> &'static str {
    if state.status & (status::FIN_FWD | status::FIN_BWD) != 0 {
        "closing"
    } else if state.has(status::ESTABLISHED) {
        "established"
    } else if state.has(status::ANSWERED) {
        "answered"
    } else {
        "unanswered"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::parse_addr;
    use ganglion_flow::Wire;

    #[test]
    fn a_flow_has_the_community_id_that_other_tools_give_it() {
        // From the specification's test data.
        let flow = |source: &str, from: u16, destination: &str, to: u16, protocol: u8| {
            let (source, destination) = (parse_addr(source).unwrap(), parse_addr(destination).unwrap());
            let (key, is_a) = FlowKey::new(source, destination, from, to, protocol, 0);
            let state = FlowState { status: if is_a { status::INITIATOR_IS_A } else { 0 }, ..FlowState::ZERO };
            Ranked { packets: 1, key, state }
        };
        let tcp = live(&flow("128.232.110.120", 34_855, "66.35.250.204", 80, 6), 0);
        assert_eq!(tcp.community_id, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        let mut ping = flow("192.168.0.89", 7, "192.168.0.1", 7, 1);
        ping.state.icmp_type = 8;
        assert_eq!(live(&ping, 0).community_id, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
    }
}
