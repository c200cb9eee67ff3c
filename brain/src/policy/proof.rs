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
struct Proof {
    flows: u32,
    /// The last of them, µs of event time.
    last_us: u64,
}

/// Addresses, each in its domain, that completed benign connections. A memory of its own, so that forged flows
/// push nobody out.
pub(super) struct Proofs {
    known: Bounded<(Addr, u16), Proof>,
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
        let proof = self.known.entry(who, Proof::default);
        if now_us.saturating_sub(proof.last_us) > counts.proven_for_us {
            proof.flows = 0;
        }
        proof.flows = proof.flows.saturating_add(1);
        proof.last_us = now_us;
    }

    /// How many flows prove the address benign; `None` when too few do, or too long ago.
    pub(super) fn of(&self, who: &(Addr, u16), counts: &Benign, now_us: u64) -> Option<u32> {
        let proof = self.known.get(who)?;
        let lately = now_us.saturating_sub(proof.last_us) <= counts.proven_for_us;
        (lately && proof.flows >= counts.proven_by).then_some(proof.flows)
    }

    pub(super) fn clear(&mut self) {
        self.known.clear();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

/// Whether both ends completed a TCP handshake.
pub(super) fn is_handshake(meta: &Meta) -> bool {
    meta.source.is_none() && meta.protocol == TCP && meta.established
}
