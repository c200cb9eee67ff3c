//! Several cores: packets are dealt to workers by conversation, batches to whoever is next.
//!
//! The caller's thread reads packets, puts the rows of the workers in the order of the packets that ended them, and
//! writes. Workers take their tasks in order from bounded queues. They answer into one queue, which so holds no more
//! answers than there are tasks.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};

use super::super::engine::{Counts, Engine};
use super::super::packet::{Conversation, Packet};
use super::super::row::Row;
use super::super::table::batch;
use super::{BATCH_ROWS, Extraction, Place};
use crate::table::Batch;

/// Packets of a piece, all workers together.
const PIECE_PACKETS: usize = if cfg!(test) { 256 } else { 8_192 };
/// Tasks that wait for a worker.
const QUEUED: usize = 4;

/// A packet, with its number in its piece.
type Dealt = (u32, i64, Packet);

enum Task {
    /// Packets of a piece.
    Observe { piece: u64, packets: Vec<Dealt> },
    /// Rows of a batch.
    Encode { number: u64, rows: Vec<Row> },
    /// No packets come any more.
    Open,
}

enum Answer<T> {
    /// Rows that packets of a piece ended.
    Ended {
        piece: u64,
        rows: Vec<(u32, Row)>,
        tuples: usize,
        worker: usize,
    },
    Encoded {
        number: u64,
        text: T,
    },
    Open(Vec<(Conversation, Row)>),
    /// A worker panicked.
    Gone,
}

/// As [`super::extract`], with more than one job.
pub(super) fn extract<T: Send, R>(
    jobs: NonZeroUsize,
    encode: &(dyn Fn(Batch) -> T + Sync),
    sink: &mut dyn FnMut(T) -> ControlFlow<()>,
    feed: impl FnOnce(&mut Extraction<'_>) -> R,
) -> (R, Counts) {
    std::thread::scope(|scope| {
        let (answer, answers) = mpsc::channel();
        let tasks: Vec<_> = (0..jobs.get())
            .map(|worker| {
                let (task, tasks) = mpsc::sync_channel(QUEUED);
                let answer = answer.clone();
                scope.spawn(move || work(worker, &tasks, &answer, encode));
                task
            })
            .collect();
        let mut hand = Caller {
            tuples: vec![0; tasks.len()],
            tasks,
            answers,
            sink,
            ended: BTreeMap::new(),
            next_piece: 0,
            rows: Vec::new(),
            batches: 0,
            encoded: HashMap::new(),
            next_batch: 0,
            row_count: 0,
            over: ControlFlow::Continue(()),
        };
        let dealt = vec![Vec::new(); jobs.get()];
        let workers = Workers { hash: RandomState::new(), dealt, count: 0, piece: 0, hand: &mut hand };
        let mut extraction = Extraction::new(Place::Workers(workers));
        let result = feed(&mut extraction);
        let counts = extraction.finish();
        (result, counts)
    })
}

fn work<T>(worker: usize, tasks: &Receiver<Task>, answer: &Sender<Answer<T>>, encode: &dyn Fn(Batch) -> T) {
    /// Whoever waits for an answer hears of a panic.
    struct Alarm<'a, T>(&'a Sender<Answer<T>>);
    impl<T> Drop for Alarm<'_, T> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let _ = self.0.send(Answer::Gone);
            }
        }
    }
    let _alarm = Alarm(answer);
    let mut engine = Engine::new();
    for task in tasks {
        let done = match task {
            Task::Observe { piece, packets } => {
                let mut rows = Vec::new();
                for (number, time_us, packet) in &packets {
                    engine.observe(*time_us, packet, &mut |row| rows.push((*number, row)));
                }
                Answer::Ended { piece, rows, tuples: engine.tuples(), worker }
            }
            Task::Encode { number, rows } => Answer::Encoded { number, text: encode(batch(&rows)) },
            Task::Open => Answer::Open(std::mem::take(&mut engine).into_open()),
        };
        // Nobody listens any more: the caller broke off.
        if answer.send(done).is_err() {
            return;
        }
    }
}

/// Where an [`Extraction`] puts its packets.
pub(super) struct Workers<'a> {
    hash: RandomState,
    dealt: Vec<Vec<Dealt>>,
    count: u32,
    piece: u64,
    hand: &'a mut dyn Hand,
}

impl Workers<'_> {
    pub(super) fn packet(&mut self, time_us: i64, packet: Packet) -> ControlFlow<()> {
        // Of 64 bits, the share of a worker differs from another's by nothing that counts.
        let worker = self.hash.hash_one(packet.conversation()) as usize % self.dealt.len();
        self.dealt[worker].push((self.count, time_us, packet));
        self.count += 1;
        if self.count as usize == PIECE_PACKETS { self.end_piece() } else { ControlFlow::Continue(()) }
    }

    pub(super) fn tuples(&self) -> u64 {
        self.hand.tuples()
    }

    fn end_piece(&mut self) -> ControlFlow<()> {
        let piece = self.piece;
        self.piece += 1;
        self.count = 0;
        for (worker, packets) in self.dealt.iter_mut().enumerate() {
            let packets = std::mem::replace(packets, Vec::with_capacity(packets.len()));
            self.hand.give(worker, Task::Observe { piece, packets })?;
        }
        self.hand.take_what_is_there()
    }

    /// The rows of all flows still open; how many rows there are in all, and how many 5-tuples.
    pub(super) fn finish(mut self, over: bool) -> (u64, u64) {
        if !over && self.end_piece().is_continue() {
            let _ = self.hand.finish(self.piece);
        }
        (self.hand.rows(), self.hand.tuples())
    }
}

/// [`Caller`], whatever its batches become.
trait Hand {
    /// Gives a task to a worker; waits where it has enough.
    fn give(&mut self, worker: usize, task: Task) -> ControlFlow<()>;
    /// Takes the answers that are there.
    fn take_what_is_there(&mut self) -> ControlFlow<()>;
    /// Waits for all answers to so many pieces, and writes everything.
    fn finish(&mut self, pieces: u64) -> ControlFlow<()>;
    fn rows(&self) -> u64;
    fn tuples(&self) -> u64;
}

struct Caller<'a, T> {
    tasks: Vec<SyncSender<Task>>,
    answers: Receiver<Answer<T>>,
    sink: &'a mut dyn FnMut(T) -> ControlFlow<()>,
    /// Of pieces that not all workers are done with: how many are, and their rows.
    ended: BTreeMap<u64, (usize, Vec<(u32, Row)>)>,
    next_piece: u64,
    /// In order, less than a batch.
    rows: Vec<Row>,
    batches: u64,
    /// Batches that others are to be written before.
    encoded: HashMap<u64, T>,
    next_batch: u64,
    row_count: u64,
    /// By worker.
    tuples: Vec<usize>,
    over: ControlFlow<()>,
}

impl<T> Hand for Caller<'_, T> {
    fn give(&mut self, worker: usize, task: Task) -> ControlFlow<()> {
        self.over?;
        // A worker that panicked takes nothing; it will be heard of.
        if self.tasks.get(worker).is_none_or(|queue| queue.send(task).is_err()) {
            self.over = ControlFlow::Break(());
        }
        self.over
    }

    fn take_what_is_there(&mut self) -> ControlFlow<()> {
        while let Ok(answer) = self.answers.try_recv() {
            self.take(answer)?;
        }
        ControlFlow::Continue(())
    }

    fn finish(&mut self, pieces: u64) -> ControlFlow<()> {
        while self.next_piece < pieces {
            self.wait()?;
        }
        for worker in 0..self.tasks.len() {
            self.give(worker, Task::Open)?;
        }
        let (mut open, mut missing) = (Vec::new(), self.tasks.len());
        while missing > 0 {
            match self.answers.recv() {
                Ok(Answer::Open(rows)) => {
                    open.extend(rows);
                    missing -= 1;
                }
                Ok(other) => self.take(other)?,
                Err(_) => return ControlFlow::Break(()),
            }
        }
        // As one core writes them.
        open.sort_unstable_by_key(|(key, row)| (row.first_us, *key));
        for (_, row) in open {
            self.row(row)?;
        }
        self.end_batch()?;
        while self.next_batch < self.batches {
            self.wait()?;
        }
        ControlFlow::Continue(())
    }

    fn rows(&self) -> u64 {
        self.row_count
    }

    fn tuples(&self) -> u64 {
        self.tuples.iter().map(|tuples| *tuples as u64).sum()
    }
}

impl<T> Caller<'_, T> {
    fn wait(&mut self) -> ControlFlow<()> {
        match self.answers.recv() {
            Ok(answer) => self.take(answer),
            Err(_) => ControlFlow::Break(()),
        }
    }

    fn take(&mut self, answer: Answer<T>) -> ControlFlow<()> {
        match answer {
            Answer::Ended { piece, rows, tuples, worker } => {
                self.tuples[worker] = tuples;
                let (done, all) = self.ended.entry(piece).or_default();
                *done += 1;
                all.extend(rows);
                self.whole_pieces()
            }
            Answer::Encoded { number, text } => {
                self.encoded.insert(number, text);
                while let Some(text) = self.encoded.remove(&self.next_batch) {
                    self.next_batch += 1;
                    self.over = (self.sink)(text);
                    self.over?;
                }
                ControlFlow::Continue(())
            }
            Answer::Open(_) => ControlFlow::Continue(()),
            Answer::Gone => {
                self.over = ControlFlow::Break(());
                self.over
            }
        }
    }

    /// Rows of the pieces that all workers are done with, in order.
    fn whole_pieces(&mut self) -> ControlFlow<()> {
        while self.ended.get(&self.next_piece).is_some_and(|(done, _)| *done == self.tasks.len()) {
            let (_, mut rows) = self.ended.remove(&self.next_piece).unwrap_or_default();
            self.next_piece += 1;
            // A packet ends one row at most.
            rows.sort_unstable_by_key(|(number, _)| *number);
            for (_, row) in rows {
                self.row(row)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn row(&mut self, row: Row) -> ControlFlow<()> {
        self.rows.push(row);
        self.row_count += 1;
        if self.rows.len() == BATCH_ROWS { self.end_batch() } else { ControlFlow::Continue(()) }
    }

    fn end_batch(&mut self) -> ControlFlow<()> {
        if self.rows.is_empty() {
            return ControlFlow::Continue(());
        }
        let number = self.batches;
        self.batches += 1;
        let rows = std::mem::take(&mut self.rows);
        // Waits for the turn of whoever is behind, so that no more batches wait than there are workers.
        while self.batches - self.next_batch > (self.tasks.len() * QUEUED) as u64 {
            self.take_encoded()?;
        }
        self.give(number as usize % self.tasks.len(), Task::Encode { number, rows })
    }

    fn take_encoded(&mut self) -> ControlFlow<()> {
        match self.answers.recv() {
            // Rows of other pieces wait: their turn comes after this batch.
            Ok(Answer::Ended { piece, rows, tuples, worker }) => {
                self.tuples[worker] = tuples;
                let (done, all) = self.ended.entry(piece).or_default();
                *done += 1;
                all.extend(rows);
                ControlFlow::Continue(())
            }
            Ok(other) => self.take(other),
            Err(_) => ControlFlow::Break(()),
        }
    }
}
