//! Several cores: packets are dealt to shards by key, and shards, rows and batches to whoever has time.
//!
//! The caller's thread reads and parses, and helps where the others can't follow; where they have nothing to do, they
//! read ahead for it. Each shard takes its pieces in order; the records of a piece are put in order when all shards have
//! done it, piece by piece. So the rows are those of one core. All queues are bounded.

mod state;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::columns::Columns;
use super::extraction::{Extraction, PIECE_FRAMES};
use super::passing::{Keyed, Packets, Passing};
use super::rows::Rows;
use super::secret::Secret;
use super::shard::Shard;
use super::{Counts, Options};
use crate::capture::ReadAhead;
use crate::table::Batch;
use state::{Done, State, Task};

/// More shards are never made.
const SHARDS_MAX: usize = 256;

/// What the threads share.
struct Shared<'a, T> {
    shards: Vec<Mutex<Shard>>,
    columns: Columns,
    encode: &'a (dyn Fn(&mut Batch) -> T + Sync),
    state: Mutex<State<T>>,
    changed: Condvar,
}

/// As [`super::extract`], with more than one job.
pub(super) fn extract<T: Send, R>(
    options: &Options,
    jobs: NonZeroUsize,
    encode: &(dyn Fn(&mut Batch) -> T + Sync),
    sink: &mut dyn FnMut(T) -> ControlFlow<()>,
    feed: impl FnOnce(&mut Extraction<'_>) -> R,
) -> (R, Counts) {
    let secret = Secret::new();
    // One for each thread but the caller's, which has enough to do with reading: the fewer they are, the less is handed
    // over, and the less often somebody is woken.
    let shards = (jobs.get() - 1).clamp(1, SHARDS_MAX);
    let shared = Shared {
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
        let mut caller = Caller { shared: &shared, sink, batch: Batch::default() };
        let mut extraction = Extraction::of_pool(options, Pool::new(shards, secret, &mut caller));
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
        let mut batch = Batch::default();
        let mut state = self.state();
        while !state.is_over() {
            state = match state.pick_late() {
                Some(task) => self.run(task, &mut batch, state),
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        drop(state);
        drop(end);
    }

    /// Does a task, without holding the state. Batches are made in `batch`, whatever it was before.
    fn run<'s>(&'s self, task: Task, batch: &mut Batch, state: MutexGuard<'s, State<T>>) -> MutexGuard<'s, State<T>> {
        drop(state);
        let done = match task {
            Task::Apply { shard: at, piece, packets, clock_us, flush } => {
                let mut shard = self.shards[at].lock().unwrap_or_else(PoisonError::into_inner);
                shard.packets(packets.as_slice());
                let held = shard.piece(clock_us, flush);
                Done::Applied { shard: at, piece, packets, made: shard.take_made(None), held }
            }
            Task::Collect { mut rows, shards, last } => {
                rows.add(shards);
                if last {
                    rows.end();
                }
                Done::Collected { rows, last }
            }
            Task::Deal { mut rows } => {
                let records = rows.next();
                Done::Dealt { rows, records }
            }
            Task::Encode { number, records } => {
                self.columns.fill(&records, batch);
                Done::Encoded { number, records, text: (self.encode)(batch) }
            }
            Task::ReadAhead(ahead) => Done::ReadAhead { more: ahead.read() },
        };
        // Nobody waits for what is read ahead.
        let is_news = !matches!(done, Done::ReadAhead { .. });
        let mut state = self.state();
        state.done(done);
        if is_news {
            self.changed.notify_all();
        }
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
    batch: Batch,
}

/// [`Caller`], whatever its batches become.
trait Hand {
    /// Hands a piece over, and helps until there is room for the next.
    fn piece(&mut self, piece: Piece) -> ControlFlow<()>;

    /// Room for a shard's packets.
    fn room(&mut self, rooms: &mut Vec<Packets>, number: usize);

    /// From now on others read ahead here.
    fn read_ahead(&mut self, ahead: Option<ReadAhead>);

    /// Helps until everything is written; what was counted.
    fn finish(&mut self) -> Counts;
}

impl<T: Send> Hand for Caller<'_, T> {
    fn piece(&mut self, piece: Piece) -> ControlFlow<()> {
        self.shared.state().add(piece);
        self.shared.changed.notify_all();
        self.help(State::has_room)
    }

    fn room(&mut self, rooms: &mut Vec<Packets>, number: usize) {
        self.shared.state().spare(rooms, number);
        rooms.resize_with(number, || Packets::with_room(PIECE_FRAMES as usize / number / 4 * 5));
    }

    fn read_ahead(&mut self, ahead: Option<ReadAhead>) {
        self.shared.state().read_ahead(ahead);
        self.shared.changed.notify_all();
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
                state = self.shared.run(task, &mut self.batch, state);
            } else {
                state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// Packets of a piece, by shard.
struct Piece {
    packets: Vec<Packets>,
    clock_us: u64,
    flush: bool,
}

/// Where an [`Extraction`] puts its packets.
pub(super) struct Pool<'a> {
    packets: Vec<Packets>,
    secret: Secret,
    hand: &'a mut dyn Hand,
}

impl<'a> Pool<'a> {
    fn new(shards: usize, secret: Secret, hand: &'a mut dyn Hand) -> Self {
        let mut packets = Vec::new();
        hand.room(&mut packets, shards);
        Self { packets, secret, hand }
    }

    /// A place for the next packet.
    #[inline(always)]
    pub(super) fn next(&mut self, keyed: &Keyed) -> &mut Passing {
        let shard = keyed.shard(self.packets.len(), &self.secret);
        self.packets[shard].next()
    }

    pub(super) fn piece(&mut self, clock_us: u64, flush: bool) -> ControlFlow<()> {
        let mut next = Vec::with_capacity(self.packets.len());
        self.hand.room(&mut next, self.packets.len());
        let packets = std::mem::replace(&mut self.packets, next);
        self.hand.piece(Piece { packets, clock_us, flush })
    }

    pub(super) fn read_ahead(&mut self, ahead: Option<ReadAhead>) {
        self.hand.read_ahead(ahead);
    }

    pub(super) fn finish(self) -> Counts {
        self.hand.finish()
    }
}
