//! From scores to verdicts: evidence gathered per subject, weighed by a playbook, with hysteresis.
//!
//! A subject is the remote party of the traffic, never one of the sensor's own addresses (limits on new flows
//! apart, which protect an own address). One odd flow never names a host: an address takes several distinct
//! flows; a single flow that keeps being judged the same is dropped by itself. An address that proved benign is
//! limited, not dropped, as long as others may have forged what speaks against it.

mod case;
mod decision;
mod evidence;
mod fading;
mod proof;
mod reason;
mod subject;

pub use decision::Decision;

use crate::model::Scores;
use crate::playbook::{ActionName, Benign, Playbook, Rule};
use case::{Case, Known};
pub(crate) use decision::Origin;
use decision::{Ids, Naming};
use fading::Fading;
use ganglion_features::{Bounded, EventClock, Meta, Tick};
use ganglion_flow::Addr;
use ganglion_flow::packet::TCP;
use ganglion_proto::v1::TrafficClass;
use proof::{Proofs, is_handshake};
use std::collections::HashSet;
use std::sync::Arc;
use subject::{Standing, Subject};

/// Snapshots of one flow that must agree before it is dropped by itself.
const FLOW_SNAPSHOTS: usize = 3;
/// Packets that such a flow must have.
const FLOW_PACKETS: u64 = 128;
/// How sure the model must be of such a flow.
const FLOW_CONFIDENCE: f32 = 0.9;

/// What all policies of one brain share.
#[derive(Clone, Debug)]
pub struct Basis {
    /// The rules.
    pub playbook: Arc<Playbook>,
    /// Class of each column of the model's probabilities.
    pub classes: Arc<[TrafficClass]>,
    /// Anomaly scores from here on are unusual.
    pub anomaly: f32,
    /// "id version" of the bundle.
    pub bundle: Arc<str>,
    /// Addresses and flows with evidence, at most; 5 kB each at most.
    pub subjects: usize,
}

/// How a model's scores are read.
#[derive(Clone, Debug)]
pub struct Head {
    /// Class of each column of the probabilities.
    pub classes: Arc<[TrafficClass]>,
    /// Anomaly scores from here on are unusual.
    pub anomaly: f32,
    /// "id version" of the bundle.
    pub bundle: Arc<str>,
}

/// What a policy counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyStats {
    /// Subjects with evidence now.
    pub subjects: u64,
    /// Subjects forgotten because there were too many.
    pub subjects_evicted: u64,
}

/// The evidence of one sensor's records.
pub struct Policy {
    basis: Basis,
    own: HashSet<Addr>,
    clock: EventClock,
    ids: Ids,
    cases: Bounded<(Addr, u16, usize), Case>,
    benign: Bounded<(Addr, u16), Fading>,
    proofs: Proofs,
    /// When the verdict on a flow ends, µs of event time.
    flows: Bounded<(u64, usize), u64>,
}

/// A row, and what one rule sees in it.
struct Seen<'a> {
    meta: &'a Meta,
    class: TrafficClass,
    confidence: f32,
    anomaly: f32,
}

impl Policy {
    /// An empty memory. `own` are the addresses of the sensor's machine.
    pub fn new(basis: Basis, own: impl IntoIterator<Item = Addr>) -> Self {
        let limit = basis.subjects;
        Self {
            basis,
            own: own.into_iter().collect(),
            clock: EventClock::default(),
            ids: Ids::new(),
            cases: Bounded::new(limit),
            benign: Bounded::new(limit),
            proofs: Proofs::new(limit),
            flows: Bounded::new(limit),
        }
    }

    /// Takes the sensor's addresses anew, after it reconnected.
    pub fn set_own(&mut self, own: impl IntoIterator<Item = Addr>) {
        self.own = own.into_iter().collect();
    }

    /// Reads the scores to come as those of another model. Evidence stays: it is by class, not by model.
    pub fn follow(&mut self, head: &Head) {
        if !Arc::ptr_eq(&self.basis.bundle, &head.bundle) {
            self.basis.classes = Arc::clone(&head.classes);
            self.basis.anomaly = head.anomaly;
            self.basis.bundle = Arc::clone(&head.bundle);
        }
    }

    /// What was counted so far.
    pub fn stats(&self) -> PolicyStats {
        PolicyStats { subjects: self.cases.len() as u64, subjects_evicted: self.cases.evicted() }
    }

    /// Weighs row `row` of `scores`, of which `meta` is known; what follows from it.
    pub fn judge(&mut self, meta: &Meta, scores: &Scores, row: usize) -> Vec<Decision> {
        if self.clock.advance(meta.header.time_us) == Tick::Reset {
            // Times of another boot can't be compared with these.
            self.cases.clear();
            self.benign.clear();
            self.proofs.clear();
            self.flows.clear();
        }
        let (probabilities, anomaly) = (scores.probabilities(row), scores.anomaly(row));
        let playbook = Arc::clone(&self.basis.playbook);
        let mut decisions = Vec::new();
        let mut taken = false;
        for (index, rule) in playbook.rules.iter().enumerate().filter(|(_, rule)| !rule.on_unknown()) {
            let Some((class, confidence)) = self.vote(rule, probabilities) else { continue };
            if confidence >= rule.min_confidence && confidence > 0.0 {
                taken = true;
                let seen = Seen { meta, class, confidence, anomaly };
                decisions.extend(self.weigh(index, rule, &seen));
            }
        }
        if taken {
            return decisions;
        }
        self.note_benign(meta, probabilities);
        if let Some(confidence) = self.unusual(probabilities, anomaly) {
            let seen = Seen { meta, class: TrafficClass::Unknown, confidence, anomaly };
            for (index, rule) in playbook.rules.iter().enumerate().filter(|(_, rule)| rule.on_unknown()) {
                if confidence >= rule.min_confidence {
                    decisions.extend(self.weigh(index, rule, &seen));
                }
            }
        }
        decisions
    }

    /// The likeliest class of a rule and the probability of all its classes.
    fn vote(&self, rule: &Rule, probabilities: &[f32]) -> Option<(TrafficClass, f32)> {
        let votes = self.basis.classes.iter().zip(probabilities).filter(|(class, _)| rule.classes.contains(class));
        let total: f32 = votes.clone().map(|(_, p)| p).sum();
        votes.max_by(|a, b| a.1.total_cmp(b.1)).map(|(class, _)| (*class, total.min(1.0)))
    }

    fn note_benign(&mut self, meta: &Meta, probabilities: &[f32]) {
        if self.likeliest(probabilities) == Some(TrafficClass::Benign) && meta.ended() && is_mutual(meta) {
            let counts = self.basis.playbook.benign;
            let now_us = self.clock.now_us();
            // Whom the own machine calls is the subject where a bot is suspected.
            let calls = self.own.contains(&meta.initiator) || meta.outbound;
            for addr in [Some(meta.initiator), calls.then_some(meta.responder)].into_iter().flatten() {
                let who = (addr, meta.domain);
                self.benign.entry(who, Fading::default).add(now_us, counts.half_life_us);
                self.proofs.note(who, meta, &counts, now_us);
            }
        }
    }

    fn likeliest(&self, probabilities: &[f32]) -> Option<TrafficClass> {
        let votes = self.basis.classes.iter().zip(probabilities);
        votes.max_by(|a, b| a.1.total_cmp(b.1)).map(|(class, _)| *class)
    }

    /// How surely a row is like nothing known: by its anomaly score, or because the model says so.
    fn unusual(&self, probabilities: &[f32], anomaly: f32) -> Option<f32> {
        let threshold = self.basis.anomaly;
        let by_score = (anomaly >= threshold).then(|| match threshold {
            t if t > 0.0 => (anomaly / (2.0 * t)).clamp(0.0, 1.0),
            _ => 0.5,
        });
        let unknown = self.basis.classes.iter().zip(probabilities).find(|(class, _)| **class == TrafficClass::Unknown);
        let by_vote = unknown.filter(|_| self.likeliest(probabilities) == Some(TrafficClass::Unknown));
        match (by_score, by_vote) {
            (Some(score), Some((_, vote))) => Some(score.max(*vote)),
            (score, vote) => score.or(vote.map(|(_, p)| *p)),
        }
    }

    fn weigh(&mut self, index: usize, rule: &Rule, seen: &Seen<'_>) -> Option<Decision> {
        let subject = subject::of(seen.meta, rule.subject, seen.class, &self.own)?;
        let now_us = self.clock.now_us();
        let counts = self.basis.playbook.benign;
        let known = self.known(&subject, seen.meta, &counts);
        let case = self.cases.entry((subject.addr, seen.meta.domain, index), Case::default);
        let balance = case.add(rule, &counts, seen, known, now_us);
        let flow_alone = if case.names_address(rule, &balance) {
            if !case.raise_when_due(rule, &balance, now_us) {
                return None;
            }
            false
        } else {
            let snapshots = case.snapshots(rule, seen.meta, now_us);
            if !self.drops_flow(index, rule, seen, snapshots) {
                return None;
            }
            true
        };
        let (action, limit_per_second) = match subject.standing {
            Standing::AlertOnly => (ActionName::Alert, 0),
            Standing::Actionable if balance.spared.is_some() && !flow_alone => {
                (ActionName::RateLimit, counts.limit_per_second)
            }
            Standing::Actionable => (rule.action, rule.limit_per_second),
        };
        let naming = Naming {
            id: self.ids.next(),
            bundle: &self.basis.bundle,
            action,
            limit_per_second,
            flow_alone,
            origin: match flow_alone {
                true => Origin::Flow(seen.meta.flow_hash, index),
                false => Origin::Subject(subject.addr, seen.meta.domain, index),
            },
        };
        Some(decision::make(rule, seen, &subject, &balance, naming))
    }

    /// Takes a verdict back that did not reach the sensor: the next piece of evidence may raise it again.
    pub(crate) fn withdraw(&mut self, origin: Origin) {
        match origin {
            Origin::Flow(hash, index) => drop(self.flows.remove(&(hash, index))),
            Origin::Subject(addr, domain, index) => {
                self.cases.entry((addr, domain, index), Case::default).withdraw();
            }
        }
    }

    /// What speaks for a subject; nothing does for those who receive.
    fn known(&self, subject: &Subject, meta: &Meta, counts: &Benign) -> Known {
        let (who, now_us) = ((subject.addr, meta.domain), self.clock.now_us());
        // What our own machine sent nobody forged.
        let firm = is_handshake(meta) || (meta.source.is_none() && self.own.contains(&meta.initiator));
        if subject.receives {
            return Known { benign: 0.0, proof: None, firm };
        }
        let benign = self.benign.get(&who).map_or(0.0, |flows| flows.score(now_us, counts.half_life_us));
        Known { benign, proof: self.proofs.of(&who, counts, now_us), firm }
    }

    /// Whether one flow is to be dropped by itself: large enough, judged alike several times, not dropped yet.
    fn drops_flow(&mut self, index: usize, rule: &Rule, seen: &Seen<'_>, snapshots: usize) -> bool {
        let is_flow = seen.meta.source.is_none();
        let is_sure = seen.confidence >= FLOW_CONFIDENCE && snapshots >= FLOW_SNAPSHOTS;
        if !rule.single_flow || !is_flow || !is_sure || seen.meta.packets < FLOW_PACKETS {
            return false;
        }
        let now_us = self.clock.now_us();
        let until_us = self.flows.entry((seen.meta.flow_hash, index), || 0);
        if *until_us > now_us.saturating_add(rule.ttl_us / 10) {
            return false;
        }
        *until_us = now_us.saturating_add(rule.ttl_us);
        true
    }
}

/// Whether both ends meant it: a handshake for TCP, an answer elsewhere.
fn is_mutual(meta: &Meta) -> bool {
    if meta.protocol == TCP { meta.established } else { meta.answered }
}

#[cfg(test)]
mod tests;
