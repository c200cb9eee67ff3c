//! Several cores: blocks of frames, shards, rows and batches go to whoever has time.
//!
//! The caller's thread reads, says where pieces begin and end, and helps where the others can't follow. Whoever parses a
//! block deals its packets to shards by key. Each shard takes its pieces in order; the records of a piece are put in order
//! when all shards have done it, piece by piece. So the rows are those of one core. All queues are bounded.

mod dealt;
mod state;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::columns::Columns;
use super::extraction::Extraction;
use super::rows::Rows;
use super::secret::Secret;
use super::shard::Shard;
use super::{Counts, Options};
use crate::capture::{Block, Frame};
use crate::table::Batch;
use dealt::Dealer;
pub(super) use dealt::{Cut, Span};
use state::{Done, State, Task};

/// Shards of each core: enough that nobody waits for another's.
const SHARDS_A_JOB: usize = 8;
/// More than that are never made.
const SHARDS_MAX: usize = 256;

/// What the threads share.
struct Shared<'a, T> {
    dealer: Dealer,
    shards: Vec<Mutex<Shard>>,
    columns: Columns,
    encode: &'a (dyn Fn(Batch) -> T + Sync),
    state: Mutex<State<T>>,
    changed: Condvar,
}

/// As [`super::extract`], with more than one job.
pub(super) fn extract<T: Send, R>(
    options: &Options,
    jobs: NonZeroUsize,
    encode: &(dyn Fn(Batch) -> T + Sync),
    sink: &mut dyn FnMut(T) -> ControlFlow<()>,
    feed: impl FnOnce(&mut Extraction<'_>) -> R,
) -> (R, Counts) {
    let secret = Secret::new();
    let shards = (jobs.get() * SHARDS_A_JOB).min(SHARDS_MAX);
    let shared = Shared {
        dealer: Dealer::new(options.parsing(), secret, shards),
        shards: (0..shards).map(|_| Mutex::new(Shard::new(*options, secret))).collect(),
        columns: Columns::new(options),
        encode,
        state: Mutex::new(State::new(shards, jobs.get(), Rows::new(options))),
        changed: Condvar::new(),
    };
    std::thread::scope(|scope| {
        // Whatever happens on this thread, the others end.
        let _end = End(&shared);
        for _ in 1..jobs.get() {
            scope.spawn(|| shared.work());
        }
        let mut caller = Caller { shared: &shared, sink };
        let mut extraction = Extraction::of_pool(Pool::new(&mut caller));
        let result = feed(&mut extraction);
        let counts = extraction.finish();
        (result, counts)
    })
}

impl<T> Shared<'_, T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread other than the caller's does.
    fn work(&self) {
        // A thread that panics ends all.
        let end = End(self);
        let mut state = self.state();
        while !state.is_over() {
            state = match state.pick_late() {
                Some(task) => self.run(task, state),
                None => {
                    state.idle += 1;
                    let mut state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                    state.idle -= 1;
                    state
                }
            };
        }
        drop(state);
        drop(end);
    }

    /// Does a task, without holding the state.
    fn run<'s>(&'s self, task: Task, state: MutexGuard<'s, State<T>>) -> MutexGuard<'s, State<T>> {
        drop(state);
        let done = match task {
            Task::Deal { number, span, room } => {
                let dealt = Box::new(self.dealer.deal(span, room));
                Done::Dealt { number, dealt }
            }
            Task::Join { number, mut dealt, mut datagrams } => {
                self.dealer.join(&mut dealt, &mut datagrams);
                Done::Joined { number, dealt, datagrams }
            }
            Task::Apply { shard: at, piece, shares, clock_us, flush } => {
                let mut shard = self.shards[at].lock().unwrap_or_else(PoisonError::into_inner);
                shard.packets(shares.iter().flat_map(|share| share.packets(at)));
                let held = shard.piece(clock_us, flush);
                Done::Applied { shard: at, piece, made: shard.take_made(), held }
            }
            Task::Collect { mut rows, shards, last } => {
                rows.add(shards);
                if last {
                    rows.end();
                }
                Done::Collected { rows, last }
            }
            Task::Batch { mut rows } => {
                let records = rows.next();
                Done::Batched { rows, records }
            }
            Task::Encode { number, records } => {
                let batch = self.columns.batch(&records);
                drop(records);
                Done::Encoded { number, text: (self.encode)(batch) }
            }
        };
        let mut state = self.state();
        state.done(done);
        self.changed.notify_all();
        state
    }
}

/// Tells all threads to end, should the one that holds it go away early.
struct End<'a, T>(&'a Shared<'a, T>);

impl<T> Drop for End<'_, T> {
    fn drop(&mut self) {
        self.0.state().stop();
        self.0.changed.notify_all();
    }
}

/// The caller's thread.
struct Caller<'a, T> {
    shared: &'a Shared<'a, T>,
    sink: &'a mut dyn FnMut(T) -> ControlFlow<()>,
}

/// [`Caller`], whatever its batches become.
trait Hand {
    /// Hands frames over, and helps until there is room for more.
    fn span(&mut self, span: Span) -> ControlFlow<()>;

    /// A piece ends behind all frames so far.
    fn cut(&mut self, clock_us: u64, flush: bool) -> ControlFlow<()>;

    /// Room for frames.
    fn room(&mut self) -> Block;

    /// Helps until everything is written; what was counted.
    fn finish(&mut self) -> Counts;
}

impl<T: Send> Hand for Caller<'_, T> {
    fn span(&mut self, span: Span) -> ControlFlow<()> {
        self.shared.state().add(span);
        self.shared.changed.notify_all();
        self.help(State::has_room)
    }

    fn cut(&mut self, clock_us: u64, flush: bool) -> ControlFlow<()> {
        self.shared.state().cut(clock_us, flush);
        self.shared.changed.notify_all();
        self.help(State::has_room)
    }

    fn room(&mut self) -> Block {
        self.shared.state().room()
    }

    fn finish(&mut self) -> Counts {
        self.shared.state().close();
        let _ = self.help(State::is_done);
        let mut counts = Counts::default();
        for shard in &self.shared.shards {
            counts.add(shard.lock().unwrap_or_else(PoisonError::into_inner).counts());
        }
        self.shared.state().count(&mut counts);
        counts
    }
}

impl<T: Send> Caller<'_, T> {
    fn help(&mut self, enough: fn(&State<T>) -> bool) -> ControlFlow<()> {
        let mut state = self.shared.state();
        loop {
            if state.is_over() {
                return ControlFlow::Break(());
            }
            if let Some(text) = state.next_text() {
                drop(state);
                let over = (self.sink)(text);
                state = self.shared.state();
                if over.is_break() {
                    state.stop();
                    self.shared.changed.notify_all();
                }
            } else if enough(&state) {
                return ControlFlow::Continue(());
            } else if let Some(task) = state.pick_early() {
                state = self.shared.run(task, state);
            } else {
                state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// Where an [`Extraction`] puts its frames.
pub(super) struct Pool<'a> {
    /// Frames that came one by one.
    appended: Block,
    hand: &'a mut dyn Hand,
}

impl<'a> Pool<'a> {
    fn new(hand: &'a mut dyn Hand) -> Self {
        Self { appended: Block::new(), hand }
    }

    /// Takes one frame; returns those before it when they fill a block.
    pub(super) fn append(&mut self, frame: &Frame<'_>) -> Option<Block> {
        if self.appended.append(frame) {
            return None;
        }
        let full = self.appended();
        // An empty block has room for the longest frame there is.
        self.appended.append(frame);
        Some(full)
    }

    /// The frames that came one by one and are not handed over.
    pub(super) fn appended(&mut self) -> Block {
        std::mem::take(&mut self.appended)
    }

    pub(super) fn room(&mut self) -> Block {
        self.hand.room()
    }

    pub(super) fn span(&mut self, span: Span) -> ControlFlow<()> {
        self.hand.span(span)
    }

    pub(super) fn cut(&mut self, clock_us: u64, flush: bool) -> ControlFlow<()> {
        self.hand.cut(clock_us, flush)
    }

    pub(super) fn finish(self) -> Counts {
        self.hand.finish()
    }
}
