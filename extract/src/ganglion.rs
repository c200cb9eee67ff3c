//! The `ganglion` profile: flows by the rules of the kernel's programs, columns of the feature table.
//!
//! It is the same code: what a packet is, what a flow remembers and when it ends stand once, in `ganglion-flow`. What
//! differs is what files allow. No table is ever full, so no packet is skipped: every frame is in a row, came after its
//! flow's end, or belongs to no flow for a reason that is counted ([`Counts`]). And nobody has to sweep: a time-out
//! happens at the microsecond it is due, by event time, so that rows do not depend on when anybody looked.
//!
//! **Event time** is the newest time of any frame so far. A frame a little older counts in its flow as the kernel would
//! count it. One that is more than a minute older starts a new time base, as another capture does: all flows end.
//!
//! **Order.** Rows come in order of the time at which their records were made, ties by first packet and key, whatever
//! the number of cores.
//!
//! **Memory** grows with the flows that are live at one time, and with nothing else.
//!
//! **Context** columns, where asked for, are made in a serial pass over the rows, from FLOW records alone: a SOURCE
//! record is no row of a file, so the features that count by them are 0. [`extract_records`] makes SOURCE records, too.

mod clock;
mod columns;
mod counts;
mod extraction;
mod identity;
mod passing;
mod pool;
mod rows;
mod secret;
mod shard;
mod slab;
mod sources;
mod timers;

pub use columns::{fields, references};
pub use counts::Counts;
pub use extraction::{Extraction, extract, extract_records};

use ganglion_flow::Timeouts;

/// What is extracted, and by which rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// When flows end.
    pub timeouts: Timeouts,
    /// Separates networks with overlapping addresses, as in the flow key; of what has no domain of its own.
    pub domain: u16,
    /// VLAN identifiers separate flows.
    pub vlan_domain: bool,
    /// The flow of a tunnelled packet is the inner one, in the domain of its tunnel.
    pub inner: bool,
    /// Rows have the columns of what happened around them.
    pub context: bool,
    /// Flows make early rows too: after 8, 32, 128 packets, and at an age of 1, 5, 30 s.
    pub snapshots: bool,
}

#[cfg(test)]
mod tests;
