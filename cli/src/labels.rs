//! Names of the protocol's enums, as shown and as read.

use clap::ValueEnum;
use ganglion_proto::v1::{Action, Mode, Outcome, TrafficClass};

/// `DDoS`, `PortScan`, …
pub(crate) fn class(number: i32) -> &'static str {
    match TrafficClass::try_from(number) {
        Ok(TrafficClass::Benign) => "Benign",
        Ok(TrafficClass::Ddos) => "DDoS",
        Ok(TrafficClass::Dos) => "DoS",
        Ok(TrafficClass::PortScan) => "PortScan",
        Ok(TrafficClass::Bot) => "Bot",
        Ok(TrafficClass::BruteForce) => "BruteForce",
        Ok(TrafficClass::Web) => "Web",
        Ok(TrafficClass::Heartbleed) => "Heartbleed",
        Ok(TrafficClass::Infiltration) => "Infiltration",
        Ok(TrafficClass::Unknown) | Err(_) => "Unknown",
    }
}

/// `drop`, `rate-limit`, …
pub(crate) fn action(number: i32) -> &'static str {
    match Action::try_from(number) {
        Ok(Action::Observe) => "observe",
        Ok(Action::Drop) => "drop",
        Ok(Action::RateLimit) => "rate-limit",
        Ok(Action::LimitNewFlows) => "limit-new-flows",
        Ok(Action::Unspecified) | Err(_) => "-",
    }
}

/// `observe` or `enforce`.
pub(crate) fn mode(number: i32) -> &'static str {
    match Mode::try_from(number) {
        Ok(Mode::Observe) => "observe",
        Ok(Mode::Enforce) => "enforce",
        Ok(Mode::Unspecified) | Err(_) => "-",
    }
}

/// `enforced`, `would-enforce`, `refused`, `failed`.
pub(crate) fn outcome(number: i32) -> &'static str {
    match Outcome::try_from(number) {
        Ok(Outcome::Enforced) => "enforced",
        Ok(Outcome::WouldEnforce) => "would-enforce",
        Ok(Outcome::Refused) => "refused",
        Ok(Outcome::Failed) => "failed",
        Ok(Outcome::Unspecified) | Err(_) => "-",
    }
}

/// What a block does with packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BlockAction {
    /// Drop every packet of the target
    Drop,
    /// Let --limit packets per second of the target pass
    RateLimit,
    /// Let --limit new flows per second towards the target pass
    LimitNewFlows,
    /// Count, pass
    Observe,
}

impl From<BlockAction> for Action {
    fn from(action: BlockAction) -> Self {
        match action {
            BlockAction::Drop => Self::Drop,
            BlockAction::RateLimit => Self::RateLimit,
            BlockAction::LimitNewFlows => Self::LimitNewFlows,
            BlockAction::Observe => Self::Observe,
        }
    }
}

/// Whether rules drop or only count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeName {
    /// Rules count what they would have dropped
    Observe,
    /// Rules drop
    Enforce,
}

impl From<ModeName> for Mode {
    fn from(mode: ModeName) -> Self {
        match mode {
            ModeName::Observe => Self::Observe,
            ModeName::Enforce => Self::Enforce,
        }
    }
}
