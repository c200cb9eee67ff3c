//! Made-up records.

use ganglion_flow::key::mix;
use ganglion_flow::record::{FlowRecord, RecordHeader, RecordKind};
use ganglion_flow::state::status;
use ganglion_flow::{Addr, FlowKey, FlowState, Hook, Reason, Stage, Wire};

/// The `n`th of made-up flows that end `every_us` apart: plausible, varied figures, of one of 4 096 sources.
pub fn flow(n: u64, every_us: u64) -> FlowRecord {
    let random = mix(n, 0x5bd1_e995_9e37_79b9);
    let client = Addr::v4(0xc612_0000 | (random & 0xfff) as u32);
    let (key, is_a) = FlowKey::new(client, Addr::v4(0xc613_0001), (random >> 16) as u16, 443, 6, 0);
    let time_us = 1_000_000 + n * every_us;
    let mut state = FlowState::ZERO;
    state.status = if is_a { status::INITIATOR_IS_A } else { 0 } | status::ESTABLISHED;
    state.first_us = time_us - (random >> 40) % 900_000;
    state.last_us = time_us;
    for (direction, shift) in [(&mut state.fwd, 8), (&mut state.bwd, 24)] {
        let packets = 2 + (random >> shift) % 60;
        direction.packets = packets;
        direction.arrivals = packets as u32;
        direction.payload_bytes = packets * 600;
        direction.payload_sq_bytes2 = packets * 500_000;
        direction.wire_bytes = packets * 660;
        direction.payload_max = 1_460;
        direction.first_us = time_us - 1_000;
        direction.last_us = time_us;
    }
    let header = RecordHeader::new(RecordKind::Flow, Stage::End, Reason::Fin, Hook::Xdp, time_us);
    FlowRecord { header, key, state }
}
