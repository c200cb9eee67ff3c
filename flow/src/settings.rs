//! The one struct in the programs' `.data` section: what userspace may change while they run.

use crate::Timeouts;
use crate::wire::wire_struct;

/// What the interface is to this sensor; decides which hook counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum InterfaceRole {
    /// An end of its traffic: both directions are counted where they pass.
    Host = 0,
    /// Gets a copy of other machines' traffic: both directions arrive, nothing that leaves is counted.
    Mirror = 1,
    /// Forwards: a packet is counted where it arrives.
    Router = 2,
}

/// Bits of [`Settings::flags`].
pub mod flag {
    /// Rules drop; without it they only count (`observe`).
    pub const ENFORCE: u64 = 1;
    /// `BLOCKS` is not empty.
    pub const BLOCKS: u64 = 1 << 1;
    /// `BLOCK_NETS` is not empty.
    pub const BLOCK_NETS: u64 = 1 << 2;
    /// `VERDICTS` is not empty.
    pub const VERDICTS: u64 = 1 << 3;
    /// `NEW_FLOW_LIMITS` is not empty.
    pub const NEW_FLOW_LIMITS: u64 = 1 << 4;
    /// `ALLOW_NETS` is not empty.
    pub const ALLOW_NETS: u64 = 1 << 5;
    /// `ALLOW_SERVICES` is not empty.
    pub const ALLOW_SERVICES: u64 = 1 << 6;
    /// `ALLOW_FLOWS` is not empty.
    pub const ALLOW_FLOWS: u64 = 1 << 7;
    /// Keep `SOURCES`.
    pub const SOURCES: u64 = 1 << 8;
    /// VLAN identifiers separate flows.
    pub const VLAN_DOMAIN: u64 = 1 << 9;
    /// The flow of a tunnelled packet is the inner one.
    pub const INNER: u64 = 1 << 10;
    /// What is configured, beside what the tables hold.
    pub const CONFIGURED: u64 = ENFORCE | SOURCES | VLAN_DOMAIN | INNER;
    /// Any allow rule exists.
    pub const ANY_ALLOW: u64 = ALLOW_NETS | ALLOW_SERVICES | ALLOW_FLOWS;
    /// Any rule against an address exists.
    pub const ANY_BLOCK: u64 = BLOCKS | BLOCK_NETS;
}

wire_struct! {
    /// Read on every packet, written by userspace alone. Timeouts are those of the `ganglion` profile.
    pub struct Settings {
        /// Bits of [`flag`].
        pub flags: u64,
        /// Seed of the set-associative tables' hashes.
        pub seed: u64,
        /// A flow silent for so long is over, µs.
        pub idle_us: u64,
        /// A flow that lasts so long is exported as ended, µs.
        pub active_us: u64,
        /// An unanswered flow silent for so long is over, µs.
        pub half_open_us: u64,
        /// The marker of an ended flow stays for so long, µs.
        pub linger_us: u64,
        /// Sets in `HALF_OPEN` less one (a power of two less one).
        pub half_open_mask: u32,
        /// Sets in `SOURCES` less one.
        pub sources_mask: u32,
        /// An [`InterfaceRole`].
        pub role: u32,
        /// Separates this interface group's flows from others'.
        pub domain: u32,
        /// Number of the present allow list; every change of it makes a new one. Never 0.
        pub allow_generation: u32,
        /// Bits by which the boot clock is shifted down, before the offset is added: 63 stop it, for tests; else 0.
        pub clock_shift: u32,
        /// Added to the boot clock, µs: tests inject a clock with it.
        pub clock_offset_us: u64,
        /// When not 0, every flow counts as silent: the sweep exports all (shutdown, upgrade), with this reason.
        pub flush_reason: u64,
    }
}

impl Settings {
    /// The defaults, with tables of this many sets.
    pub const fn new(half_open_sets: u32, source_sets: u32, seed: u64) -> Self {
        let Timeouts { idle_us, active_us, half_open_us, linger_us } = Timeouts::GANGLION;
        Self {
            flags: flag::SOURCES,
            seed,
            idle_us,
            active_us,
            half_open_us,
            linger_us,
            half_open_mask: half_open_sets - 1,
            sources_mask: source_sets - 1,
            role: InterfaceRole::Host as u32,
            domain: 0,
            allow_generation: 1,
            clock_shift: 0,
            clock_offset_us: 0,
            flush_reason: 0,
        }
    }
}
