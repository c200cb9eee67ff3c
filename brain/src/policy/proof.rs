//! Who proved benign, and which evidence could be forged.
//!
//! Whoever can send with another's address makes single packets, unanswered flows and answered datagrams of it,
//! and so evidence against it. A TCP handshake takes the answer, which goes to the true owner of the address.

use crate::playbook::Benign;
use ganglion_features::{Bounded, Meta};
use ganglion_flow::Addr;
use ganglion_flow::packet::TCP;

/// The benign flows of an address that nobody else can have made.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    flows: u32,
    /// When there were enough of them, µs of event time.
    since_us: u64,
    /// The last of them, µs of event time.
    last_us: u64,
}

/// Enough of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proof {
    /// How many there are.
    pub(super) flows: u32,
    /// When there were enough, µs of event time.
    pub(super) since_us: u64,
}

/// Addresses, each in its domain, that completed benign connections. A memory of its own, so that forged flows
/// push nobody out.
pub(super) struct Proofs {
    known: Bounded<(Addr, u16), Record>,
}

impl Proofs {
    pub(super) fn new(limit: usize) -> Self {
        Self { known: Bounded::new(limit) }
    }

    /// Notes a benign flow of an address.
    pub(super) fn note(&mut self, who: (Addr, u16), meta: &Meta, counts: &Benign, now_us: u64) {
        if !is_handshake(meta) || meta.payload_bytes == 0 {
            return;
        }
        let record = self.known.entry(who, Record::default);
        if now_us.saturating_sub(record.last_us) > counts.proven_for_us {
            record.flows = 0;
        }
        record.flows = record.flows.saturating_add(1);
        if record.flows == counts.proven_by {
            record.since_us = now_us;
        }
        record.last_us = now_us;
    }

    /// What proves the address benign; `None` when too little does, or did so too long ago.
    pub(super) fn of(&self, who: &(Addr, u16), counts: &Benign, now_us: u64) -> Option<Proof> {
        let record = self.known.get(who)?;
        let lately = now_us.saturating_sub(record.last_us) <= counts.proven_for_us;
        let proof = Proof { flows: record.flows, since_us: record.since_us };
        (lately && record.flows >= counts.proven_by).then_some(proof)
    }

    pub(super) fn clear(&mut self) {
        self.known.clear();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

/// Whether both ends completed a TCP handshake, as the responder itself shows.
pub(super) fn is_handshake(meta: &Meta) -> bool {
    meta.source.is_none() && meta.protocol == TCP && meta.established && meta.confirmed
}
