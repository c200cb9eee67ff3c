//! The rule maps of the kernel.

use std::collections::HashMap;

use aya::maps::MapError;
use ganglion_flow::rules::{Action, NewFlowLimit, Rule, RuleHits};
use ganglion_flow::settings::Settings;

use super::RuleMaps;
use super::note::{Note, NoteMap};
use crate::maps::{RuleTables, SettingsMap};
use crate::target::{Exemption, Target};

/// The maps of a loaded object.
pub(crate) struct KernelRules {
    pub(crate) tables: RuleTables,
    pub(crate) settings: SettingsMap,
    pub(crate) notes: NoteMap,
}

impl RuleMaps for KernelRules {
    fn put(&mut self, target: &Target, rule: &Rule) -> Result<(), MapError> {
        match target {
            Target::Address(addr) => self.tables.blocks.insert(addr, rule),
            Target::Network(net) => self.tables.block_nets.insert(net, rule),
            Target::Flow(key) => self.tables.verdicts.insert(key, rule),
            Target::NewFlows(addr) => {
                let limit = NewFlowLimit { expires_ns: rule.expires_ns, slot: rule.slot, limit: rule.limit };
                self.tables.new_flow_limits.insert(addr, &limit)
            }
        }
    }

    fn delete(&mut self, target: &Target) -> Result<bool, MapError> {
        match target {
            Target::Address(addr) => self.tables.blocks.remove(addr),
            Target::Network(net) => self.tables.block_nets.remove(net),
            Target::Flow(key) => self.tables.verdicts.remove(key),
            Target::NewFlows(addr) => self.tables.new_flow_limits.remove(addr),
        }
    }

    fn rules(&self) -> Result<Vec<(Target, Rule)>, MapError> {
        self.tables.rules()
    }

    fn exempt(&mut self, exemption: &Exemption, origin: u32) -> Result<(), MapError> {
        match exemption {
            Exemption::Network(net) => self.tables.allow_nets.insert(net, &origin),
            Exemption::Service(service) => self.tables.allow_services.insert(service, &origin),
            Exemption::Flow(key) => self.tables.allow_flows.insert(key, &origin),
        }
    }

    fn unexempt(&mut self, exemption: &Exemption) -> Result<bool, MapError> {
        match exemption {
            Exemption::Network(net) => self.tables.allow_nets.remove(net),
            Exemption::Service(service) => self.tables.allow_services.remove(service),
            Exemption::Flow(key) => self.tables.allow_flows.remove(key),
        }
    }

    fn exemptions(&self) -> Result<Vec<(Exemption, u32)>, MapError> {
        self.tables.exemptions()
    }

    fn clear_slot(&mut self, slot: u32) -> Result<(), MapError> {
        self.tables.clear_slot(slot)
    }

    fn note(&mut self, target: &Target, note: &Note) -> Result<(), MapError> {
        self.notes.insert(target, note)
    }

    fn forget(&mut self, target: &Target) -> Result<(), MapError> {
        self.notes.remove(target)
    }

    fn notes(&self) -> Result<HashMap<Target, Note>, MapError> {
        self.notes.read()
    }

    fn hits(&self, slot: u32) -> Result<RuleHits, MapError> {
        self.tables.hits.sum(slot)
    }

    fn write_settings(&mut self, settings: &Settings) -> Result<(), MapError> {
        self.settings.write(settings)
    }
}

impl RuleTables {
    /// Every rule there is.
    pub(crate) fn rules(&self) -> Result<Vec<(Target, Rule)>, MapError> {
        let mut all = Vec::new();
        all.extend(self.blocks.entries()?.into_iter().map(|(a, r)| (Target::Address(a), r)));
        all.extend(self.block_nets.entries()?.into_iter().map(|(n, r)| (Target::Network(n), r)));
        all.extend(self.verdicts.entries()?.into_iter().map(|(k, r)| (Target::Flow(k), r)));
        all.extend(self.new_flow_limits.entries()?.into_iter().map(|(a, l)| (Target::NewFlows(a), of_limit(&l))));
        Ok(all)
    }

    /// Every exemption there is, with its origin.
    pub(crate) fn exemptions(&self) -> Result<Vec<(Exemption, u32)>, MapError> {
        let mut all = Vec::new();
        all.extend(self.allow_nets.entries()?.into_iter().map(|(n, o)| (Exemption::Network(n), o)));
        all.extend(self.allow_services.entries()?.into_iter().map(|(s, o)| (Exemption::Service(s), o)));
        all.extend(self.allow_flows.entries()?.into_iter().map(|(k, o)| (Exemption::Flow(k), o)));
        Ok(all)
    }
}

/// A limit as a rule; the class that brought it is in its note.
pub(crate) fn of_limit(limit: &NewFlowLimit) -> Rule {
    Rule {
        expires_ns: limit.expires_ns,
        slot: limit.slot,
        limit: limit.limit,
        action: Action::RateLimit as u8,
        class: 0,
        prefix: 0,
        zero: 0,
        proof: 0,
    }
}
