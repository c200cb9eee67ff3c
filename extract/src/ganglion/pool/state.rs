//! What is to be done, what is being done, what is done.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::dealt::{Dealt, Share, Span};
use crate::capture::{Block, Datagrams};
use crate::ganglion::Counts;
use crate::ganglion::columns::Records;
use crate::ganglion::rows::{Made, Rows};

/// Pieces under way, beside one for each job. More would only push each other out of the caches.
const PIECES_MORE: usize = 2;
/// More than that are never under way.
const PIECES_MAX: usize = 12;

/// Blocks that wait to be dealt, beside one for each job.
const SPANS_MORE: usize = 1;

/// Work for one thread.
pub(super) enum Task {
    /// Frames.
    Deal { number: u64, span: Span, room: Vec<Share> },
    /// Fragments among them, which want the ones before.
    Join { number: u64, dealt: Box<Dealt>, datagrams: Box<Datagrams> },
    /// A shard's packets of a piece.
    Apply { shard: usize, piece: u64, shares: Vec<Arc<Share>>, clock_us: u64, flush: bool },
    /// The records of a piece, by shard.
    Collect { rows: Box<Rows>, shards: Vec<Made>, last: bool },
    /// The next batch of the records in order.
    Batch { rows: Box<Rows> },
    /// A batch.
    Encode { number: u64, records: Records },
}

/// What became of a [`Task`].
pub(super) enum Done<T> {
    Dealt { number: u64, dealt: Box<Dealt> },
    Joined { number: u64, dealt: Box<Dealt>, datagrams: Box<Datagrams> },
    Applied { shard: usize, piece: u64, made: Made, held: u64 },
    Collected { rows: Box<Rows>, last: bool },
    Batched { rows: Box<Rows>, records: Option<Records> },
    Encoded { number: u64, text: T },
}

/// A piece under way.
#[derive(Default)]
struct Under {
    /// In the order of the spans.
    shares: Vec<Arc<Share>>,
    /// Spans that touch it and are not dealt.
    undealt: usize,
    /// Its end, once that is known: event time, and whether all flows end.
    end: Option<(u64, bool)>,
    made: Vec<Made>,
    /// Shards that are through with it.
    through: usize,
    held: u64,
    last: bool,
}

/// A span that waits for what comes before it.
struct Waiting {
    dealt: Box<Dealt>,
    /// Its fragments are dealt too.
    is_joined: bool,
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
    /// Spans to be dealt, with their numbers.
    spans: VecDeque<(u64, Span)>,
    spans_max: usize,
    /// The first piece that each span touches, from the first span on that is not in its pieces.
    touched: VecDeque<u64>,
    /// Number of that span.
    next_span: u64,
    /// Spans that are dealt.
    waiting: BTreeMap<u64, Waiting>,
    /// `None` while a thread has them.
    datagrams: Option<Box<Datagrams>>,
    /// What was counted while dealing.
    counts: Counts,
    /// The last one has no end yet.
    pieces: VecDeque<Under>,
    /// Number of the first of them.
    first: u64,
    pieces_max: usize,
    shards: Vec<Progress>,
    /// Room for packets and for frames, to be used again.
    spare: Vec<Share>,
    blocks: Vec<Block>,
    /// `None` while a thread collects.
    rows: Option<Box<Rows>>,
    /// Batches that wait for a thread.
    batches: VecDeque<(u64, Records)>,
    batches_max: u64,
    /// Batches so far.
    batched: u64,
    /// Batches encoded, by number.
    encoded: BTreeMap<u64, T>,
    /// Batches written.
    written: u64,
    live_peak: u64,
    collected: bool,
    /// Threads that wait for a task.
    pub(super) idle: usize,
    over: bool,
}

impl<T> State<T> {
    pub(super) fn new(shards: usize, jobs: usize, rows: Rows) -> Self {
        let mut state = Self {
            spans: VecDeque::new(),
            spans_max: jobs + SPANS_MORE,
            touched: VecDeque::new(),
            next_span: 0,
            waiting: BTreeMap::new(),
            datagrams: Some(Box::new(Datagrams::new())),
            counts: Counts::default(),
            pieces: VecDeque::new(),
            first: 0,
            pieces_max: (jobs + PIECES_MORE).min(PIECES_MAX),
            shards: vec![Progress::default(); shards],
            spare: Vec::new(),
            blocks: Vec::new(),
            rows: Some(Box::new(rows)),
            batches: VecDeque::new(),
            batches_max: jobs as u64 + 1,
            batched: 0,
            encoded: BTreeMap::new(),
            written: 0,
            live_peak: 0,
            collected: false,
            idle: 0,
            over: false,
        };
        state.open();
        state
    }

    /// Room for frames.
    pub(super) fn room(&mut self) -> Block {
        self.blocks.pop().unwrap_or_default()
    }

    /// A piece begins.
    fn open(&mut self) {
        let made = self.shards.iter().map(|_| Made::default()).collect();
        self.pieces.push_back(Under { made, ..Under::default() });
    }

    /// Number of the piece that has no end yet.
    fn last(&self) -> u64 {
        self.first + self.pieces.len() as u64 - 1
    }

    pub(super) fn add(&mut self, span: Span) {
        let number = self.next_span + self.touched.len() as u64;
        self.touched.push_back(self.last());
        self.touch();
        for cut in &span.cuts {
            self.cut(cut.clock_us, cut.flush);
            self.touch();
        }
        self.spans.push_back((number, span));
    }

    /// The span that is added has frames in the piece that has no end yet.
    fn touch(&mut self) {
        if let Some(piece) = self.pieces.back_mut() {
            piece.undealt += 1;
        }
    }

    /// A piece ends behind all spans so far.
    pub(super) fn cut(&mut self, clock_us: u64, flush: bool) {
        if let Some(piece) = self.pieces.back_mut() {
            piece.end = Some((clock_us, flush));
        }
        self.open();
    }

    /// There is no further piece: an empty one says so to whoever collects.
    pub(super) fn close(&mut self) {
        if let Some(piece) = self.pieces.back_mut() {
            piece.end = Some((0, false));
            piece.last = true;
        }
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
        self.collected && self.written == self.batched && self.rows.is_some() && !self.is_ready()
    }

    /// Whether more can be read. Who reads a block has its headers in the nearest caches, so that nobody else deals it but
    /// one who has nothing else to do.
    pub(super) fn has_room(&self) -> bool {
        let spans_max = if self.idle > 0 { self.spans_max } else { 1 };
        self.pieces.len() <= self.pieces_max && self.spans.len() < spans_max
    }

    /// A batch to be written.
    pub(super) fn next_text(&mut self) -> Option<T> {
        let text = self.encoded.remove(&self.written)?;
        self.written += 1;
        Some(text)
    }

    /// A task, the late steps first: they give memory back.
    pub(super) fn pick_late(&mut self) -> Option<Task> {
        let late = self.encode().or_else(|| self.batch()).or_else(|| self.collect());
        late.or_else(|| self.join()).or_else(|| self.apply()).or_else(|| self.deal())
    }

    /// A task, the early steps first: who feeds the others does not stay away for long.
    pub(super) fn pick_early(&mut self) -> Option<Task> {
        let early = self.deal().or_else(|| self.join()).or_else(|| self.apply());
        early.or_else(|| self.collect()).or_else(|| self.batch()).or_else(|| self.encode())
    }

    fn deal(&mut self) -> Option<Task> {
        let (number, span) = self.spans.pop_front()?;
        let room = self.spare.len().saturating_sub(span.cuts.len() + 1);
        let room = self.spare.split_off(room);
        Some(Task::Deal { number, span, room })
    }

    fn join(&mut self) -> Option<Task> {
        let entry = self.waiting.first_entry().filter(|entry| *entry.key() == self.next_span)?;
        let datagrams = self.datagrams.take()?;
        let dealt = entry.remove().dealt;
        Some(Task::Join { number: self.next_span, dealt, datagrams })
    }

    /// Puts what is dealt in its pieces, as far as nothing before it is missing.
    fn settle(&mut self) {
        while let Some(entry) = self.waiting.first_entry()
            && *entry.key() == self.next_span
            && entry.get().is_joined
        {
            let Dealt { shares, counts, mut block } = *entry.remove().dealt;
            self.counts.add(&counts);
            block.clear();
            self.blocks.push(block);
            self.next_span += 1;
            let at = self.touched.pop_front().map_or(0, |piece| (piece - self.first) as usize);
            for (share, piece) in shares.into_iter().zip(self.pieces.range_mut(at..)) {
                piece.undealt -= 1;
                piece.shares.push(Arc::new(share));
            }
        }
    }

    fn encode(&mut self) -> Option<Task> {
        let (number, records) = self.batches.pop_front()?;
        Some(Task::Encode { number, records })
    }

    fn is_ready(&self) -> bool {
        self.rows.as_ref().is_some_and(|rows| rows.is_ready())
    }

    fn batch(&mut self) -> Option<Task> {
        if !self.is_ready() || self.batched - self.written >= self.batches_max {
            return None;
        }
        let rows = self.rows.take()?;
        Some(Task::Batch { rows })
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
        self.spare.extend(piece.shares.into_iter().filter_map(|share| Arc::into_inner(share)?.emptied()));
        Some(Task::Collect { rows, shards: piece.made, last: piece.last })
    }

    fn apply(&mut self) -> Option<Task> {
        let whole = self.pieces.iter().take_while(|piece| piece.end.is_some() && piece.undealt == 0).count();
        let end = self.first + whole as u64;
        let free = self.shards.iter().enumerate().filter(|(_, shard)| !shard.busy && shard.next < end);
        let (at, &Progress { next, .. }) = free.min_by_key(|(_, shard)| shard.next)?;
        let piece = self.pieces.get_mut((next - self.first) as usize)?;
        let shares = piece.shares.clone();
        let (clock_us, flush) = piece.end?;
        self.shards[at].busy = true;
        Some(Task::Apply { shard: at, piece: next, shares, clock_us, flush })
    }

    pub(super) fn done(&mut self, done: Done<T>) {
        match done {
            Done::Dealt { number, dealt } => {
                let is_joined = dealt.is_whole();
                self.waiting.insert(number, Waiting { dealt, is_joined });
                self.settle();
            }
            Done::Joined { number, dealt, datagrams } => {
                self.datagrams = Some(datagrams);
                self.waiting.insert(number, Waiting { dealt, is_joined: true });
                self.settle();
            }
            Done::Applied { shard, piece, made, held } => {
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
            Done::Batched { rows, records } => {
                self.rows = Some(rows);
                if let Some(records) = records {
                    self.batches.push_back((self.batched, records));
                    self.batched += 1;
                }
            }
            Done::Encoded { number, text } => drop(self.encoded.insert(number, text)),
        }
    }

    /// Adds what was counted here.
    pub(super) fn count(&self, counts: &mut Counts) {
        counts.add(&self.counts);
        counts.fragments_replaced += self.datagrams.as_ref().map_or(0, |datagrams| datagrams.replaced());
        counts.rows += self.rows.as_ref().map_or(0, |rows| rows.count());
        counts.live_peak = counts.live_peak.max(self.live_peak);
    }
}
