//! Flows of some keys: the kernel's path from a packet to its record, without its limits.

mod due;

use ganglion_flow::lifecycle::{self, Arrival};
use ganglion_flow::record::FlowRecord;
use ganglion_flow::state::Change;
use ganglion_flow::{FlowKey, FlowState, HalfOpen, Hook, Reason, RecordHeader, RecordKind, Stage, Wire};
use hashbrown::HashTable;

use super::passing::Passing;
use super::rows::Made;
use super::secret::Secret;
use super::slab::Slab;
use super::sources::Sources;
use super::timers::Timers;
use super::{Counts, Options};

/// In a flow's number: it has a full entry.
const FULL: u32 = 1 << 31;

/// No flow has this number.
const NOWHERE: u32 = u32::MAX;
/// Flows that a shard has room for from the beginning.
const ROOM: usize = 8 * 1024;
/// Packets whose flows are looked up together.
const GROUP: usize = 32;

/// A flow of one packet.
struct Lone {
    slot: HalfOpen,
    /// Of its timer; any other timer that names this place is of a flow before.
    due_us: u64,
}

/// A flow of more packets, or the marker of an ended one. It begins with a cache line, so that a packet touches as few
/// as can be.
#[repr(C, align(64))]
struct Full {
    key: FlowKey,
    /// As in [`Lone`]; 0 before there is a timer.
    due_us: u64,
    state: FlowState,
}

/// A flow in the index. Half of its hash says which flow it is all but surely, without a look at the flow.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    half: u32,
    number: u32,
}

impl Entry {
    #[inline(always)]
    fn new(hash: u64, number: u32) -> Self {
        Self { half: half(hash), number }
    }
}

/// The bits of a hash that do not choose a place in a table of fewer than 2³² flows.
#[inline(always)]
fn half(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Some of the flows.
pub(super) struct Shard {
    options: Options,
    secret: Secret,
    /// Flows by hash of their keys.
    index: HashTable<Entry>,
    lone: Slab<Lone>,
    full: Slab<Full>,
    /// When to look at which flow again. A flow has one that counts.
    timers: Timers,
    /// Nothing is due before.
    next_us: u64,
    made: Made,
    /// What addresses did, where asked for: in the only shard there is.
    sources: Option<Sources>,
    counts: Counts,
}

impl Shard {
    pub(super) fn new(options: Options, secret: Secret) -> Self {
        Self {
            options,
            secret,
            index: HashTable::new(),
            lone: Slab::with_room(ROOM),
            full: Slab::with_room(ROOM),
            timers: Timers::new(),
            next_us: 0,
            made: Made::default(),
            sources: None,
            counts: Counts::default(),
        }
    }

    /// The only shard there is, which makes SOURCE records, too.
    pub(super) fn with_sources(options: Options, secret: Secret) -> Self {
        Self { sources: Some(Sources::new(secret.seed())), ..Self::new(options, secret) }
    }

    /// Counts packets in their flows, one after the other.
    pub(super) fn packets<'p>(&mut self, packets: impl IntoIterator<Item = &'p Passing>) {
        let mut packets = packets.into_iter();
        let mut group = [&Passing::ZERO; GROUP];
        loop {
            let mut number = 0;
            for (place, passing) in group.iter_mut().zip(&mut packets) {
                *place = passing;
                number += 1;
            }
            self.group(&group[..number]);
            if number < GROUP {
                return;
            }
        }
    }

    fn group(&mut self, group: &[&Passing]) {
        let mut places = [(0, NOWHERE); GROUP];
        // What a flow remembers lies anywhere in memory. Looked at first, many wait for it at the same time.
        for (place, passing) in places.iter_mut().zip(group) {
            let hash = self.secret.hash(passing.key());
            *place = (hash, self.place(hash));
        }
        let seen = places.iter().zip(group).map(|((_, place), passing)| self.look_ahead(*place, passing));
        std::hint::black_box(seen.fold(0, |seen, one| seen ^ one));
        for ((hash, place), passing) in places.iter().zip(group) {
            self.packet(passing, *hash, *place);
        }
    }

    /// Where the packet's flow is all but surely, if it has a full entry by now.
    #[inline]
    fn place(&self, hash: u64) -> u32 {
        match self.index.find(hash, |entry| entry.half == half(hash)) {
            Some(entry) if entry.number & FULL != 0 => entry.number,
            _ => NOWHERE,
        }
    }

    /// Reads of the key's cache line and of each one that the packet will change.
    #[inline]
    fn look_ahead(&self, place: u32, passing: &Passing) -> u64 {
        if place == NOWHERE {
            return 0;
        }
        let Full { key, state, .. } = self.full.at(place & !FULL);
        let (own, other) =
            if state.is_forward(passing.sender_is_a()) { (&state.fwd, &state.bwd) } else { (&state.bwd, &state.fwd) };
        let whole = state.active_start_us ^ u64::from(state.flags_seen);
        whole ^ key.addr_a.lo ^ own.packets ^ own.last_us ^ own.bulk_last_us ^ other.bulk_last_us
    }

    /// Counts the packet in its flow, which was at `place` a little before.
    #[inline]
    fn packet(&mut self, passing: &Passing, hash: u64, place: u32) {
        self.expire(passing.clock_us());
        if place != NOWHERE {
            let flow = self.full.at(place & !FULL);
            // It may be another flow's, or have become so since.
            if flow.due_us != 0 && flow.key.is(passing.key()) {
                return self.meet(place, passing);
            }
        }
        let (lone, full) = (&self.lone, &self.full);
        let same = |entry: &Entry| entry.half == half(hash) && key(lone, full, entry.number).is(passing.key());
        match self.index.find_mut(hash, same) {
            Some(Entry { number, .. }) if *number & FULL != 0 => {
                let number = *number;
                self.meet(number, passing);
            }
            Some(Entry { number, .. }) => {
                let mut state = FlowState::ZERO;
                lone.at(*number).slot.open(&mut state);
                self.lone.at_mut(*number).due_us = 0;
                self.lone.give_back(*number);
                *number = FULL | self.full.put(Full { key: *passing.key(), due_us: 0, state });
                let number = *number;
                self.meet(number, passing);
                self.arm(number, passing.clock_us());
            }
            None => self.note(passing, hash),
        }
    }

    /// Remembers the first packet of a flow.
    fn note(&mut self, passing: &Passing, hash: u64) {
        if let Some(sources) = &mut self.sources {
            sources.opened(&passing.slot());
        }
        let due_us = passing.now_us().saturating_add(self.options.timeouts.half_open_us).max(passing.clock_us());
        let number = self.lone.put(Lone { slot: passing.slot(), due_us });
        self.timer(due_us, number);
        let (secret, lone, full) = (&self.secret, &self.lone, &self.full);
        let entry = Entry::new(hash, number);
        self.index.insert_unique(hash, entry, |entry| secret.hash(key(lone, full, entry.number)));
    }

    /// A packet of a flow with a full entry.
    #[inline]
    fn meet(&mut self, number: u32, passing: &Passing) {
        let Full { state, .. } = self.full.at_mut(number & !FULL);
        let (packet, sender_is_a, now_us) = (&passing.packet(), passing.sender_is_a(), passing.now_us());
        let change = match lifecycle::arrival(state, packet, sender_is_a) {
            Arrival::Continues => {
                let change = state.update(packet, sender_is_a, now_us);
                return self.after(number, change, passing);
            }
            Arrival::AfterEnd => return self.counts.skip_after_end(),
            Arrival::Resumes => state.resume(packet, sender_is_a, now_us),
            Arrival::Opens => {
                *state = FlowState::ZERO;
                state.open(packet, sender_is_a, false, now_us)
            }
            Arrival::Reopens => {
                self.end(number, Reason::Reopened, now_us);
                let Full { state, .. } = self.full.at_mut(number & !FULL);
                *state = FlowState::ZERO;
                state.open(packet, sender_is_a, false, now_us)
            }
        };
        self.after(number, change, passing);
        self.arm(number, passing.clock_us());
    }

    /// Exports what the packet made due.
    #[inline(always)]
    fn after(&mut self, number: u32, change: Change, passing: &Passing) {
        if change.end.is_some() || self.options.snapshots || self.sources.is_some() {
            self.export(number, change, passing);
        }
    }

    #[inline(never)]
    fn export(&mut self, number: u32, change: Change, passing: &Passing) {
        let now_us = passing.now_us();
        if let Some(sources) = &mut self.sources {
            let Full { key, state, .. } = self.full.at(number & !FULL);
            sources.changed(key, state, &change, now_us);
        }
        if let Some(how) = change.end {
            self.end(number, how.into(), now_us);
            self.arm(number, passing.clock_us());
        } else if self.options.snapshots {
            let Full { key, state, .. } = self.full.at_mut(number & !FULL);
            if let Some(stage) = Stage::by_packets(state.packets(), state.stages) {
                state.stages |= stage.bit();
                let record = record(key, state, stage, Reason::Early, now_us);
                self.emit(record);
            }
        }
    }

    /// Exports the flow as ended and leaves its marker.
    fn end(&mut self, number: u32, reason: Reason, now_us: u64) {
        let Full { key, state, .. } = self.full.at_mut(number & !FULL);
        // Between a cut and its next packet a flow has nothing to export.
        let record = (!state.is_cut()).then(|| record(key, state, Stage::End, reason, now_us));
        if let Some(sources) = &mut self.sources {
            sources.ended(key, state, reason == Reason::Rst, now_us);
        }
        lifecycle::mark_ended(state, now_us);
        record.into_iter().for_each(|record| self.emit(record));
    }

    #[inline]
    fn emit(&mut self, record: FlowRecord) {
        if record.header.stage == Stage::End as u8
            && let Some(reason) = Reason::from_u8(record.header.reason)
        {
            self.counts.flow_ended(reason, record.state.packets());
        }
        self.made.full.push(record);
    }

    /// Records made since the last call. The next ones go to `room`, where there is some.
    pub(super) fn take_made(&mut self, room: Option<Made>) -> Made {
        if let Some(sources) = &mut self.sources {
            self.made.sources = sources.take_made();
        }
        self.made.take(room)
    }

    /// What it did with packets and flows.
    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }
}

#[inline]
fn key<'a>(lone: &'a Slab<Lone>, full: &'a Slab<Full>, number: u32) -> &'a FlowKey {
    if number & FULL != 0 { &full.at(number & !FULL).key } else { &lone.at(number).slot.key }
}

fn record(key: &FlowKey, state: &FlowState, stage: Stage, reason: Reason, time_us: u64) -> FlowRecord {
    FlowRecord { header: header(stage, reason, time_us), key: *key, state: *state }
}

fn header(stage: Stage, reason: Reason, time_us: u64) -> RecordHeader {
    RecordHeader::new(RecordKind::Flow, stage, reason, Hook::Offline, time_us)
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use ganglion_flow::{Addr, Packet};
    use proptest::prelude::*;

    use super::super::clock::Moment;
    use super::super::passing::Keyed;
    use super::*;

    /// A UDP packet between a client and the server.
    fn passing(client: u32, forward: bool, now_us: u64) -> Passing {
        let ends = ((Addr::v4(0xc612_0100 + client), 4000), (Addr::v4(0xc612_0001), 53));
        let ((src, src_port), (dst, dst_port)) = if forward { ends } else { (ends.1, ends.0) };
        let (protocol, payload_bytes, wire_bytes) = (17, client, 42 + client);
        let packet =
            Packet { src, dst, src_port, dst_port, protocol, payload_bytes, wire_bytes, segments: 1, ..Packet::ZERO };
        let mut passing = Passing::ZERO;
        passing.set(&Keyed::new(&packet, 0), &packet, &Moment { now_us, clock_us: now_us, over_us: None });
        passing
    }

    /// What a shard makes of the packets, a row for each flow that ended.
    fn rows(secret: Secret, packets: &[Passing]) -> Vec<String> {
        let mut shard = Shard::new(Options::default(), secret);
        shard.packets(packets);
        shard.piece(packets.last().map_or(0, Passing::clock_us), true);
        let made = shard.take_made(None);
        let lone = made.lone.iter().map(|(header, slot)| format!("{header:?} {slot:?}"));
        let full = made.full.iter().map(|record| format!("{:?} {:?} {:?}", record.header, record.key, record.state));
        let mut rows: Vec<_> = lone.chain(full).collect();
        rows.sort_unstable();
        rows
    }

    proptest! {
        /// Flows whose hashes are the same are told apart by their keys: also those that end, and whose places become
        /// others', between two packets that are looked up together.
        #[test]
        fn flows_of_one_hash_are_still_flows_of_their_own(
            steps in proptest::collection::vec((0..6u32, any::<bool>(), 0..20_000_000u64), 1..200),
        ) {
            const CLIENTS: Range<u32> = 0..6;
            let secret = Secret::worst();
            let hashes = CLIENTS.map(|client| secret.hash(passing(client, true, 0).key()));
            prop_assert!(hashes.clone().all(|hash| Some(hash) == hashes.clone().next()));
            let mut now_us = 1_700_000_000_000_000;
            let packets: Vec<_> = steps
                .into_iter()
                .map(|(client, forward, gap_us)| {
                    now_us += gap_us;
                    passing(client, forward, now_us)
                })
                .collect();
            prop_assert_eq!(rows(secret, &packets), rows(Secret::new(), &packets));
        }
    }
}
