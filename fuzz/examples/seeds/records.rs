//! Records of flows and addresses, made of real packets.

use std::collections::BTreeMap;
use std::error::Error;

use ganglion_features::recording::header;
use ganglion_flow::cursor::Frame;
use ganglion_flow::record::{FlowRecord, RecordKind, SourceRecord};
use ganglion_flow::state::endpoints;
use ganglion_flow::{FlowState, Hook, Packet, Reason, RecordHeader, Role, SourceState, Stage, Wire};

use super::{Pairs, Seeds};

pub(super) fn seeds(pairs: &Pairs) -> Result<Seeds, Box<dyn Error>> {
    let mut seeds: Seeds = Vec::new();
    for name in Pairs::NAMES {
        let flows = flows(pairs, name)?;
        let records: Vec<u8> = flows.iter().take(3).flat_map(encoded).collect();
        seeds.push((format!("{name}_recording"), [&header(1_000)[..], &records].concat()));
        seeds.push((name.to_owned(), records));
        let Some(record) = flows.iter().max_by_key(|record| record.state.packets()) else { continue };
        seeds.push((format!("{name}_flow"), encoded(record)));
        let sources: Vec<u8> =
            [Role::Source, Role::Destination].iter().flat_map(|role| source(*role, &flows)).collect();
        seeds.push((format!("{name}_mixed"), [sources, encoded(record)].concat()));
    }
    Ok(seeds)
}

/// A capture's flows, each ended by the last packet.
fn flows(pairs: &Pairs, name: &str) -> Result<Vec<FlowRecord>, Box<dyn Error>> {
    let mut flows: BTreeMap<Vec<u8>, FlowRecord> = BTreeMap::new();
    for frame in pairs.frames(name, 400_000)? {
        let Ok(packet) = Packet::parse(frame.bytes.as_slice(), Frame::plain(frame.original_bytes)) else { continue };
        let (key, sender_is_a) = packet.key(0);
        let header = RecordHeader::new(RecordKind::Flow, Stage::End, Reason::Idle, Hook::Offline, frame.time_us);
        let mut name = vec![0; ganglion_flow::FlowKey::LEN];
        key.put(&mut name);
        let flow = flows.entry(name).or_insert(FlowRecord { header, key, state: FlowState::ZERO });
        flow.header = header;
        let first = flow.state.packets() == 0;
        let state = &mut flow.state;
        let change = if first {
            state.open(&packet, sender_is_a, false, frame.time_us)
        } else {
            state.update(&packet, sender_is_a, frame.time_us)
        };
        if change.end.is_some() {
            flow.header.reason = Reason::Fin as u8;
        }
    }
    Ok(flows.into_values().collect())
}

/// What the first flow's initiator or responder did.
fn source(role: Role, flows: &[FlowRecord]) -> Vec<u8> {
    let mut state = SourceState { role: role as u8, first_us: 1, ..SourceState::ZERO };
    for flow in flows {
        let (initiator, responder) = endpoints(&flow.key, &flow.state);
        let (own, other) = if role == Role::Source { (initiator, responder) } else { (responder, initiator) };
        state.addr = own.0;
        state.opened(flow.key.protocol, responder.1, 60, other.0, flow.header.time_us);
    }
    let time_us = state.last_us;
    let header = RecordHeader::new(RecordKind::Source, Stage::Source, Reason::Level, Hook::Xdp, time_us);
    let mut bytes = vec![0; SourceRecord::LEN];
    SourceRecord { header, state }.put(&mut bytes);
    bytes
}

fn encoded(record: &FlowRecord) -> Vec<u8> {
    let mut bytes = vec![0; FlowRecord::LEN];
    record.put(&mut bytes);
    bytes
}
