//! What one address did towards one service of another: how often, how evenly, how much.

use crate::moments::ratio;
use ganglion_flow::record::FlowRecord;
use ganglion_flow::{Addr, Stage};

/// Flows remembered of a pair.
const KEPT: usize = 8;
/// Gaps within this share of their median are even: a timer's.
const EVEN: f64 = 0.05;
/// Gaps within this share of their median are near it: a timer's with jitter.
const NEAR: f64 = 0.5;

/// Initiator, responder, its port, protocol, domain.
pub(super) type Ends = (Addr, Addr, u16, u8, u16);

/// The last flows of a pair.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pair {
    /// First packets of flows, µs.
    starts_us: Ring,
    /// Payload of the initiator, bytes, by ended flow.
    fwd_bytes: Ring,
    /// Payload of the responder.
    bwd_bytes: Ring,
}

/// What the table reads of a pair.
#[derive(Clone, Copy, Debug, Default)]
pub struct PairTotals {
    /// Flows remembered, 8 at most.
    pub flows: f64,
    /// Mean gap between their starts, µs; like all about gaps 0 with fewer than two flows.
    pub gap_mean_us: f64,
    /// Median gap, µs.
    pub gap_median_us: f64,
    /// Share of gaps within 5 % of the median; 0 with fewer than two gaps.
    pub gap_even_share: f64,
    /// Share of gaps within 50 % of the median; 0 with fewer than two gaps.
    pub gap_near_share: f64,
    /// Median payload of the initiator in ended flows, bytes.
    pub fwd_median_bytes: f64,
    /// Least payload of the responder in ended flows, bytes.
    pub bwd_min_bytes: f64,
    /// Median of the same.
    pub bwd_median_bytes: f64,
    /// Most of the same.
    pub bwd_max_bytes: f64,
}

impl PairTotals {
    /// Nothing happened.
    pub const NONE: Self = Self {
        flows: 0.0,
        gap_mean_us: 0.0,
        gap_median_us: 0.0,
        gap_even_share: 0.0,
        gap_near_share: 0.0,
        fwd_median_bytes: 0.0,
        bwd_min_bytes: 0.0,
        bwd_median_bytes: 0.0,
        bwd_max_bytes: 0.0,
    };
}

impl Pair {
    /// Adds what a record tells for the first time: that a flow began, what an ended one carried.
    pub(super) fn add(&mut self, record: &FlowRecord) {
        let state = &record.state;
        let this = Stage::from_u8(record.header.stage).map_or(0, Stage::bit);
        if state.stages & !this == 0 {
            self.starts_us.push(state.first_us);
        }
        if record.header.stage == Stage::End as u8 {
            self.fwd_bytes.push(state.fwd.payload_bytes);
            self.bwd_bytes.push(state.bwd.payload_bytes);
        }
    }

    pub(super) fn totals(&self) -> PairTotals {
        let (starts, fwd, bwd) = (self.starts_us.sorted(), self.fwd_bytes.sorted(), self.bwd_bytes.sorted());
        // Records come as flows end, not as they begin.
        let mut gaps = Sorted { values: [0; KEPT], len: starts.len.saturating_sub(1) };
        for (gap, two) in gaps.values.iter_mut().zip(starts.known().windows(2)) {
            *gap = two.last().zip(two.first()).map_or(0, |(later, earlier)| later - earlier);
        }
        gaps.values[..gaps.len].sort_unstable();
        let median = gaps.median();
        let within = |share: f64| {
            let close = |gap: &&u64| (**gap as f64 - median).abs() <= share * median;
            let count = gaps.known().iter().filter(close).count();
            if gaps.len < 2 { 0.0 } else { ratio(count as f64, gaps.len as f64) }
        };
        let span = starts.known().last().zip(starts.known().first()).map_or(0, |(last, first)| last - first);
        PairTotals {
            flows: starts.len as f64,
            gap_mean_us: ratio(span as f64, gaps.len as f64),
            gap_median_us: median,
            gap_even_share: within(EVEN),
            gap_near_share: within(NEAR),
            fwd_median_bytes: fwd.median(),
            bwd_min_bytes: bwd.known().first().map_or(0.0, |least| *least as f64),
            bwd_median_bytes: bwd.median(),
            bwd_max_bytes: bwd.known().last().map_or(0.0, |most| *most as f64),
        }
    }
}

/// The last few of many values.
#[derive(Clone, Copy, Debug, Default)]
struct Ring {
    values: [u64; KEPT],
    pushed: usize,
}

impl Ring {
    fn push(&mut self, value: u64) {
        self.values[self.pushed % KEPT] = value;
        // Never back to fewer than a full ring.
        self.pushed = if self.pushed + 1 == 2 * KEPT { KEPT } else { self.pushed + 1 };
    }

    fn sorted(&self) -> Sorted {
        let mut sorted = Sorted { values: self.values, len: self.pushed.min(KEPT) };
        sorted.values[..sorted.len].sort_unstable();
        sorted
    }
}

/// Values from the least to the most; behind `len` there is nothing.
struct Sorted {
    values: [u64; KEPT],
    len: usize,
}

impl Sorted {
    fn known(&self) -> &[u64] {
        &self.values[..self.len]
    }

    /// The middle one, or the mean of the two in the middle; 0 of none.
    fn median(&self) -> f64 {
        match self.len {
            0 => 0.0,
            len => f64::midpoint(self.values[(len - 1) / 2] as f64, self.values[len / 2] as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(values: &[u64]) -> Ring {
        let mut ring = Ring::default();
        values.iter().for_each(|value| ring.push(*value));
        ring
    }

    #[test]
    fn a_ring_keeps_the_last() {
        for count in 0..50u64 {
            let pushed: Vec<u64> = (0..count).collect();
            let due: Vec<u64> = (count.saturating_sub(KEPT as u64)..count).collect();
            assert_eq!(ring(&pushed).sorted().known(), due);
        }
        assert_eq!(ring(&[5, 1, 3]).sorted().median(), 3.0);
        assert_eq!(ring(&[5, 1]).sorted().median(), 3.0);
        assert_eq!(ring(&[]).sorted().median(), 0.0);
    }

    #[test]
    fn a_timer_is_even_jitter_is_near_and_people_are_neither() {
        let shares = |starts: &[u64]| {
            let totals = Pair { starts_us: ring(starts), ..Pair::default() }.totals();
            (totals.gap_even_share, totals.gap_near_share)
        };
        assert_eq!(shares(&[0, 1000, 2001, 3000, 4010]), (1.0, 1.0));
        // In whatever order the records came.
        assert_eq!(shares(&[4010, 0, 2001, 1000, 3000]), (1.0, 1.0));
        let (even, near) = shares(&[0, 800, 2000, 2900, 4200]);
        assert!(even < 0.5 && near == 1.0, "{even} {near}");
        let (even, near) = shares(&[0, 10, 5000, 5700, 90_000]);
        assert!(even < 0.5 && near < 0.5, "{even} {near}");
        assert_eq!(shares(&[7, 9]), (0.0, 0.0));
    }
}
