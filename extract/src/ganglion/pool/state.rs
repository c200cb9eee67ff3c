//! What is to be done, what is being done, what is done.

use std::collections::{BTreeMap, VecDeque};

use super::Piece;
use crate::capture::ReadAhead;
use crate::ganglion::Counts;
use crate::ganglion::columns::Records;
use crate::ganglion::passing::Packets;
use crate::ganglion::rows::{Made, Rows};

/// Pieces under way for each job: a thread that makes a batch is away for as long as some of them take to be read.
const PIECES_A_JOB: usize = 4;
/// More than that are never under way.
const PIECES_MAX: usize = 16;

/// Work for one thread.
pub(super) enum Task {
    /// A shard's packets of a piece.
    Apply { shard: usize, piece: u64, packets: Packets, clock_us: u64, flush: bool },
    /// The records of a piece, by shard.
    Collect { rows: Box<Rows>, shards: Vec<Made>, last: bool },
    /// The next batch of the records in order.
    Deal { rows: Box<Rows> },
    /// A batch.
    Encode { number: u64, records: Records },
    /// A block of the capture, before it is asked for.
    ReadAhead(ReadAhead),
}

/// What became of a [`Task`].
pub(super) enum Done<T> {
    Applied { shard: usize, piece: u64, packets: Packets, made: Made, held: u64 },
    Collected { rows: Box<Rows>, last: bool },
    Dealt { rows: Box<Rows>, records: Option<Records> },
    Encoded { number: u64, records: Records, text: T },
    ReadAhead { more: bool },
}

/// A piece under way.
struct Under {
    packets: Vec<Packets>,
    clock_us: u64,
    flush: bool,
    made: Vec<Made>,
    /// Shards that are through with it.
    through: usize,
    held: u64,
    last: bool,
}

/// Of one shard.
#[derive(Clone, Copy, Default)]
struct Progress {
    /// The piece that comes next.
    next: u64,
    busy: bool,
}

/// The state of all work.
pub(super) struct State<T> {
    pieces: VecDeque<Under>,
    /// Number of the first of them.
    first: u64,
    shards: Vec<Progress>,
    /// Room for packets, to be used again.
    spare: Vec<Packets>,
    /// `None` while a thread collects.
    rows: Option<Box<Rows>>,
    /// What batches lay in, to be used again.
    spare_records: Vec<Records>,
    /// Batches that wait for a thread.
    batches: VecDeque<(u64, Records)>,
    batches_max: u64,
    pieces_max: usize,
    /// Batches so far.
    dealt: u64,
    /// Batches encoded, by number.
    encoded: BTreeMap<u64, T>,
    /// Batches written.
    written: u64,
    live_peak: u64,
    /// Where the next frames come from, if one can read ahead there.
    ahead: Option<ReadAhead>,
    /// Whether there may be something to be read.
    may_read_ahead: bool,
    collected: bool,
    over: bool,
}

impl<T> State<T> {
    pub(super) fn new(shards: usize, jobs: usize, rows: Rows) -> Self {
        Self {
            pieces: VecDeque::new(),
            first: 0,
            shards: vec![Progress::default(); shards],
            spare: Vec::new(),
            rows: Some(Box::new(rows)),
            spare_records: Vec::new(),
            batches: VecDeque::new(),
            batches_max: jobs as u64 + 1,
            pieces_max: (jobs * PIECES_A_JOB).min(PIECES_MAX),
            dealt: 0,
            encoded: BTreeMap::new(),
            written: 0,
            live_peak: 0,
            ahead: None,
            may_read_ahead: false,
            collected: false,
            over: false,
        }
    }

    /// Room for a piece, as far as there is some that was used before.
    pub(super) fn spare(&mut self, rooms: &mut Vec<Packets>, number: usize) {
        rooms.extend(self.spare.drain(self.spare.len().saturating_sub(number)..));
    }

    pub(super) fn add(&mut self, piece: Piece) {
        let Piece { packets, clock_us, flush } = piece;
        let made = packets.iter().map(|_| Made::default()).collect();
        self.pieces.push_back(Under { packets, clock_us, flush, made, through: 0, held: 0, last: false });
        // Its frames have left room.
        self.may_read_ahead = self.ahead.is_some();
    }

    /// There is no further piece: an empty one says so to whoever collects.
    pub(super) fn close(&mut self) {
        let packets = self.shards.iter().map(|_| Packets::default()).collect();
        self.add(Piece { packets, clock_us: 0, flush: false });
        if let Some(piece) = self.pieces.back_mut() {
            piece.last = true;
        }
    }

    /// The next frames come from here.
    pub(super) fn read_ahead(&mut self, ahead: Option<ReadAhead>) {
        self.may_read_ahead = ahead.is_some();
        self.ahead = ahead;
    }

    pub(super) fn stop(&mut self) {
        self.over = true;
    }

    /// Whether the threads end.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Whether everything is written.
    pub(super) fn is_done(&self) -> bool {
        self.collected && self.written == self.dealt && self.rows.is_some() && !self.is_ready()
    }

    pub(super) fn has_room(&self) -> bool {
        self.pieces.len() < self.pieces_max
    }

    /// A batch to be written.
    pub(super) fn next_text(&mut self) -> Option<T> {
        let text = self.encoded.remove(&self.written)?;
        self.written += 1;
        Some(text)
    }

    /// A task, the late steps first: they give memory back. Reading ahead is for who has nothing else to do.
    pub(super) fn pick_late(&mut self) -> Option<Task> {
        let task = self.encode().or_else(|| self.deal()).or_else(|| self.collect()).or_else(|| self.apply());
        task.or_else(|| self.ahead.clone().filter(|_| self.may_read_ahead).map(Task::ReadAhead))
    }

    /// A task, the early steps first: who feeds the others does not stay away for long.
    pub(super) fn pick_early(&mut self) -> Option<Task> {
        self.apply().or_else(|| self.collect()).or_else(|| self.deal()).or_else(|| self.encode())
    }

    fn encode(&mut self) -> Option<Task> {
        let (number, records) = self.batches.pop_front()?;
        Some(Task::Encode { number, records })
    }

    fn is_ready(&self) -> bool {
        self.rows.as_ref().is_some_and(|rows| rows.is_ready())
    }

    fn deal(&mut self) -> Option<Task> {
        if !self.is_ready() || self.dealt - self.written >= self.batches_max {
            return None;
        }
        let mut rows = self.rows.take()?;
        self.spare_records.drain(..).for_each(|records| rows.reuse(records));
        Some(Task::Deal { rows })
    }

    fn collect(&mut self) -> Option<Task> {
        let through = self.pieces.front().is_some_and(|piece| piece.through == self.shards.len());
        if !through || self.is_ready() {
            return None;
        }
        let rows = self.rows.take()?;
        let piece = self.pieces.pop_front()?;
        self.first += 1;
        self.live_peak = self.live_peak.max(piece.held);
        Some(Task::Collect { rows, shards: piece.made, last: piece.last })
    }

    fn apply(&mut self) -> Option<Task> {
        let end = self.first + self.pieces.len() as u64;
        let free = self.shards.iter().enumerate().filter(|(_, shard)| !shard.busy && shard.next < end);
        let (at, &Progress { next, .. }) = free.min_by_key(|(_, shard)| shard.next)?;
        let piece = self.pieces.get_mut((next - self.first) as usize)?;
        let packets = std::mem::take(piece.packets.get_mut(at)?);
        let (clock_us, flush) = (piece.clock_us, piece.flush);
        self.shards[at].busy = true;
        Some(Task::Apply { shard: at, piece: next, packets, clock_us, flush })
    }

    pub(super) fn done(&mut self, done: Done<T>) {
        match done {
            Done::Applied { shard, piece, mut packets, made, held } => {
                packets.clear();
                self.spare.push(packets);
                if let Some(under) = self.pieces.get_mut((piece - self.first) as usize) {
                    under.made[shard] = made;
                    under.through += 1;
                    under.held += held;
                }
                self.shards[shard] = Progress { next: piece + 1, busy: false };
            }
            Done::Collected { rows, last } => {
                self.rows = Some(rows);
                self.collected |= last;
            }
            Done::Dealt { rows, records } => {
                self.rows = Some(rows);
                if let Some(records) = records {
                    self.batches.push_back((self.dealt, records));
                    self.dealt += 1;
                }
            }
            Done::Encoded { number, records, text } => {
                self.spare_records.push(records);
                self.encoded.insert(number, text);
            }
            Done::ReadAhead { more } => self.may_read_ahead &= more,
        }
    }

    /// Adds what was counted here.
    pub(super) fn count(&self, counts: &mut Counts) {
        counts.rows += self.rows.as_ref().map_or(0, |rows| rows.count());
        counts.live_peak = counts.live_peak.max(self.live_peak);
    }
}
