//! The flow table.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::flow::Flow;
use super::packet::{Conversation, Packet};
use super::row::Row;
use crate::capture::Frame;

const NS_A_US: i64 = 1000;

/// What an [`Engine`] was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames.
    pub frames: u64,
    /// Frames that are in no row: not IPv4, or of a protocol number that the reference drops.
    pub not_ipv4: u64,
    /// Frames of which less was captured than was on the wire; their lengths come out too small.
    pub cut: u64,
    /// Frames that are older than the one before.
    pub backwards: u64,
    /// Rows.
    pub rows: u64,
    /// Distinct 5-tuples, all held until the end.
    pub tuples: u64,
}

/// Turns packets into rows. See the [module](super) for what it keeps in memory.
///
/// Conversations are independent: packets may be spread over several engines by [`Packet::conversation`], and the
/// rows together are the same.
#[derive(Debug, Default)]
pub struct Engine {
    flows: HashMap<Conversation, Flow>,
    counts: Counts,
    last_us: Option<i64>,
}

impl Engine {
    /// An engine without flows.
    pub fn new() -> Self {
        Self::default()
    }

    /// An Ethernet frame of `original_bytes` on the wire. `emit` gets the row that it ended, if it did.
    pub fn packet(&mut self, time_us: i64, frame: &[u8], original_bytes: u32, emit: &mut impl FnMut(Row)) {
        self.count(time_us, frame, original_bytes);
        self.add(time_us, Packet::of_ethernet(frame), emit);
    }

    /// A frame of a capture, of any link type. Its time is cut to microseconds.
    pub fn frame(&mut self, frame: &Frame<'_>, emit: &mut impl FnMut(Row)) {
        let time_us = frame.time_ns.div_euclid(NS_A_US);
        self.count(time_us, frame.bytes, frame.original_bytes);
        self.add(time_us, Packet::of_frame(frame), emit);
    }

    fn count(&mut self, time_us: i64, frame: &[u8], original_bytes: u32) {
        self.counts.frames += 1;
        self.counts.cut += u64::from(frame.len() < original_bytes as usize);
        self.counts.backwards += u64::from(self.last_us.is_some_and(|last_us| time_us < last_us));
        self.last_us = Some(time_us);
    }

    fn add(&mut self, time_us: i64, packet: Option<Packet>, emit: &mut impl FnMut(Row)) {
        match packet {
            Some(packet) => self.observe(time_us, &packet, emit),
            None => self.counts.not_ipv4 += 1,
        }
    }

    /// A packet that was read before, and is in no count but [`Counts::rows`].
    pub fn observe(&mut self, time_us: i64, packet: &Packet, emit: &mut impl FnMut(Row)) {
        let ended = match self.flows.entry(packet.conversation()) {
            Entry::Occupied(mut flow) => flow.get_mut().next(time_us, packet),
            Entry::Vacant(place) => {
                place.insert(Flow::open(None, time_us, packet));
                None
            }
        };
        if let Some(row) = ended {
            self.counts.rows += 1;
            emit(row);
        }
    }

    /// Distinct 5-tuples held, both directions of a conversation being one. None is given back before
    /// [`Self::finish`].
    pub fn tuples(&self) -> usize {
        self.flows.len()
    }

    /// What it was given so far.
    pub fn counts(&self) -> Counts {
        Counts { tuples: self.flows.len() as u64, ..self.counts }
    }

    /// Counts a frame that is read elsewhere; its time, cut to microseconds.
    pub(super) fn count_frame(&mut self, frame: &Frame<'_>) -> i64 {
        let time_us = frame.time_ns.div_euclid(NS_A_US);
        self.count(time_us, frame.bytes, frame.original_bytes);
        time_us
    }

    /// Counts a frame that is in no row.
    pub(super) fn count_not_ipv4(&mut self) {
        self.counts.not_ipv4 += 1;
    }

    /// Rows of all flows still open, in no order.
    pub(super) fn into_open(self) -> Vec<(Conversation, Row)> {
        self.flows.into_iter().map(|(key, flow)| (key, flow.into_row())).collect()
    }

    /// The end of the capture: rows of all flows still open, by first packet, then by 5-tuple. (The reference writes
    /// them in the order of its hash table.)
    pub fn finish(self, emit: &mut impl FnMut(Row)) -> Counts {
        let mut counts = self.counts();
        let mut open = self.into_open();
        open.sort_unstable_by_key(|(key, row)| (row.first_us, *key));
        counts.rows += open.len() as u64;
        open.into_iter().for_each(|(_, row)| emit(row));
        counts
    }
}
