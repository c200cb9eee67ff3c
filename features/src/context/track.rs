//! The windows of one address in one role.

use super::contribution::{Contribution, SERVICES};
use crate::sketch::Sketch;
use ganglion_flow::SourceState;

/// Length of a part of each window, µs: a fifth of 1, 10 and 60 s.
const PART_US: [u64; 3] = [200_000, 2_000_000, 12_000_000];
/// Parts per window.
const PARTS: u64 = 5;

/// One part of one window.
#[derive(Clone, Copy, Debug)]
struct Part {
    window: usize,
    /// Number of the part since time zero.
    tick: u64,
    counts: Contribution,
}

/// Counts of one address in one role, at most 15 parts.
#[derive(Debug, Default)]
pub(super) struct Track {
    parts: Vec<Part>,
    /// `new_total` and `answered_total` of the last SOURCE record.
    totals_before: Option<(u32, u32)>,
}

/// Sums over one window, as the table reads them.
#[derive(Clone, Copy, Debug, Default)]
pub struct WindowTotals {
    /// Flows heard of for the first time.
    pub started: u64,
    /// Flows ended.
    pub ended: u64,
    /// Flows ended without an answer.
    pub unanswered: u64,
    /// Flows ended by a reset.
    pub reset: u64,
    /// New flows by SOURCE records.
    pub new: u64,
    /// Of them unanswered.
    pub new_unanswered: u64,
    /// Packets of ended flows.
    pub packets: u64,
    /// Payload bytes of ended flows.
    pub payload_bytes: u64,
    /// Durations of ended flows, µs.
    pub duration_us: u64,
    /// Destination ports.
    pub ports: Sketch,
    /// Addresses at the other end.
    pub peers: Sketch,
    /// Flows started to the service asked for.
    pub same_service: u64,
}

impl Track {
    /// Adds what a record contributes to all windows.
    pub(super) fn add(&mut self, now_us: u64, contribution: &Contribution) {
        for window in 0..PART_US.len() {
            self.part(window, now_us).join(contribution);
        }
    }

    /// Adds what a SOURCE record says beyond the last one. Its sketches cover up to 10 s and leave the
    /// shortest window alone.
    pub(super) fn add_source(&mut self, now_us: u64, state: &SourceState) {
        let (new, answered) = match self.totals_before {
            Some((new, answered)) if state.new_total >= new && state.answered_total >= answered => {
                (state.new_total - new, state.answered_total - answered)
            }
            _ => (state.new_window, state.answered_window),
        };
        self.totals_before = Some((state.new_total, state.answered_total));
        let mut part = Contribution { new, new_unanswered: new.saturating_sub(answered), ..Contribution::default() };
        self.part(0, now_us).join(&part);
        part.ports = Sketch(state.ports);
        part.peers = Sketch(state.peers);
        self.part(1, now_us).join(&part);
        self.part(2, now_us).join(&part);
    }

    /// The sums of each window at `now_us`; `service` picks the same-service count.
    pub(super) fn totals(&self, now_us: u64, service: u64) -> [WindowTotals; 3] {
        let mut all = [WindowTotals::default(); 3];
        for part in &self.parts {
            if live(part, now_us) {
                all[part.window].add(&part.counts, service);
            }
        }
        all
    }

    fn part(&mut self, window: usize, now_us: u64) -> &mut Contribution {
        let tick = now_us / PART_US[window];
        let found = self.parts.iter().position(|part| part.window == window && part.tick == tick);
        let fresh = Part { window, tick, counts: Contribution::default() };
        let at = found.unwrap_or_else(|| match self.parts.iter().position(|part| !live(part, now_us)) {
            Some(old) => {
                self.parts[old] = fresh;
                old
            }
            None => {
                self.parts.push(fresh);
                self.parts.len() - 1
            }
        });
        &mut self.parts[at].counts
    }

    #[cfg(test)]
    pub(super) fn parts(&self) -> usize {
        self.parts.len()
    }
}

/// Whether the part still belongs to its window; a part from the future (another time base) does not.
fn live(part: &Part, now_us: u64) -> bool {
    let tick = now_us / PART_US[part.window];
    part.tick <= tick && tick - part.tick < PARTS
}

impl WindowTotals {
    /// Nothing happened.
    pub const NONE: Self = Self {
        started: 0,
        ended: 0,
        unanswered: 0,
        reset: 0,
        new: 0,
        new_unanswered: 0,
        packets: 0,
        payload_bytes: 0,
        duration_us: 0,
        ports: Sketch([0; 4]),
        peers: Sketch([0; 4]),
        same_service: 0,
    };

    fn add(&mut self, part: &Contribution, service: u64) {
        self.started += u64::from(part.started);
        self.ended += u64::from(part.ended);
        self.unanswered += u64::from(part.unanswered);
        self.reset += u64::from(part.reset);
        self.new += u64::from(part.new);
        self.new_unanswered += u64::from(part.new_unanswered);
        self.packets = self.packets.saturating_add(part.packets);
        self.payload_bytes = self.payload_bytes.saturating_add(part.payload_bytes);
        self.duration_us = self.duration_us.saturating_add(part.duration_us);
        self.ports.join(&part.ports);
        self.peers.join(&part.peers);
        self.same_service += u64::from(part.services[service as usize % SERVICES]);
    }
}
