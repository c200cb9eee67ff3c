//! What a start finds in tables of another size: flows become records with the reason `upgrade`, rules move.

use std::path::Path;

use aya::maps::{Map, MapData, RingBuf};
use ganglion_flow::half_open::HalfOpenSet;
use ganglion_flow::record::{FlowRecord, RecordHeader};
use ganglion_flow::rules::{NewFlowLimit, Rule};
use ganglion_flow::state::status;
use ganglion_flow::{FlowKey, FlowState, HalfOpen, Hook, Reason, RecordKind, Stage, Wire};

use crate::clock;
use crate::drain::{BATCH_BYTES, Batch, Outlets, is_record};
use crate::layout::{self, MapSpec};
use crate::ledger::Entry;
use crate::maps::{NetTable, Table, each_flow, each_half_open_set};
use crate::target::{Exemption, Target};

/// Flow tables that were set aside, opened before their pins go.
#[derive(Default)]
pub(crate) struct OldFlows {
    flows: Option<MapData>,
    half_open: Option<MapData>,
    records: Option<MapData>,
}

fn open(folder: &Path, specs: &[MapSpec], name: &str) -> Option<MapData> {
    layout::open_aside(folder, specs.iter().find(|spec| spec.name == name)?)
}

impl OldFlows {
    pub(crate) fn open(folder: &Path, specs: &[MapSpec]) -> Self {
        Self {
            flows: open(folder, specs, "FLOWS"),
            half_open: open(folder, specs, "HALF_OPEN"),
            records: open(folder, specs, "RECORDS"),
        }
    }

    /// Makes a record of every flow, and hands on what was still unread.
    pub(crate) fn export(self, outlets: &Outlets) -> u64 {
        let mut writer = RecordWriter { outlets, buffer: Vec::new(), count: 0, total: 0 };
        if let Some(ring) = self.records.and_then(|map| RingBuf::try_from(Map::RingBuf(map)).ok()) {
            writer.unread(ring);
        }
        let flows = self.flows.as_ref().map_or(Ok(()), |map| {
            each_flow(map, &mut |key, state| {
                if state.status & status::ENDED == 0 && !state.is_cut() {
                    writer.flow(key, *state);
                }
            })
        });
        let half_open =
            self.half_open.as_ref().map_or(Ok(()), |map| each_half_open_set(map, &mut |set| writer.set(set)));
        if let Err(error) = flows.and(half_open) {
            tracing::error!(%error, "flows of the old tables could not all be read");
        }
        writer.flush();
        writer.total
    }
}

struct RecordWriter<'a> {
    outlets: &'a Outlets,
    buffer: Vec<u8>,
    count: u32,
    total: u64,
}

impl RecordWriter<'_> {
    fn unread(&mut self, mut ring: RingBuf<MapData>) {
        while let Some(item) = ring.next() {
            if is_record(&item) {
                self.push(&item);
            }
        }
    }

    fn set(&mut self, set: &HalfOpenSet) {
        for slot in set.ways.iter().filter(|slot| !HalfOpen::is_empty(slot)) {
            let mut state = FlowState::ZERO;
            slot.open(&mut state);
            self.flow(&slot.key, state);
        }
    }

    fn flow(&mut self, key: &FlowKey, mut state: FlowState) {
        state.lock = 0;
        let now_us = clock::boot_ns() / 1000;
        let header = RecordHeader::new(RecordKind::Flow, Stage::End, Reason::Upgrade, Hook::Sweep, now_us);
        let mut bytes = [0; FlowRecord::LEN];
        if (FlowRecord { header, key: *key, state }).put(&mut bytes) {
            self.push(&bytes);
        }
    }

    fn push(&mut self, record: &[u8]) {
        if self.buffer.len() + record.len() > BATCH_BYTES {
            self.flush();
        }
        self.buffer.extend_from_slice(record);
        self.count += 1;
        self.total += 1;
    }

    fn flush(&mut self) {
        let count = std::mem::take(&mut self.count);
        self.outlets.ledger.add(Entry::Upgraded, u64::from(count));
        self.outlets.ledger.add(Entry::Drained, u64::from(count));
        let records = std::mem::take(&mut self.buffer).into();
        self.outlets.hand_over(Batch { records, count, drained_boot_ns: clock::boot_ns() });
    }
}

/// What rule tables of another size held.
#[derive(Default)]
pub(crate) struct OldRules {
    pub(crate) rules: Vec<(Target, Rule)>,
    /// With the number of their origin.
    pub(crate) exemptions: Vec<(Exemption, u32)>,
}

/// Rules and exemptions in tables that were set aside.
pub(crate) fn old_rules(folder: &Path, specs: &[MapSpec]) -> OldRules {
    let (mut rules, mut exempt) = (Vec::new(), Vec::new());
    let hash = |name| open(folder, specs, name).map(Map::HashMap);
    let lpm = |name| open(folder, specs, name).map(Map::LpmTrie);
    if let Some(Ok(table)) = hash("BLOCKS").map(Table::<_, Rule, 16, 24>::new) {
        rules.extend(table.entries().unwrap_or_default().into_iter().map(|(a, r)| (Target::Address(a), r)));
    }
    if let Some(Ok(table)) = hash("VERDICTS").map(Table::<_, Rule, 40, 24>::new) {
        rules.extend(table.entries().unwrap_or_default().into_iter().map(|(k, r)| (Target::Flow(k), r)));
    }
    if let Some(Ok(table)) = lpm("BLOCK_NETS").map(NetTable::<Rule, 24>::new) {
        rules.extend(table.entries().unwrap_or_default().into_iter().map(|(n, r)| (Target::Network(n), r)));
    }
    if let Some(Ok(table)) = hash("NEW_FLOW_LIMITS").map(Table::<_, NewFlowLimit, 16, 16>::new) {
        let limits = table.entries().unwrap_or_default().into_iter();
        rules.extend(limits.map(|(a, l)| (Target::NewFlows(a), crate::enforce::of_limit(&l))));
    }
    if let Some(Ok(table)) = lpm("ALLOW_NETS").map(NetTable::<u32, 4>::new) {
        exempt.extend(table.entries().unwrap_or_default().into_iter().map(|(n, o)| (Exemption::Network(n), o)));
    }
    if let Some(Ok(table)) = hash("ALLOW_SERVICES").map(Table::<_, u32, 24, 4>::new) {
        exempt.extend(table.entries().unwrap_or_default().into_iter().map(|(s, o)| (Exemption::Service(s), o)));
    }
    if let Some(Ok(table)) = hash("ALLOW_FLOWS").map(Table::<_, u32, 40, 4>::new) {
        exempt.extend(table.entries().unwrap_or_default().into_iter().map(|(k, o)| (Exemption::Flow(k), o)));
    }
    OldRules { rules, exemptions: exempt }
}
