//! What goes out: a verdict for the sensor, an alert for people.

use super::case::Balance;
use super::subject::Subject;
use super::{Seen, reason};
use crate::playbook::{ActionName, Rule};
use ganglion_features::Meta;
use ganglion_features::community_id::community_id;
use ganglion_flow::Addr;
use ganglion_proto::v1::{Alert, FlowTuple, Target, TrafficClass, Verdict, target};
use std::time::{SystemTime, UNIX_EPOCH};

/// A verdict with its alert.
#[derive(Clone, Debug)]
pub struct Decision {
    /// For the sensor; absent when people are told and nothing is touched.
    pub verdict: Option<Verdict>,
    /// For people.
    pub alert: Alert,
    /// What was decided, for metrics.
    pub action: ActionName,
    /// The class, for metrics.
    pub class: TrafficClass,
    /// Whose verdict it is, to take it back should it not reach the sensor.
    pub(crate) origin: Origin,
}

/// What the policy must forget for a verdict to be raised again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Subject, domain and index of the rule.
    Subject(Addr, u16, usize),
    /// Flow and index of the rule.
    Flow(u64, usize),
}

/// How a decision is named and what it asks for.
pub(super) struct Naming<'a> {
    pub(super) id: String,
    pub(super) bundle: &'a str,
    pub(super) action: ActionName,
    /// Packets or new flows per second, should the action limit.
    pub(super) limit_per_second: u32,
    /// The target is one flow, not an address.
    pub(super) flow_alone: bool,
    pub(super) origin: Origin,
}

pub(super) fn make(rule: &Rule, seen: &Seen<'_>, subject: &Subject, balance: &Balance, naming: Naming<'_>) -> Decision {
    let tally = &balance.tally;
    let reason = reason::words(rule, seen, subject, balance, &naming);
    let tuple = seen.meta.source.is_none().then(|| flow_tuple(seen.meta));
    let of = match &tuple {
        Some(tuple) if naming.flow_alone => target::Of::Flow(tuple.clone()),
        _ => target::Of::Address(subject.addr.to_string()),
    };
    let target = Some(Target { of: Some(of) });
    let action = match naming.action {
        ActionName::Alert => ActionName::Alert,
        _ if naming.flow_alone => ActionName::DropFlow,
        other => other,
    };
    let limited = matches!(action, ActionName::RateLimit | ActionName::LimitNewFlows);
    let verdict = (action != ActionName::Alert).then(|| Verdict {
        id: naming.id.clone(),
        target: target.clone(),
        class: tally.class.into(),
        confidence: tally.confidence,
        reason: reason.clone(),
        action: action.action().into(),
        ttl_ms: rule.ttl_us / 1_000,
        limit_per_second: if limited { naming.limit_per_second } else { 0 },
        record_time_us: seen.meta.header.time_us,
    });
    let alert = Alert {
        verdict_id: naming.id,
        target,
        class: tally.class.into(),
        confidence: tally.confidence,
        reason,
        anomaly: seen.anomaly,
        evidence: tally.pieces,
        community_id: tuple.as_ref().map_or_else(String::new, |_| community(seen.meta)),
        flow: tuple,
        bundle_id: naming.bundle.to_owned(),
    };
    Decision { verdict, alert, action, class: tally.class, origin: naming.origin }
}

fn flow_tuple(meta: &Meta) -> FlowTuple {
    FlowTuple {
        source_address: meta.initiator.to_string(),
        source_port: meta.initiator_port.into(),
        destination_address: meta.responder.to_string(),
        destination_port: meta.responder_port.into(),
        protocol: meta.protocol.into(),
        domain: meta.domain.into(),
    }
}

fn community(meta: &Meta) -> String {
    let (from, to) = meta.community_ports;
    community_id((meta.initiator, from), (meta.responder, to), meta.protocol)
}

/// Verdict ids, unique over restarts.
pub(super) struct Ids {
    started_us: u128,
    next: u64,
}

impl Ids {
    pub(super) fn new() -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        // Several sensors may connect within one microsecond.
        static MADE: AtomicU64 = AtomicU64::new(0);
        let made = u128::from(MADE.fetch_add(1, Ordering::Relaxed));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started_us: now.as_micros() + made, next: 0 }
    }

    pub(super) fn next(&mut self) -> String {
        self.next += 1;
        format!("{:x}-{}", self.started_us, self.next)
    }
}
