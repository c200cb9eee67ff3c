//! Whom a row speaks about.

use crate::playbook::SubjectName;
use ganglion_features::Meta;
use ganglion_flow::Addr;
use ganglion_proto::v1::TrafficClass;
use std::collections::HashSet;

/// What may be done about a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Whatever the rule says.
    Actionable,
    /// Nothing but telling people: the sensor's own machine is the actor.
    AlertOnly,
}

/// An address, and what may be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) addr: Addr,
    pub(super) standing: Standing,
    /// It received the traffic.
    pub(super) receives: bool,
}

/// The subject of a row under a rule; `None` when the row says nothing about such a subject.
pub(super) fn of(meta: &Meta, rule: SubjectName, class: TrafficClass, own: &HashSet<Addr>) -> Option<Subject> {
    match rule {
        SubjectName::Source => source(meta, class, own),
        SubjectName::Destination => destination(meta, own),
    }
}

fn source(meta: &Meta, class: TrafficClass, own: &HashSet<Addr>) -> Option<Subject> {
    let is_own = own.contains(&meta.initiator) || meta.outbound;
    let subject = |addr, standing| Some(Subject { addr, standing, receives: false });
    match meta.source {
        Some(source) if source.receives => None,
        // A beacon: the machine is infected, the peer is the one to cut off.
        None if is_own && class == TrafficClass::Bot && !own.contains(&meta.responder) => {
            subject(meta.responder, Standing::Actionable)
        }
        _ if is_own => subject(meta.initiator, Standing::AlertOnly),
        _ => subject(meta.initiator, Standing::Actionable),
    }
}

fn destination(meta: &Meta, own: &HashSet<Addr>) -> Option<Subject> {
    let addr = match meta.source {
        Some(source) if source.receives => meta.initiator,
        Some(_) => return None,
        None if own.contains(&meta.initiator) || meta.outbound => return None,
        None => meta.responder,
    };
    // Where the own addresses are known, somebody else's is not ours to protect.
    let ours = own.is_empty() || own.contains(&addr);
    let standing = if ours { Standing::Actionable } else { Standing::AlertOnly };
    Some(Subject { addr, standing, receives: true })
}
