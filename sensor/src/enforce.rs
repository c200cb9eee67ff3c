//! Rules: desired here, enforced in the kernel. Every request passes the gate, takes a slot, becomes a map
//! entry, and answers with what became of it.

mod expiry;
mod kernel;
mod note;
mod present;
mod restore;
mod rule;
mod slots;

use std::collections::{HashMap, HashSet};

use aya::maps::MapError;
use ganglion_flow::Addr;
use ganglion_flow::rules::{Rule, RuleHits};
use ganglion_flow::settings::{Settings, flag};

use expiry::Expiry;
pub(crate) use kernel::{KernelRules, of_limit};
use note::Note;
pub(crate) use note::{KEY as NOTE_KEY, NoteMap, VALUE as NOTE_VALUE};
use present::{Present, exemption_flag, rule_flag};
use rule::check;
pub(crate) use rule::{Author, EnforceError, InForce, Request, RuleMaps};
use slots::Slots;

use crate::clock;
use crate::config::Mode;
use crate::gate::{Gate, Origin};
use crate::target::{Exemption, Net, Target};

const FOR_EVER: u64 = u64::MAX;
/// An expired entry is removed a little later than the kernel, by its coarse clock, stops heeding it.
const GRACE_NS: u64 = 20_000_000;
/// One slot of so many is kept from verdicts: a flood with forged sources takes all that verdicts may have.
const FOR_OPERATORS: u32 = 64;

/// The desired state and the maps that carry it out.
pub(crate) struct Enforcer<M> {
    maps: M,
    settings: Settings,
    slots: Slots,
    rules: HashMap<Target, InForce>,
    expiry: Expiry,
    exemptions: HashMap<Exemption, (Origin, String)>,
    own: HashSet<Addr>,
    present: Present,
    /// Exemptions changed since the rules' proofs were made.
    unproved: bool,
    /// Rules whose proofs are still of an earlier list.
    to_prove: Vec<Target>,
    /// Notes found at the start whose rules are not found yet.
    notes: HashMap<Target, Note>,
}

impl<M: RuleMaps> Enforcer<M> {
    /// Makes a rule, or renews it. `Ok(false)`: a person's rule on the same target stands, and stays.
    pub(crate) fn apply(&mut self, request: Request) -> Result<bool, EnforceError> {
        check(&request)?;
        let networks = || self.allowed_networks();
        let exemption = |e: &Exemption| self.exemptions.get(e).map(|(origin, _)| *origin);
        Gate { own: &self.own, exemption: &exemption, networks: &networks }.check(&request.target)?;
        self.put(request, clock::monotonic_ns())
    }

    fn put(&mut self, mut request: Request, now: u64) -> Result<bool, EnforceError> {
        let target = request.target;
        let before = self.rules.get(&target).filter(|r| r.rule.expires_ns > now);
        if before.is_some_and(|r| r.author == Author::Operator) && request.author == Author::Verdict {
            return Ok(false);
        }
        let mut expires_ns = match request.ttl_ms {
            0 => FOR_EVER,
            ttl => now.saturating_add(ttl.saturating_mul(1_000_000)),
        };
        // A verdict renews the one before, it never shortens it.
        if let Some(old) = before.filter(|r| r.rule.action == request.action as u8)
            && request.author == Author::Verdict
        {
            expires_ns = expires_ns.max(old.rule.expires_ns);
        }
        let slot = match self.rules.get(&target) {
            Some(old) => old.rule.slot,
            None => self.new_slot(&target, request.author)?,
        };
        let rule = Rule {
            expires_ns,
            slot,
            limit: request.limit,
            action: request.action as u8,
            class: request.class,
            prefix: if let Target::Network(net) = &target { net.prefix } else { 0 },
            zero: 0,
            proof: self.proof(&target),
        };
        if let Err(source) = self.maps.put(&target, &rule) {
            if !self.rules.contains_key(&target) {
                self.slots.release(slot, false);
            }
            return Err(EnforceError::map(&target, source));
        }
        request.reason = note::clip(request.reason);
        self.note(&request);
        let in_force = InForce { rule, reason: request.reason, verdict_id: request.verdict_id, author: request.author };
        match self.rules.insert(target, in_force) {
            Some(old) => self.expiry.remove(&old.rule),
            None => self.present.add(rule_flag(&target)),
        }
        self.expiry.add(target, &rule);
        self.write_flags().map_err(|e| EnforceError::map(&"settings", e))?;
        Ok(true)
    }

    fn note(&mut self, request: &Request) {
        let (verdict_id, reason) = (request.verdict_id.clone(), request.reason.clone());
        let note = Note { author: request.author, class: request.class, verdict_id, reason };
        if let Err(error) = self.maps.note(&request.target, &note) {
            tracing::warn!(target = %request.target, %error, "a restart will forget the reason of this rule");
        }
    }

    fn new_slot(&mut self, target: &Target, author: Author) -> Result<u32, EnforceError> {
        let (all, used) = (self.slots.len(), u32::try_from(self.rules.len()).unwrap_or(u32::MAX));
        if author == Author::Verdict && used >= all - all / FOR_OPERATORS {
            return Err(EnforceError::NoSlot(all));
        }
        let slot = self.slots.take().ok_or(EnforceError::NoSlot(self.slots.len()))?;
        if self.slots.is_dirty(slot)
            && let Err(source) = self.maps.clear_slot(slot)
        {
            self.slots.release(slot, false);
            return Err(EnforceError::map(target, source));
        }
        Ok(slot)
    }

    /// Removes a rule; false when there was none.
    pub(crate) fn remove(&mut self, target: &Target) -> Result<bool, EnforceError> {
        let existed = self.maps.delete(target).map_err(|e| EnforceError::map(target, e))?;
        let known = self.rules.remove(target);
        // A note without a rule is removed by the next start at the latest.
        let _none_or_kept = self.maps.forget(target);
        if let Some(known) = &known {
            self.expiry.remove(&known.rule);
            let cleared = self.maps.clear_slot(known.rule.slot).is_ok();
            self.slots.release(known.rule.slot, cleared);
            self.present.remove(rule_flag(target));
        }
        self.write_flags().map_err(|e| EnforceError::map(&"settings", e))?;
        Ok(existed || known.is_some())
    }

    /// Removes rules whose time is up, at most `most`; how many. The kernel has stopped heeding them by itself.
    pub(crate) fn expire(&mut self, most: usize) -> usize {
        let mut removed = 0;
        for target in self.expiry.due(clock::monotonic_ns().saturating_sub(GRACE_NS), most) {
            match self.remove(&target) {
                Ok(_) => removed += 1,
                Err(error) => {
                    tracing::error!(%error, "an expired rule can't be removed; the kernel no longer heeds it")
                }
            }
        }
        removed
    }

    /// Exempts, for an operator.
    pub(crate) fn allow(&mut self, exemption: Exemption, comment: String) -> Result<(), EnforceError> {
        self.exempt(exemption, Origin::Operator, comment)
    }

    fn exempt(&mut self, exemption: Exemption, origin: Origin, comment: String) -> Result<(), EnforceError> {
        self.maps.exempt(&exemption, origin as u32).map_err(|e| EnforceError::map(&exemption, e))?;
        if self.exemptions.insert(exemption, (origin, comment)).is_none() {
            self.present.add(exemption_flag(&exemption));
            self.void_proofs();
        }
        self.write_settings().map_err(|e| EnforceError::map(&"settings", e))
    }

    /// The allow list's generation when `target` is an address that no exemption touches, else 0.
    fn proof(&self, target: &Target) -> u32 {
        let Target::Address(addr) = target else { return 0 };
        let touches = |exemption: &Exemption| match exemption {
            Exemption::Network(net) => net.contains(*addr),
            Exemption::Service(service) => service.addr == *addr,
            Exemption::Flow(key) => key.addr_a == *addr || key.addr_b == *addr,
        };
        if self.exemptions.keys().any(touches) { 0 } else { self.settings.allow_generation }
    }

    /// Makes every proof void: the kernel looks exemptions up again until [`Enforcer::prove`] has run.
    fn void_proofs(&mut self) {
        self.settings.allow_generation = self.settings.allow_generation.wrapping_add(1).max(1);
        self.unproved = true;
    }

    /// Renews the proofs of `most` rules after a change of the exemptions; false when none is left to renew.
    pub(crate) fn prove(&mut self, most: usize) -> bool {
        if std::mem::take(&mut self.unproved) {
            self.to_prove = self.rules.keys().copied().collect();
        }
        let rest = self.to_prove.len().saturating_sub(most);
        for target in self.to_prove.split_off(rest) {
            let proof = self.proof(&target);
            let Some(known) = self.rules.get_mut(&target) else { continue };
            if known.rule.proof == proof {
                continue;
            }
            known.rule.proof = proof;
            if let Err(error) = self.maps.put(&target, &known.rule) {
                tracing::warn!(%target, %error, "a rule keeps its slow path");
            }
        }
        !self.to_prove.is_empty()
    }

    /// Ends an exemption; false when there was none.
    pub(crate) fn disallow(&mut self, exemption: &Exemption) -> Result<bool, EnforceError> {
        let existed = self.maps.unexempt(exemption).map_err(|e| EnforceError::map(exemption, e))?;
        let known = self.exemptions.remove(exemption).is_some();
        if known {
            self.present.remove(exemption_flag(exemption));
            self.void_proofs();
        }
        self.write_settings().map_err(|e| EnforceError::map(&"settings", e))?;
        Ok(existed || known)
    }

    /// Makes the exemptions of one origin exactly `wanted`; those of other origins stay.
    pub(crate) fn sync(&mut self, origin: Origin, wanted: HashMap<Exemption, String>) -> Result<(), EnforceError> {
        let gone =
            |(e, (o, _)): (&Exemption, &(Origin, String))| (*o == origin && !wanted.contains_key(e)).then_some(*e);
        let stale: Vec<Exemption> = self.exemptions.iter().filter_map(gone).collect();
        for exemption in &stale {
            self.disallow(exemption)?;
        }
        for (exemption, comment) in wanted {
            match self.exemptions.get_mut(&exemption) {
                Some((o, old)) if *o == origin => *old = comment,
                Some(_) => {}
                None => self.exempt(exemption, origin, comment)?,
            }
        }
        Ok(())
    }

    /// Notes the addresses of this machine.
    pub(crate) fn set_own(&mut self, own: HashSet<Addr>) {
        self.own = own;
    }

    /// Switches between observing and enforcing.
    pub(crate) fn set_mode(&mut self, mode: Mode) -> Result<(), EnforceError> {
        match mode {
            Mode::Enforce => self.settings.flags |= flag::ENFORCE,
            Mode::Observe => self.settings.flags &= !flag::ENFORCE,
        }
        self.maps.write_settings(&self.settings).map_err(|e| EnforceError::map(&"settings", e))
    }

    /// Makes the next sweep export every flow with this reason (a `ganglion_flow::Reason`).
    pub(crate) fn set_flush(&mut self, reason: u64) -> Result<(), EnforceError> {
        self.settings.flush_reason = reason;
        self.maps.write_settings(&self.settings).map_err(|e| EnforceError::map(&"settings", e))
    }

    /// Whether rules drop.
    pub(crate) fn mode(&self) -> Mode {
        if self.settings.flags & flag::ENFORCE != 0 { Mode::Enforce } else { Mode::Observe }
    }

    /// What the rules in force are about.
    pub(crate) fn targets(&self) -> Vec<Target> {
        self.rules.keys().copied().collect()
    }

    /// Slots in use.
    pub(crate) fn slots(&self) -> Vec<u32> {
        self.rules.values().map(|r| r.rule.slot).collect()
    }

    /// What a slot matched; nothing when it can't be read.
    pub(crate) fn hits(&self, slot: u32) -> RuleHits {
        self.maps.hits(slot).unwrap_or(<RuleHits as ganglion_flow::Wire>::ZERO)
    }

    /// One rule, with what it matched.
    pub(crate) fn get(&self, target: &Target) -> Option<(InForce, RuleHits)> {
        let found = self.rules.get(target)?;
        Some((found.clone(), self.hits(found.rule.slot)))
    }

    /// Number of rules.
    pub(crate) fn len(&self) -> usize {
        self.rules.len()
    }

    /// Exemptions with origin and comment.
    pub(crate) fn allowed(&self) -> Vec<(Exemption, Origin, String)> {
        self.exemptions.iter().map(|(e, (o, c))| (*e, *o, c.clone())).collect()
    }

    /// Addresses of this machine.
    pub(crate) fn own(&self) -> &HashSet<Addr> {
        &self.own
    }

    fn allowed_networks(&self) -> Vec<Net> {
        let networks = self.exemptions.keys().filter_map(|e| match e {
            Exemption::Network(net) => Some(*net),
            _ => None,
        });
        networks.collect()
    }

    /// Says in the settings which maps hold something: after an insertion, and after a removal.
    fn write_flags(&mut self) -> Result<(), MapError> {
        if self.flags() == self.settings.flags { Ok(()) } else { self.write_settings() }
    }

    fn flags(&self) -> u64 {
        self.settings.flags & flag::CONFIGURED | self.present.flags()
    }

    fn write_settings(&mut self) -> Result<(), MapError> {
        self.settings.flags = self.flags();
        self.maps.write_settings(&self.settings)
    }
}

#[cfg(test)]
mod tests;
