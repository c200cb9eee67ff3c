//! Which of the kernel's rule maps hold something: the flags that spare it useless look-ups.

use ganglion_flow::settings::flag;

use crate::target::{Exemption, Target};

/// How many entries stand behind each flag of the settings.
#[derive(Default)]
pub(super) struct Present([u32; 16]);

impl Present {
    fn count(&mut self, flag: u64) -> Option<&mut u32> {
        self.0.get_mut(flag.trailing_zeros() as usize)
    }

    pub(super) fn add(&mut self, flag: u64) {
        if let Some(count) = self.count(flag) {
            *count += 1;
        }
    }

    pub(super) fn remove(&mut self, flag: u64) {
        if let Some(count) = self.count(flag) {
            *count = count.saturating_sub(1);
        }
    }

    pub(super) fn flags(&self) -> u64 {
        self.0.iter().enumerate().filter(|(_, count)| **count > 0).map(|(bit, _)| 1 << bit).sum()
    }
}

/// The flag of the map that holds rules like this.
pub(super) fn rule_flag(target: &Target) -> u64 {
    match target {
        Target::Address(_) => flag::BLOCKS,
        Target::Network(_) => flag::BLOCK_NETS,
        Target::Flow(_) => flag::VERDICTS,
        Target::NewFlows(_) => flag::NEW_FLOW_LIMITS,
    }
}

/// The flag of the map that holds exemptions like this.
pub(super) fn exemption_flag(exemption: &Exemption) -> u64 {
    match exemption {
        Exemption::Network(_) => flag::ALLOW_NETS,
        Exemption::Service(_) => flag::ALLOW_SERVICES,
        Exemption::Flow(_) => flag::ALLOW_FLOWS,
    }
}
