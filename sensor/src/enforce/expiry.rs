//! When rules end, soonest first: verdicts wait for the lock, so that nobody may walk through all rules under it.

use std::collections::BTreeMap;

use ganglion_flow::rules::Rule;

use super::FOR_EVER;
use crate::target::Target;

/// The ends of all rules that have one. A slot has one rule, so that no two ends are the same.
#[derive(Default)]
pub(super) struct Expiry {
    ends: BTreeMap<(u64, u32), Target>,
}

impl Expiry {
    /// Notes when a rule ends.
    pub(super) fn add(&mut self, target: Target, rule: &Rule) {
        if rule.expires_ns != FOR_EVER {
            self.ends.insert((rule.expires_ns, rule.slot), target);
        }
    }

    /// Forgets a rule.
    pub(super) fn remove(&mut self, rule: &Rule) {
        self.ends.remove(&(rule.expires_ns, rule.slot));
    }

    /// Rules that ended at `now` or before, at most `most`.
    pub(super) fn due(&self, now: u64, most: usize) -> Vec<Target> {
        self.ends.range(..=(now, u32::MAX)).map(|(_, target)| *target).take(most).collect()
    }
}
