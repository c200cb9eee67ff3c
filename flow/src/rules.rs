//! What userspace tells the kernel to do with packets: values of the rule maps.

use crate::key::Addr;
use crate::wire::wire_struct;

/// What becomes of a packet that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Action {
    /// Count it, let it pass.
    Observe = 0,
    /// Drop it.
    Drop = 1,
    /// Let `limit` packets per second pass, drop the rest.
    RateLimit = 2,
}

impl Action {
    /// The action with this number.
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Observe),
            1 => Some(Self::Drop),
            2 => Some(Self::RateLimit),
            _ => None,
        }
    }
}

wire_struct! {
    /// Value of `BLOCKS`, `BLOCK_NETS` and `VERDICTS`.
    pub struct Rule {
        /// The rule holds until then: coarse monotonic clock, ns. `u64::MAX` for ever.
        pub expires_ns: u64,
        /// Index into `RULE_HITS` and `RULE_RATES`.
        pub slot: u32,
        /// Packets per second, for [`Action::RateLimit`].
        pub limit: u32,
        /// An [`Action`].
        pub action: u8,
        /// The class that brought the rule (0 when a person did).
        pub class: u8,
        /// Of a rule on a network, its prefix length: once it expires, the kernel looks for a wider one. 0: there is none
        /// to look for, or not known.
        pub prefix: u8,
        /// Always zero.
        pub zero: u8,
        /// The allow list's generation ([`crate::settings::Settings::allow_generation`]) under which the rule's
        /// address was found in no exemption, so that a drop need not look them all up again. 0: not known; any
        /// other number than the present one: no longer known. Only rules on addresses may carry one.
        pub proof: u32,
    }
}

wire_struct! {
    /// Value of `NEW_FLOW_LIMITS`: how many new flows per second an address takes from unknown peers.
    pub struct NewFlowLimit {
        /// Holds until then: coarse monotonic clock, ns.
        pub expires_ns: u64,
        /// Index into `RULE_HITS` and `RULE_RATES`.
        pub slot: u32,
        /// New flows per second.
        pub limit: u32,
    }
}

wire_struct! {
    /// Value of `RULE_HITS`, per CPU.
    pub struct RuleHits {
        /// Packets matched.
        pub packets: u64,
        /// Their bytes.
        pub bytes: u64,
        /// Packets of them dropped.
        pub dropped: u64,
        /// First drop, ns since boot; 0 before it.
        pub first_drop_ns: u64,
    }
}

wire_struct! {
    /// Value of `RULE_RATES`: packets let through in the current second.
    pub struct RuleRate {
        /// The second, by the coarse monotonic clock.
        pub second: u64,
        /// Packets let through in it.
        pub passed: u64,
    }
}

wire_struct! {
    /// Key of `ALLOW_SERVICES`: an exempt service of an infrastructure host. The port is the service's, on
    /// the named address; any other traffic of that address is not exempt.
    pub struct ServiceKey {
        /// The host.
        pub addr: Addr,
        /// The service's port, host order.
        pub port: u16,
        /// IP protocol number.
        pub protocol: u8,
        /// Always zero.
        pub zero: [u8; 5],
    }
}
