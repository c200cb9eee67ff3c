//! What became of frames and flows.

use ganglion_flow::counter::{COUNT, Counters};
use ganglion_flow::{Counter, NotAFlow, Reason};

/// Reasons, by their numbers.
const REASONS: usize = Reason::Level as usize + 1;

/// What an extraction was given, and what it made of it: [`Self::frames`] = [`Self::in_rows`] + [`Self::no_flow`] +
/// [`Self::after_end`], always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    counters: Counters,
    ended: [u64; REASONS],
    /// Frames of which less was captured than was on the wire. Lengths are those on the wire.
    pub cut: u64,
    /// Frames that are older than the one before.
    pub backwards: u64,
    /// New time bases: frames more than a minute older than the newest before, which ended all flows.
    pub time_resets: u64,
    /// Fragmented datagrams forgotten for others although fragments of theirs could still come.
    pub fragments_replaced: u64,
    /// Rows, early ones too.
    pub rows: u64,
    /// Most flows held at one time, markers of ended ones included; looked at every 8,192 frames.
    pub live_peak: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            counters: [0; COUNT],
            ended: [0; REASONS],
            cut: 0,
            backwards: 0,
            time_resets: 0,
            fragments_replaced: 0,
            rows: 0,
            live_peak: 0,
        }
    }
}

impl Counts {
    /// Frames given.
    pub fn frames(&self) -> u64 {
        self.count(Counter::Seen)
    }

    /// Frames in the rows of ended flows.
    pub fn in_rows(&self) -> u64 {
        self.count(Counter::Exported)
    }

    /// Frames that came after their flow's end and opened no new one.
    pub fn after_end(&self) -> u64 {
        self.count(Counter::SkipAfterEnd)
    }

    /// Frames of no flow, by reason.
    pub fn no_flow(&self) -> impl Iterator<Item = (&'static str, u64)> {
        const OTHERS: [Counter; 3] = [Counter::Seen, Counter::Exported, Counter::SkipAfterEnd];
        let reasons = Counter::ALL.iter().filter(|counter| !OTHERS.contains(counter));
        reasons.map(|counter| (counter.label(), self.count(*counter))).filter(|(_, frames)| *frames > 0)
    }

    /// Flows that ended for this reason; for [`Reason::Active`], cuts of flows that went on.
    pub fn ended(&self, reason: Reason) -> u64 {
        self.ended[reason as usize]
    }

    fn count(&self, counter: Counter) -> u64 {
        self.counters[counter as usize]
    }

    #[inline]
    pub(super) fn seen(&mut self) {
        self.counters[Counter::Seen as usize] += 1;
    }

    pub(super) fn not_a_flow(&mut self, why: NotAFlow) {
        self.counters[Counter::from(why) as usize] += 1;
    }

    pub(super) fn skip_after_end(&mut self) {
        self.counters[Counter::SkipAfterEnd as usize] += 1;
    }

    pub(super) fn flow_ended(&mut self, reason: Reason, packets: u64) {
        self.ended[reason as usize] += 1;
        self.counters[Counter::Exported as usize] += packets;
    }

    /// Adds what was counted elsewhere.
    pub(super) fn add(&mut self, other: &Self) {
        self.counters.iter_mut().zip(other.counters).for_each(|(mine, theirs)| *mine += theirs);
        self.ended.iter_mut().zip(other.ended).for_each(|(mine, theirs)| *mine += theirs);
        self.cut += other.cut;
        self.backwards += other.backwards;
        self.time_resets += other.time_resets;
        self.fragments_replaced += other.fragments_replaced;
        self.rows += other.rows;
        self.live_peak = self.live_peak.max(other.live_peak);
    }
}
