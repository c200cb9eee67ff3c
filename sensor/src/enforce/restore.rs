//! What a start finds in the maps, and makes its own.

use std::collections::{HashMap, HashSet};

use ganglion_flow::rules::{Action, Rule};
use ganglion_flow::settings::Settings;

use super::expiry::Expiry;
use super::note::Note;
use super::present::{Present, exemption_flag, rule_flag};
use super::rule::author_of;
use super::slots::Slots;
use super::{EnforceError, Enforcer, FOR_EVER, InForce, Request, RuleMaps};
use crate::clock;
use crate::gate::Origin;
use crate::target::{Exemption, Target};

/// The reason of a rule without a note.
const BEFORE: &str = "in force since before this start";

impl<M: RuleMaps> Enforcer<M> {
    /// Takes over what the maps hold: rules and operators' exemptions outlive a restart.
    pub(crate) fn restore(mut maps: M, settings: Settings, slot_count: u32) -> Result<Self, EnforceError> {
        let now = clock::monotonic_ns();
        let mut slots = Slots::new(slot_count);
        let (mut rules, mut expiry) = (HashMap::new(), Expiry::default());
        let mut notes = maps.notes().unwrap_or_else(|error| {
            tracing::error!(%error, "the reasons of the rules in force can't be read");
            HashMap::new()
        });
        for (target, rule) in maps.rules().map_err(|e| EnforceError::map(&"rules", e))? {
            if rule.expires_ns <= now || !slots.claim(rule.slot) {
                maps.delete(&target).map_err(|e| EnforceError::map(&target, e))?;
                continue;
            }
            let note = note_of(&target, &rule, &mut notes);
            let rule = Rule { class: note.class, ..rule };
            let in_force = InForce { rule, reason: note.reason, verdict_id: note.verdict_id, author: note.author };
            expiry.add(target, &rule);
            rules.insert(target, in_force);
        }
        let kept = maps.exemptions().map_err(|e| EnforceError::map(&"exemptions", e))?;
        let exemptions = kept.into_iter().map(|(e, o)| (e, (Origin::from_number(o), String::new()))).collect();
        let mut present = Present::default();
        rules.keys().for_each(|target| present.add(rule_flag(target)));
        let own = HashSet::new();
        let (unproved, to_prove) = (true, Vec::new());
        let mut enforcer =
            Self { maps, settings, slots, rules, expiry, exemptions, own, present, unproved, to_prove, notes };
        enforcer.exemptions.keys().for_each(|e| enforcer.present.add(exemption_flag(e)));
        enforcer.write_flags().map_err(|e| EnforceError::map(&"settings", e))?;
        Ok(enforcer)
    }

    /// Adds rules and exemptions read from tables of another size. Notes that then belong to no rule go.
    pub(crate) fn adopt(&mut self, rules: Vec<(Target, Rule)>, exemptions: Vec<(Exemption, u32)>) {
        let now = clock::monotonic_ns();
        let mut notes = std::mem::take(&mut self.notes);
        for (target, rule) in rules.into_iter().filter(|(_, rule)| rule.expires_ns > now) {
            let remaining_ms = if rule.expires_ns == FOR_EVER { 0 } else { (rule.expires_ns - now) / 1_000_000 + 1 };
            let note = note_of(&target, &rule, &mut notes);
            let request = Request {
                target,
                action: Action::from_u8(rule.action).unwrap_or(Action::Drop),
                ttl_ms: remaining_ms,
                limit: rule.limit,
                class: note.class,
                reason: note.reason,
                verdict_id: note.verdict_id,
                author: note.author,
            };
            if let Err(error) = self.put(request, now) {
                tracing::error!(%target, %error, "a block could not be carried over");
            }
        }
        for (exemption, origin) in exemptions {
            if let Err(error) = self.exempt(exemption, Origin::from_number(origin), String::new()) {
                tracing::error!(%exemption, %error, "an exemption could not be carried over");
            }
        }
        for target in notes.keys().filter(|target| !self.rules.contains_key(target)) {
            // It would find no rule at the next start either.
            let _kept_until_then = self.maps.forget(target);
        }
    }
}

/// The note of a rule; what the map itself says where there is none, or where it is of a rule before.
fn note_of(target: &Target, rule: &Rule, notes: &mut HashMap<Target, Note>) -> Note {
    let carries_class = !matches!(target, Target::NewFlows(_));
    let note = notes.remove(target).filter(|note| !carries_class || note.class == rule.class);
    note.unwrap_or_else(|| Note {
        author: author_of(target, rule),
        class: rule.class,
        verdict_id: String::new(),
        reason: BEFORE.to_owned(),
    })
}
