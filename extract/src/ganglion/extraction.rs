//! From frames to batches, on one core or on several.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use ganglion_flow::Packet;
use ganglion_flow::record::Record;

use super::clock::Clock;
use super::columns::{Columns, Records};
use super::passing::{Keyed, Packets, Passing};
use super::pool::{self, Pool};
use super::rows::Rows;
use super::secret::Secret;
use super::shard::Shard;
use super::{Counts, Options};
use crate::capture::{Capture, Frame, Reading};
use crate::table::Batch;

/// Frames of a piece: at its end all flows are looked at, and rows put in order.
pub(super) const PIECE_FRAMES: u32 = 16_384;

/// Packets that are given to a shard at a time, where there is one alone.
const PACKETS: usize = 64;

/// Extracts flows on `jobs` cores. `feed` gives the frames to the [`Extraction`]; each batch is encoded by `encode`, on
/// whatever core, and written by `sink`, on the caller's and in order. What is written does not depend on `jobs`.
/// `encode` may take the batch out of its place, or leave it there: then its room may be used again.
///
/// Once `sink` breaks off, so does [`Extraction::frame`], and the rest is left out.
pub fn extract<T: Send, R>(
    options: &Options,
    jobs: NonZeroUsize,
    encode: impl Fn(&mut Batch) -> T + Sync,
    mut sink: impl FnMut(T) -> ControlFlow<()>,
    feed: impl FnOnce(&mut Extraction<'_>) -> R,
) -> (R, Counts) {
    if jobs.get() > 1 {
        return pool::extract(options, jobs, &encode, &mut sink, feed);
    }
    let columns = Columns::new(options);
    let mut batch = Batch::default();
    let mut write = |records: &Records| {
        columns.fill(records, &mut batch);
        sink(encode(&mut batch))
    };
    serial(options, Shard::new, &mut write, feed)
}

/// Extracts flows on one core and gives all records to `sink` that the kernel's programs would make: flows in the order
/// of [`extract`]'s rows, and addresses that reach a level of new, unanswered or open flows.
pub fn extract_records<R>(
    options: &Options,
    mut sink: impl FnMut(&[Record]) -> ControlFlow<()>,
    feed: impl FnOnce(&mut Extraction<'_>) -> R,
) -> (R, Counts) {
    serial(options, Shard::with_sources, &mut |records| sink(&records.all()), feed)
}

fn serial<R>(
    options: &Options,
    shard: fn(Options, Secret) -> Shard,
    write: &mut dyn FnMut(&Records) -> ControlFlow<()>,
    feed: impl FnOnce(&mut Extraction<'_>) -> R,
) -> (R, Counts) {
    let secret = Secret::new();
    let serial = Serial {
        packets: Packets::with_room(PACKETS),
        shard: shard(*options, secret),
        rows: Rows::new(options),
        held: 0,
        write,
    };
    let mut extraction = Extraction::new(options, Place::Here(Box::new(serial)));
    let result = feed(&mut extraction);
    let counts = extraction.finish();
    (result, counts)
}

/// Takes the frames of captures, in their order.
pub struct Extraction<'a> {
    reading: Reading,
    /// The last one that was read.
    packet: Packet,
    clock: Clock,
    counts: Counts,
    in_piece: u32,
    over: ControlFlow<()>,
    place: Place<'a>,
}

/// Where packets go.
enum Place<'a> {
    Here(Box<Serial<'a>>),
    Pool(Pool<'a>),
}

impl<'a> Extraction<'a> {
    fn new(options: &Options, place: Place<'a>) -> Self {
        let Options { inner, vlan_domain, domain, .. } = *options;
        let mut reading = Reading::new(inner);
        (reading.vlan_domain, reading.domain) = (vlan_domain, domain);
        Self {
            reading,
            packet: Packet::ZERO,
            clock: Clock::default(),
            counts: Counts::default(),
            in_piece: 0,
            over: ControlFlow::Continue(()),
            place,
        }
    }

    pub(super) fn of_pool(options: &Options, pool: Pool<'a>) -> Self {
        Self::new(options, Place::Pool(pool))
    }

    /// A frame of a capture, of any link type. Its time is cut to microseconds. Breaks off when the sink did.
    #[inline]
    pub fn frame(&mut self, frame: &Frame<'_>) -> ControlFlow<()> {
        let moment = self.clock.frame(frame.time_ns);
        if let Some(over_us) = moment.over_us {
            self.piece(over_us, true)?;
        }
        self.counts.seen();
        self.counts.cut += u64::from(frame.bytes.len() < frame.original_bytes as usize);
        match self.reading.read(frame, &mut self.packet) {
            Ok(domain) => {
                let keyed = Keyed::new(&self.packet, domain);
                let place = match &mut self.place {
                    Place::Here(serial) => serial.next(),
                    Place::Pool(pool) => pool.next(&keyed),
                };
                place.set(&keyed, &self.packet, &moment);
            }
            Err(why) => self.counts.not_a_flow(why),
        }
        self.in_piece += 1;
        if self.in_piece == PIECE_FRAMES {
            self.piece(moment.clock_us, false)?;
        }
        self.over
    }

    /// The next frames are of this capture: cores that have nothing else to do read ahead in it.
    pub fn read_ahead(&mut self, capture: &Capture) {
        if let Place::Pool(pool) = &mut self.place {
            pool.read_ahead(capture.read_ahead());
        }
    }

    /// What became of the frames so far. Rows and flows are counted when the extraction is over, or on one core.
    pub fn counts(&self) -> Counts {
        let mut counts = self.counts;
        counts.backwards = self.clock.backwards();
        counts.time_resets = self.clock.resets();
        counts.fragments_replaced = self.reading.replaced();
        if let Place::Here(serial) = &self.place {
            counts.add(serial.shard.counts());
            counts.rows = serial.rows.count();
        }
        counts
    }

    /// A piece ends at this event time; with `flush` all flows do.
    #[inline(never)]
    fn piece(&mut self, clock_us: u64, flush: bool) -> ControlFlow<()> {
        self.in_piece = 0;
        let over = match &mut self.place {
            Place::Here(serial) => {
                let over = serial.piece(clock_us, flush);
                self.counts.live_peak = self.counts.live_peak.max(serial.held);
                over
            }
            Place::Pool(pool) => pool.piece(clock_us, flush),
        };
        if over.is_break() {
            self.over = over;
        }
        over
    }

    /// The end of the last capture.
    pub(super) fn finish(mut self) -> Counts {
        let over = if self.over.is_continue() { self.piece(self.clock.now_us(), true) } else { self.over };
        let mut counts = self.counts();
        match self.place {
            Place::Here(mut serial) => {
                if over.is_continue() {
                    let _ = serial.end();
                }
            }
            Place::Pool(pool) => counts.add(&pool.finish()),
        }
        counts
    }
}

/// Everything on one core.
struct Serial<'a> {
    packets: Packets,
    shard: Shard,
    rows: Rows,
    held: u64,
    write: &'a mut dyn FnMut(&Records) -> ControlFlow<()>,
}

impl Serial<'_> {
    /// A place for the next packet.
    #[inline(always)]
    fn next(&mut self) -> &mut Passing {
        if self.packets.len() == PACKETS {
            self.apply();
        }
        self.packets.next()
    }

    #[inline(never)]
    fn apply(&mut self) {
        self.shard.packets(self.packets.as_slice());
        self.packets.clear();
    }

    fn piece(&mut self, clock_us: u64, flush: bool) -> ControlFlow<()> {
        self.apply();
        self.held = self.shard.piece(clock_us, flush);
        let made = self.shard.take_made(self.rows.room());
        self.rows.add(vec![made]);
        self.write()
    }

    fn end(&mut self) -> ControlFlow<()> {
        self.rows.end();
        self.write()
    }

    fn write(&mut self) -> ControlFlow<()> {
        while let Some(records) = self.rows.next() {
            let over = (self.write)(&records);
            self.rows.reuse(records);
            over?;
        }
        ControlFlow::Continue(())
    }
}
