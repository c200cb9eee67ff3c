//! A rule: as asked for, as in force, and why it is refused.

use std::collections::HashMap;

use aya::maps::MapError;
use ganglion_flow::rules::{Action, Rule, RuleHits};
use ganglion_flow::settings::Settings;

use super::note::{ID_BYTES, Note};
use crate::gate::Refusal;
use crate::target::{Exemption, Target};

/// The rule maps, as the enforcer uses them.
pub(crate) trait RuleMaps: Send {
    fn put(&mut self, target: &Target, rule: &Rule) -> Result<(), MapError>;
    fn delete(&mut self, target: &Target) -> Result<bool, MapError>;
    fn rules(&self) -> Result<Vec<(Target, Rule)>, MapError>;
    fn exempt(&mut self, exemption: &Exemption, origin: u32) -> Result<(), MapError>;
    fn unexempt(&mut self, exemption: &Exemption) -> Result<bool, MapError>;
    fn exemptions(&self) -> Result<Vec<(Exemption, u32)>, MapError>;
    fn clear_slot(&mut self, slot: u32) -> Result<(), MapError>;
    fn note(&mut self, target: &Target, note: &Note) -> Result<(), MapError>;
    fn forget(&mut self, target: &Target) -> Result<(), MapError>;
    fn notes(&self) -> Result<HashMap<Target, Note>, MapError>;
    fn hits(&self, slot: u32) -> Result<RuleHits, MapError>;
    fn write_settings(&mut self, settings: &Settings) -> Result<(), MapError>;
}

/// Who asks for a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Author {
    /// The brain.
    Verdict = 1,
    /// A person.
    Operator = 2,
}

/// A rule as asked for.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) target: Target,
    pub(crate) action: Action,
    /// 0 for ever.
    pub(crate) ttl_ms: u64,
    pub(crate) limit: u32,
    pub(crate) class: u8,
    pub(crate) reason: String,
    pub(crate) verdict_id: String,
    pub(crate) author: Author,
}

/// A rule in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InForce {
    pub(crate) rule: Rule,
    pub(crate) reason: String,
    pub(crate) verdict_id: String,
    pub(crate) author: Author,
}

/// Why a request did not become a rule.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnforceError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("{0}")]
    Invalid(&'static str),
    #[error("all {0} rule slots are taken; raise tables.rules or let blocks expire")]
    NoSlot(u32),
    #[error("the kernel's map refused {target}: {source}")]
    Map { target: String, source: MapError },
}

impl EnforceError {
    pub(super) fn map(what: &impl std::fmt::Display, source: MapError) -> Self {
        Self::Map { target: what.to_string(), source }
    }
}

/// Who made a rule found in a map without a note. Limits do not carry their class; a person's would be renewed by one.
pub(super) fn author_of(target: &Target, rule: &Rule) -> Author {
    let person = rule.class == 0 && !matches!(target, Target::NewFlows(_));
    if person { Author::Operator } else { Author::Verdict }
}

/// Checks what the gate does not look at.
pub(super) fn check(request: &Request) -> Result<(), EnforceError> {
    let limits = request.action == Action::RateLimit || matches!(request.target, Target::NewFlows(_));
    if limits && request.limit == 0 {
        return Err(EnforceError::Invalid("a limit needs limit_per_second of at least 1"));
    }
    if request.author == Author::Verdict && request.ttl_ms == 0 {
        return Err(EnforceError::Invalid("a verdict needs a time to live"));
    }
    if request.verdict_id.len() > ID_BYTES {
        return Err(EnforceError::Invalid("a verdict's id has at most 40 bytes"));
    }
    Ok(())
}
