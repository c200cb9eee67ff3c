//! One definition of a flow, compiled into the kernel programs, the sensor, the extractor and the tests.
//!
//! A packet is read through a [`Cursor`], becomes a [`Packet`], is filed under a [`FlowKey`] and updates a
//! [`FlowState`]; what is known is exported as a [`FlowRecord`] or a [`SourceRecord`]. Everything is an
//! integer: means, deviations and rates are derived in userspace (`features/`), exactly.
//!
//! No allocation, no floating point, no unsafe code.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod wire;

pub mod counter;
pub mod cursor;
pub mod fragments;
pub mod half_open;
pub mod key;
pub mod lifecycle;
pub mod packet;
pub mod record;
pub mod rules;
pub mod settings;
pub mod source;
pub mod state;

pub use counter::Counter;
pub use cursor::{Cursor, Frame};
pub use half_open::HalfOpen;
pub use key::{Addr, FlowKey};
pub use lifecycle::Timeouts;
pub use packet::{NotAFlow, Packet};
pub use record::{FlowRecord, Hook, Reason, RecordHeader, RecordKind, SourceRecord, Stage};
pub use source::{Role, SourceState};
pub use state::FlowState;
pub use wire::{Field, Wire};

/// Microseconds in a second: every time in a flow state is in microseconds since boot (`CLOCK_BOOTTIME`).
pub const US_PER_S: u64 = 1_000_000;
