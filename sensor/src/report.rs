//! What the sensor knows of itself at one moment: counters, both loss equations, costs.

use std::collections::BTreeMap;

use ganglion_flow::counter::COUNT;
use ganglion_flow::{Counter, HalfOpen, state::status};
use ganglion_proto::v1;

use crate::attach::Attached;
use crate::ledger::{Entry, Ledger};
use crate::maps::FlowTables;

/// A sum that must come out (invariant 1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Equation {
    /// What went in.
    pub left: u64,
    /// What became of it.
    pub terms: BTreeMap<&'static str, u64>,
}

impl Equation {
    /// What went in less what became of it: 0 at rest.
    pub fn difference(&self) -> i64 {
        let sum = self.terms.values().fold(0u64, |a, b| a.wrapping_add(*b));
        self.left.wrapping_sub(sum).cast_signed()
    }
}

impl From<&Equation> for v1::Equation {
    fn from(equation: &Equation) -> Self {
        let terms = equation.terms.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        Self { left: equation.left, terms, difference: equation.difference() }
    }
}

/// What the flow tables hold now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Flows with a full entry that have not ended.
    pub flows: u64,
    /// Their packets.
    pub flow_packets: u64,
    /// Single-packet flows.
    pub half_open: u64,
    /// Their packets.
    pub half_open_packets: u64,
}

impl Live {
    /// Walks both tables.
    pub(crate) fn count(tables: &FlowTables) -> std::io::Result<Self> {
        let mut live = Self::default();
        tables.each_flow(|_, flow| {
            if flow.status & status::ENDED == 0 {
                live.flows += 1;
                live.flow_packets += flow.packets();
            }
        })?;
        tables.each_half_open_set(|set| {
            for slot in set.ways.iter().filter(|slot| !HalfOpen::is_empty(slot)) {
                live.half_open += 1;
                live.half_open_packets += u64::from(slot.segments);
            }
        })?;
        Ok(live)
    }
}

/// What became of a packet: each counter of this kind is a term of the packets' equation.
const PACKET_FATES: &[Counter] = &[
    Counter::DropBlock,
    Counter::DropBlockNet,
    Counter::DropVerdict,
    Counter::DropRate,
    Counter::DropNewFlow,
    Counter::NotIp,
    Counter::Truncated,
    Counter::Malformed,
    Counter::Fragment,
    Counter::TooManyHeaders,
    Counter::SkipLock,
    Counter::SkipFull,
    Counter::SkipAfterEnd,
    Counter::SkipClosing,
    Counter::SkipFolded,
    Counter::SkipRole,
    Counter::Exported,
    Counter::ExportLost,
];

/// The counters by name.
pub type Counters = [u64; COUNT];

pub(crate) fn value(counters: &Counters, counter: Counter) -> u64 {
    counters.get(counter as usize).copied().unwrap_or(0)
}

/// Packets: seen = exported + live + dropped + not a flow + skipped.
pub(crate) fn packets(counters: &Counters, live: &Live) -> Equation {
    let mut terms: BTreeMap<_, _> = PACKET_FATES.iter().map(|c| (c.label(), value(counters, *c))).collect();
    terms.insert("live", live.flow_packets);
    terms.insert("live_half_open", live.half_open_packets);
    Equation { left: value(counters, Counter::Seen), terms }
}

/// Records: produced = delivered + shed + queued. Records still in the ring buffer show as the difference.
pub(crate) fn records(counters: &Counters, ledger: &Ledger) -> Equation {
    let mut terms: BTreeMap<_, _> = Entry::SHED.iter().map(|e| (e.label(), ledger.get(*e))).collect();
    terms.insert("delivered", ledger.get(Entry::Delivered));
    terms.insert("queued", ledger.open());
    Equation { left: value(counters, Counter::Records) + ledger.get(Entry::Upgraded), terms }
}

/// Cost of one program (invariant 13).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramCost {
    /// Its name.
    pub name: &'static str,
    /// Runs, while statistics are on.
    pub run_count: u64,
    /// Time in them, ns.
    pub run_time_ns: u64,
    /// Instructions the verifier walked.
    pub verified_instructions: u64,
}

/// Everything at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Name in events.
    pub sensor_id: String,
    /// Hooks in use.
    pub attached: Vec<Attached>,
    /// "host", "mirror", "router".
    pub role: &'static str,
    /// Whether rules drop.
    pub enforcing: bool,
    /// By label.
    pub counters: BTreeMap<&'static str, u64>,
    /// By label.
    pub ledger: BTreeMap<&'static str, u64>,
    /// The packets' equation.
    pub packets: Equation,
    /// The records' equation.
    pub records: Equation,
    /// What the tables hold.
    pub live: Live,
    /// Whether a brain is there.
    pub brain_connected: bool,
    /// Records waiting for the brain.
    pub queue_depth: u64,
    /// Most that may wait.
    pub queue_limit: u64,
    /// Rules in force.
    pub blocks: u64,
    /// Exemptions.
    pub exemptions: u64,
    /// Packets, bytes and drops of all rules in force.
    pub hits: [u64; 3],
    /// Costs of the programs.
    pub programs: Vec<ProgramCost>,
    /// Memory of the maps when full.
    pub memory_bytes: u64,
    /// Since this process started.
    pub uptime_s: u64,
    /// Sweeps run, failed, and µs of the last.
    pub sweeps: [u64; 3],
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every counter is either a fate of packets or known to be something else: a new one must be filed.
    #[test]
    fn every_counter_has_its_place() {
        let others = [
            Counter::Seen,
            Counter::SeenBytes,
            Counter::WouldDrop,
            Counter::Records,
            Counter::RecordsLost,
            Counter::FlowsOpened,
            Counter::FlowsEnded,
            Counter::SourcesReplaced,
            Counter::SourcesSkipped,
            Counter::Allowed,
            Counter::FragmentsReplaced,
            Counter::Inner,
        ];
        for counter in Counter::ALL {
            let places = usize::from(PACKET_FATES.contains(counter)) + usize::from(others.contains(counter));
            assert_eq!(places, 1, "{}", counter.label());
        }
    }

    #[test]
    fn equations_balance_and_show_what_is_missing() {
        let mut counters = [0; COUNT];
        counters[Counter::Seen as usize] = 100;
        counters[Counter::Exported as usize] = 60;
        counters[Counter::DropBlock as usize] = 30;
        let live = Live { flow_packets: 7, half_open_packets: 3, ..Live::default() };
        let ledger = Ledger::private();
        assert_eq!(packets(&counters, &live).difference(), 0);
        counters[Counter::DropBlock as usize] = 31;
        assert_eq!(packets(&counters, &live).difference(), -1);
        counters[Counter::Records as usize] = 10;
        ledger.add(Entry::Drained, 9);
        ledger.add(Entry::Delivered, 5);
        ledger.add(Entry::ShedAway, 1);
        let equation = records(&counters, &ledger);
        assert_eq!((equation.terms["queued"], equation.difference()), (3, 1));
    }
}
