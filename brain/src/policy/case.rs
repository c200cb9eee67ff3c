//! One subject under one rule: its evidence, and where its verdict stands.

use super::Seen;
use super::evidence::{Evidence, Piece, Tally};
use super::fading::Fading;
use super::proof::Proof;
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
    /// The verdict limits where the rule drops.
    spared: bool,
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
    /// Benign flows that prove the subject, where it is spared for them.
    pub(super) spared: Option<u32>,
    /// Share of its flows of late that speak against it.
    share: f64,
}

/// What is known of a subject when a row speaks against it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Benign flows of late.
    pub(super) benign: f64,
    /// What proves it benign.
    pub(super) proof: Option<Proof>,
    /// The row can't be forged.
    pub(super) firm: bool,
}

impl Case {
    /// Adds a row to the evidence.
    pub(super) fn add(&mut self, rule: &Rule, counts: &Benign, seen: &Seen<'_>, known: Known, now_us: u64) -> Balance {
        let benign = known.benign;
        self.fade(rule, now_us);
        if seen.meta.ended() {
            self.ended.add(now_us, counts.half_life_us);
        }
        self.evidence.add(Piece::of(seen, known.firm, now_us), rule.window_us);
        let tally = self.evidence.tally(now_us, rule.window_us);
        let judged = f64::from(tally.judged).max(self.ended.score(now_us, counts.half_life_us));
        // A SOURCE record counts flows whatever they are: those judged benign one by one speak for the subject.
        let against = judged.max(f64::from(tally.by_record) - benign);
        // More to raise a verdict than to keep it.
        let factor = (1.0 + benign * counts.per_flow).min(counts.at_most.max(1.0));
        let need = if self.raised { rule.clear } else { rule.evidence * factor };
        // What others may have forged drops nobody who proved benign before it began; enough connections of its own do.
        let began_us = now_us.saturating_sub(tally.span_us);
        let may_be_forged = rule.action == ActionName::Drop && tally.firm_flows < rule.min_flows;
        let spared = known.proof.filter(|proof| may_be_forged && proof.since_us <= began_us).map(|proof| proof.flows);
        Balance { tally, need, benign, spared, share: against / (against + benign).max(1.0) }
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

    /// Raises a verdict when there is none yet, or it nearly ends, or has to be sterner.
    pub(super) fn raise_when_due(&mut self, rule: &Rule, balance: &Balance, now_us: u64) -> bool {
        let nearly_over = self.until_us <= now_us.saturating_add(rule.ttl_us / 10);
        let cool = self.verdict_us.is_none_or(|at| now_us.saturating_sub(at) >= rule.cooldown_us);
        // A limit that has become too little does not wait for its end.
        let sterner = self.spared && balance.spared.is_none();
        if !sterner && (!nearly_over || !cool) {
            return false;
        }
        self.raised = true;
        self.spared = balance.spared.is_some();
        self.verdict_us = Some(now_us);
        self.until_us = now_us.saturating_add(rule.ttl_us);
        true
    }

    /// Forgets that a verdict was raised, not the evidence.
    pub(super) fn withdraw(&mut self) {
        self.raised = false;
        self.spared = false;
        self.verdict_us = None;
        self.until_us = 0;
    }

    /// Records of the row's own flow among the evidence.
    pub(super) fn snapshots(&self, rule: &Rule, meta: &Meta, now_us: u64) -> usize {
        self.evidence.snapshots(meta.flow_hash, now_us, rule.window_us)
    }
}
