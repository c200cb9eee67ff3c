//! From frames to batches, on one core or on several, with the same rows in the same order.

mod workers;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use super::engine::{Counts, Engine};
use super::packet::Packet;
use super::row::Row;
use super::table::batch;
use crate::capture::Frame;
use crate::table::Batch;
use workers::Workers;

/// Rows of a batch; the last one has fewer.
const BATCH_ROWS: usize = if cfg!(test) { 128 } else { 8_192 };

/// Extracts rows on `jobs` cores. `feed` gives the frames to the [`Extraction`]; each batch is encoded by `encode`, on
/// whatever core, and written by `sink`, on the caller's and in order. What is written does not depend on `jobs`.
///
/// Once `sink` breaks off, so does [`Extraction::frame`], and the rest is left out.
pub fn extract<T: Send, R>(
    jobs: NonZeroUsize,
    encode: impl Fn(Batch) -> T + Sync,
    mut sink: impl FnMut(T) -> ControlFlow<()>,
    feed: impl FnOnce(&mut Extraction<'_>) -> R,
) -> (R, Counts) {
    if jobs.get() > 1 {
        return workers::extract(jobs, &encode, &mut sink, feed);
    }
    let mut write = |rows: Vec<Row>| sink(encode(batch(&rows)));
    let here = Here { engine: Engine::new(), rows: Vec::new(), write: &mut write };
    let mut extraction = Extraction::new(Place::Here(Box::new(here)));
    let result = feed(&mut extraction);
    let counts = extraction.finish();
    (result, counts)
}

/// Takes the frames of captures, in their order.
pub struct Extraction<'a> {
    /// Of no flow; it counts.
    counter: Engine,
    over: ControlFlow<()>,
    place: Place<'a>,
}

enum Place<'a> {
    Here(Box<Here<'a>>),
    Workers(Workers<'a>),
}

/// Everything on one core.
struct Here<'a> {
    engine: Engine,
    rows: Vec<Row>,
    write: &'a mut dyn FnMut(Vec<Row>) -> ControlFlow<()>,
}

impl<'a> Extraction<'a> {
    fn new(place: Place<'a>) -> Self {
        Self { counter: Engine::new(), over: ControlFlow::Continue(()), place }
    }

    /// A frame of a capture, of any link type. Its time is cut to microseconds. Breaks off when the sink did.
    pub fn frame(&mut self, frame: &Frame<'_>) -> ControlFlow<()> {
        self.over?;
        let time_us = self.counter.count_frame(frame);
        let Some(packet) = Packet::of_frame(frame) else {
            self.counter.count_not_ipv4();
            return ControlFlow::Continue(());
        };
        self.over = match &mut self.place {
            Place::Here(here) => here.packet(time_us, &packet),
            Place::Workers(workers) => workers.packet(time_us, packet),
        };
        self.over
    }

    /// What it was given so far. Rows are counted when the extraction is over, or on one core.
    pub fn counts(&self) -> Counts {
        let mut counts = self.counter.counts();
        (counts.rows, counts.tuples) = match &self.place {
            Place::Here(here) => (here.engine.counts().rows, here.engine.tuples() as u64),
            Place::Workers(workers) => (0, workers.tuples()),
        };
        counts
    }

    fn finish(self) -> Counts {
        let mut counts = self.counts();
        let over = self.over.is_break();
        counts.rows = match self.place {
            Place::Here(here) => here.finish(over),
            Place::Workers(workers) => {
                let (rows, tuples) = workers.finish(over);
                counts.tuples = tuples;
                rows
            }
        };
        counts
    }
}

impl Here<'_> {
    fn packet(&mut self, time_us: i64, packet: &Packet) -> ControlFlow<()> {
        self.engine.observe(time_us, packet, &mut |row| self.rows.push(row));
        if self.rows.len() < BATCH_ROWS {
            return ControlFlow::Continue(());
        }
        (self.write)(std::mem::take(&mut self.rows))
    }

    fn finish(mut self, over: bool) -> u64 {
        let counts = self.engine.finish(&mut |row| self.rows.push(row));
        let mut write = |rows: &[Row]| (self.write)(rows.to_vec());
        if !over {
            let _ = self.rows.chunks(BATCH_ROWS).try_for_each(&mut write);
        }
        counts.rows
    }
}

#[cfg(test)]
mod tests;
