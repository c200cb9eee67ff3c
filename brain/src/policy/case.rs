//! One subject under one rule: its evidence, and where its verdict stands.

use super::Seen;
use super::evidence::{Evidence, Piece, Tally};
use super::fading::Fading;
use crate::playbook::{ActionName, Benign, Rule};
use ganglion_features::Meta;

/// Records that must agree before an address is named, whatever a single one weighs.
const RECORDS: u32 = 2;

/// One subject under one rule.
#[derive(Default)]
pub(super) struct Case {
    evidence: Evidence,
    /// Ended flows judged against the subject, fading as benign ones do.
    ended: Fading,
    raised: bool,
    /// End of the verdict's time to live, µs of event time.
    until_us: u64,
    /// The last verdict, µs of event time.
    verdict_us: Option<u64>,
}

/// What speaks against a subject, and what it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Balance {
    pub(super) tally: Tally,
    /// Evidence that a verdict takes now.
    pub(super) need: f64,
    /// Benign flows of the subject of late.
    pub(super) benign: f64,
    /// Share of its flows of late that speak against it.
    share: f64,
}

impl Case {
    /// Adds a row to the evidence.
    pub(super) fn add(&mut self, rule: &Rule, counts: &Benign, seen: &Seen<'_>, benign: f64, now_us: u64) -> Balance {
        self.fade(rule, now_us);
        if seen.meta.ended() {
            self.ended.add(now_us, counts.half_life_us);
        }
        self.evidence.add(Piece::of(seen, now_us), rule.window_us);
        let tally = self.evidence.tally(now_us, rule.window_us);
        let against = f64::from(tally.flows).max(self.ended.score(now_us, counts.half_life_us));
        // More to raise a verdict than to keep it.
        let factor = (1.0 + benign * counts.per_flow).min(counts.at_most.max(1.0));
        let need = if self.raised { rule.clear } else { rule.evidence * factor };
        Balance { tally, need, benign, share: against / (against + benign).max(1.0) }
    }

    /// Closes the matter when too little is left of what was known before this record.
    fn fade(&mut self, rule: &Rule, now_us: u64) {
        if self.raised && self.evidence.tally(now_us, rule.window_us).score < rule.clear {
            self.raised = false;
        }
    }

    /// Whether there is enough against the address.
    pub(super) fn names_address(&self, rule: &Rule, balance: &Balance) -> bool {
        let tally = &balance.tally;
        rule.action != ActionName::DropFlow
            && tally.score >= balance.need
            && tally.pieces >= RECORDS
            && tally.flows >= rule.min_flows
            && tally.sources >= rule.min_sources
            && balance.share >= rule.min_share
    }

    /// Raises a verdict when there is none yet, or it nearly ends.
    pub(super) fn raise_when_due(&mut self, rule: &Rule, now_us: u64) -> bool {
        let nearly_over = self.until_us <= now_us.saturating_add(rule.ttl_us / 10);
        let cool = self.verdict_us.is_none_or(|at| now_us.saturating_sub(at) >= rule.cooldown_us);
        if !nearly_over || !cool {
            return false;
        }
        self.raised = true;
        self.verdict_us = Some(now_us);
        self.until_us = now_us.saturating_add(rule.ttl_us);
        true
    }

    /// Forgets that a verdict was raised, not the evidence.
    pub(super) fn withdraw(&mut self) {
        self.raised = false;
        self.verdict_us = None;
        self.until_us = 0;
    }

    /// Records of the row's own flow among the evidence.
    pub(super) fn snapshots(&self, rule: &Rule, meta: &Meta, now_us: u64) -> usize {
        self.evidence.snapshots(meta.flow_hash, now_us, rule.window_us)
    }
}
