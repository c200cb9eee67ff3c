//! The `cicflowmeter` profile: flows and columns by the rules of the corrected CICFlowMeter, quirks included.
//!
//! The reference is `GintsEngelen/CICFlowMeter` at commit `4dd5319` as its command line runs it: a flow time-out of
//! 120 s from the first packet, an activity time-out of 5 s, both directions in one flow, IPv4 alone. A model trained
//! on the published CSV files of that tool (or of its relatives) sees the same numbers here. Left out on purpose are
//! its phantom rows: frames that are not IPv4 are counted in [`Counts::not_ipv4`] and make no row.
//!
//! **Memory is not bounded.** The tool forgets no 5-tuple before the end of the capture, because a continuation after
//! 120 s takes direction, start and seen segments from the flow before it, however long ago that was; and an exact
//! count of retransmissions keeps every distinct segment of a TCP flow. Both grow with the capture, so this profile is
//! for files and never for the kernel. [`Engine::tuples`] is the figure to watch.

mod activity;
mod bulk;
mod columns;
mod direction;
mod docs;
mod engine;
mod extraction;
mod flow;
mod moments;
mod number;
mod packet;
mod row;
mod table;
mod timestamp;

pub use columns::{COLUMNS, Column, Kind, Value};
pub use docs::columns_markdown;
pub use engine::{Counts, Engine};
pub use extraction::{Extraction, extract};
pub use packet::{Conversation, Packet, Protocol};
pub use row::{Row, write_csv_header};
pub use table::{batch, fields};

pub(crate) use number::write_java;
pub(crate) use timestamp::{Timestamp, civil};
