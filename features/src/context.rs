//! What happened around a record, by event time (`header.time_us`), in bounded memory.
//!
//! Each address has up to two tracks: one for what it initiated, one for what arrived at it. A track keeps
//! three windows (1, 10, 60 s), each in five parts; a window covers the running part and the four before, so
//! 80 to 100 % of its length. Of each initiator and service the last eight flows are remembered, however old.

mod contribution;
mod pair;
mod track;

pub use pair::PairTotals;
pub use track::WindowTotals;

use crate::bounded::Bounded;
use crate::clock::EventClock;
use crate::row::{Meta, Row};
use crate::table::{self, COUNT};
use crate::view::View;
use contribution::Contribution;
use ganglion_flow::record::{FlowRecord, Record, SourceRecord};
use ganglion_flow::state::endpoints;
use ganglion_flow::{Addr, FlowState, Role, SourceState, Wire};
use pair::{Ends, Pair};
use track::Track;

static NO_FLOW: FlowState = FlowState::ZERO;
static NO_SOURCE: SourceState = SourceState::ZERO;

/// How much a [`Context`] may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextLimits {
    /// Addresses followed as initiators; at most 2.6 kB each.
    pub actors: usize,
    /// Addresses followed as responders; at most 2.6 kB each.
    pub targets: usize,
    /// Pairs of initiator and service; some 250 bytes each.
    pub pairs: usize,
}

impl Default for ContextLimits {
    fn default() -> Self {
        Self { actors: 32_768, targets: 8_192, pairs: 32_768 }
    }
}

/// What a [`Context`] counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContextStats {
    /// Records observed.
    pub records: u64,
    /// Records older than the newest one; counted at the newest one's time.
    pub time_reversals: u64,
    /// Records that started a new time base.
    pub time_resets: u64,
    /// Initiators followed now.
    pub actors: u64,
    /// Responders followed now.
    pub targets: u64,
    /// Initiators forgotten because there were too many.
    pub actors_evicted: u64,
    /// Responders forgotten because there were too many.
    pub targets_evicted: u64,
    /// Pairs of initiator and service forgotten because there were too many.
    pub pairs_evicted: u64,
}

/// What happened around a FLOW record, per window, the record itself included.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings {
    /// What the initiator did.
    pub actor: [WindowTotals; 3],
    /// What arrived at the responder.
    pub target: [WindowTotals; 3],
    /// What the initiator did towards the flow's service.
    pub pair: PairTotals,
}

type Place = (Addr, u16);

/// The memory behind the context features. One per sensor: boot clocks differ.
pub struct Context {
    actors: Bounded<Place, Track>,
    targets: Bounded<Place, Track>,
    pairs: Bounded<Ends, Pair>,
    clock: EventClock,
    records: u64,
}

impl Default for Context {
    fn default() -> Self {
        Self::new(ContextLimits::default())
    }
}

impl Context {
    /// An empty memory.
    pub fn new(limits: ContextLimits) -> Self {
        Self {
            actors: Bounded::new(limits.actors),
            targets: Bounded::new(limits.targets),
            pairs: Bounded::new(limits.pairs),
            clock: EventClock::default(),
            records: 0,
        }
    }

    /// Notes the record and derives its row, itself included in the context.
    pub fn observe(&mut self, record: &Record) -> Row {
        match record {
            Record::Flow(flow) => {
                let around = self.surroundings(flow);
                of_flow(flow, &around)
            }
            Record::Source(source) => {
                let now_us = self.at(source.header.time_us);
                self.source(source, now_us)
            }
        }
    }

    /// Notes a FLOW record and says what happened around it.
    pub fn surroundings(&mut self, record: &FlowRecord) -> Surroundings {
        let now_us = self.at(record.header.time_us);
        let ((initiator, _), (responder, responder_port)) = endpoints(&record.key, &record.state);
        let part = Contribution::of_flow(record);
        let service = contribution::service(responder, responder_port, record.key.protocol);
        let actor = self.actors.entry((initiator, record.key.domain), Track::default);
        actor.add(now_us, &part.towards(responder, responder_port, service));
        let actor = actor.totals(now_us, service);
        let target = self.targets.entry((responder, record.key.domain), Track::default);
        target.add(now_us, &part.towards(initiator, responder_port, service));
        let ends = (initiator, responder, responder_port, record.key.protocol, record.key.domain);
        let pair = self.pairs.entry(ends, Pair::default);
        pair.add(record);
        Surroundings { actor, target: target.totals(now_us, service), pair: pair.totals() }
    }

    /// Event time with a record of this time.
    fn at(&mut self, time_us: u64) -> u64 {
        self.records += 1;
        self.clock.advance(time_us);
        self.clock.now_us()
    }

    /// What was counted so far.
    pub fn stats(&self) -> ContextStats {
        ContextStats {
            records: self.records,
            time_reversals: self.clock.reversals(),
            time_resets: self.clock.resets(),
            actors: self.actors.len() as u64,
            targets: self.targets.len() as u64,
            actors_evicted: self.actors.evicted(),
            targets_evicted: self.targets.evicted(),
            pairs_evicted: self.pairs.evicted(),
        }
    }

    fn source(&mut self, record: &SourceRecord, now_us: u64) -> Row {
        let place = (record.state.addr, record.state.domain);
        let nothing = [WindowTotals::default(); 3];
        let receives = record.state.role == Role::Destination as u8;
        let tracks = if receives { &mut self.targets } else { &mut self.actors };
        let track = tracks.entry(place, Track::default);
        track.add_source(now_us, &record.state);
        let totals = track.totals(now_us, 0);
        let view = View {
            header: &record.header,
            flow: &NO_FLOW,
            protocol: 0,
            source: &record.state,
            actor: if receives { &nothing } else { &totals },
            target: if receives { &totals } else { &nothing },
            pair: &PairTotals::NONE,
        };
        row(&view, false, Meta::of_source(record))
    }
}

fn of_flow(record: &FlowRecord, around: &Surroundings) -> Row {
    let view = View {
        header: &record.header,
        flow: &record.state,
        protocol: record.key.protocol,
        source: &NO_SOURCE,
        actor: &around.actor,
        target: &around.target,
        pair: &around.pair,
    };
    row(&view, true, Meta::of_flow(record))
}

fn row(view: &View<'_>, is_flow: bool, meta: Meta) -> Row {
    let mut values = [0.0; COUNT];
    table::derive(view, is_flow, &mut values);
    Row { values, meta }
}

#[cfg(test)]
mod tests;
