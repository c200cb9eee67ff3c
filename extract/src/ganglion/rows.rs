//! Records of all shards, put in order and dealt out in batches.

use std::collections::VecDeque;

use ganglion_features::Context;
use ganglion_flow::record::{FlowRecord, SourceRecord};
use ganglion_flow::{FlowKey, FlowState, HalfOpen, RecordHeader, Wire};

use super::Options;
use super::columns::Records;

/// Rows of a batch; the last one has fewer. Records and columns of so many lie in a second-level cache for the most part,
/// and nobody waits for long at the end.
const BATCH_ROWS: usize = 2_048;

/// Records that a shard made, each kind in the order in which it was made.
#[derive(Default)]
pub(super) struct Made {
    /// Of flows of one packet, which stay short until their turn comes: a flood has many.
    pub(super) lone: Vec<(RecordHeader, HalfOpen)>,
    pub(super) full: Vec<FlowRecord>,
    /// Of addresses, where asked for.
    pub(super) sources: Vec<SourceRecord>,
}

/// Which of them. At one time those of addresses come first: the kernel makes a flow's record last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Source,
    Lone,
    Full,
}

/// A record's place in what shards made.
#[derive(Clone, Copy)]
struct Place {
    time_us: u64,
    first_us: u64,
    shard: u32,
    kind: Kind,
    at: u32,
}

/// The records of a piece.
struct Waiting {
    shards: Vec<Made>,
    order: std::vec::IntoIter<Place>,
}

/// Takes the records of one piece of the capture after the other.
pub(super) struct Rows {
    context: Option<Context>,
    waiting: VecDeque<Waiting>,
    /// Records in `waiting`.
    undealt: usize,
    /// Room for the next batches.
    spare: Vec<Records>,
    /// What the records of a piece lay in.
    emptied: Option<Made>,
    ended: bool,
    rows: u64,
}

impl Rows {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            context: options.context.then(Context::default),
            waiting: VecDeque::new(),
            undealt: 0,
            spare: Vec::new(),
            emptied: None,
            ended: false,
            rows: 0,
        }
    }

    /// Adds the records of a piece, whatever shards they come from: by time, then by first packet, then by key. Of one
    /// flow they stay in the order in which they were made.
    pub(super) fn add(&mut self, shards: Vec<Made>) {
        let mut order: Vec<_> = shards.iter().zip(0..).flat_map(|(made, shard)| made.places(shard)).collect();
        order.sort_unstable_by(|a, b| {
            let (left, right) = ((a.time_us, a.first_us), (b.time_us, b.first_us));
            left.cmp(&right)
                .then_with(|| key(&shards, a).map(rank).cmp(&key(&shards, b).map(rank)))
                // One key has one shard.
                .then_with(|| (a.kind, a.at).cmp(&(b.kind, b.at)))
        });
        self.rows += order.iter().filter(|place| place.kind != Kind::Source).count() as u64;
        self.undealt += order.len();
        self.waiting.push_back(Waiting { shards, order: order.into_iter() });
    }

    /// There is nothing more to come.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Whether there is a batch.
    pub(super) fn is_ready(&self) -> bool {
        self.undealt >= BATCH_ROWS || self.ended && self.undealt > 0
    }

    /// The next batch, if there is one.
    pub(super) fn next(&mut self) -> Option<Records> {
        if !self.is_ready() {
            return None;
        }
        let mut batch = self.spare.pop().unwrap_or_default();
        batch.records.reserve(BATCH_ROWS);
        batch.around = self.context.is_some().then(Vec::new);
        while batch.records.len() + batch.sources.len() < BATCH_ROWS
            && let Some(piece) = self.waiting.front_mut()
        {
            let Some(place) = piece.order.next() else {
                self.emptied = self.waiting.pop_front().and_then(|mut piece| piece.shards.pop());
                continue;
            };
            if place.kind == Kind::Source {
                let source = piece.shards[place.shard as usize].sources[place.at as usize];
                batch.sources.push((batch.records.len(), source));
                continue;
            }
            put(&piece.shards, &place, &mut batch.records);
            if let (Some(context), Some(around), Some(record)) =
                (&mut self.context, &mut batch.around, batch.records.last())
            {
                around.push(context.surroundings(record));
            }
        }
        self.undealt -= batch.records.len() + batch.sources.len();
        Some(batch)
    }

    /// Takes back what a batch lay in.
    pub(super) fn reuse(&mut self, mut batch: Records) {
        batch.clear();
        self.spare.push(batch);
    }

    /// Room for a piece that one shard makes, if there is some that was used before.
    pub(super) fn room(&mut self) -> Option<Made> {
        let mut room = self.emptied.take()?;
        room.clear();
        Some(room)
    }

    /// Rows so far.
    pub(super) fn count(&self) -> u64 {
        self.rows
    }
}

impl Made {
    /// What was made, and in its place `room`, or room for as much.
    pub(super) fn take(&mut self, room: Option<Self>) -> Self {
        let next = room.unwrap_or_else(|| {
            let (lone, full) = (Vec::with_capacity(self.lone.len()), Vec::with_capacity(self.full.len()));
            Self { lone, full, sources: Vec::new() }
        });
        std::mem::replace(self, next)
    }

    fn clear(&mut self) {
        self.lone.clear();
        self.full.clear();
        self.sources.clear();
    }

    fn places(&self, shard: u32) -> impl Iterator<Item = Place> {
        let lone = self.lone.iter().zip(0..).map(move |((header, slot), at)| {
            let (time_us, first_us) = (header.time_us, slot.seen_us);
            Place { time_us, first_us, shard, kind: Kind::Lone, at }
        });
        let full = self.full.iter().zip(0..).map(move |(record, at)| {
            let (time_us, first_us) = (record.header.time_us, record.state.first_us);
            Place { time_us, first_us, shard, kind: Kind::Full, at }
        });
        let sources = self.sources.iter().zip(0..).map(move |(record, at)| {
            let (time_us, first_us) = (record.header.time_us, 0);
            Place { time_us, first_us, shard, kind: Kind::Source, at }
        });
        sources.chain(lone).chain(full)
    }
}

/// Appends the record at this place.
fn put(shards: &[Made], place: &Place, records: &mut Vec<FlowRecord>) {
    let (made, at) = (&shards[place.shard as usize], place.at as usize);
    if place.kind == Kind::Full {
        // From there to here without a stop.
        return records.extend_from_slice(&made.full[at..=at]);
    }
    let (header, slot) = &made.lone[at];
    let mut state = FlowState::ZERO;
    slot.open(&mut state);
    records.push(FlowRecord { header: *header, key: slot.key, state });
}

fn key<'a>(shards: &'a [Made], place: &Place) -> Option<&'a FlowKey> {
    let (made, at) = (&shards[place.shard as usize], place.at as usize);
    match place.kind {
        Kind::Source => None,
        Kind::Lone => Some(&made.lone[at].1.key),
        Kind::Full => Some(&made.full[at].key),
    }
}

/// An order of keys.
fn rank(key: &FlowKey) -> ([u8; 16], [u8; 16], u16, u16, u8, u16) {
    (key.addr_a.octets(), key.addr_b.octets(), key.port_a, key.port_b, key.protocol, key.domain)
}
