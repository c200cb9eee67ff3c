//! From integer flow state to the numbers a model reads.
//!
//! ONE table ([`table::TABLE`]) says for each feature its name, unit, integer source, formula, reference
//! column and how it is computed; array order, names, documentation and the digest that bundles are checked
//! against all come from it. [`Context::observe`] turns a record into a [`Row`]. No address, port or time of
//! day is ever a feature, and no value is ever NaN or infinite.

mod bounded;
mod clock;
mod feature;
mod moments;
mod row;
mod view;

pub mod cicflowmeter;
pub mod columns;
pub mod community_id;
pub mod context;
pub mod docs;
pub mod export;
pub mod recording;
pub mod sketch;
pub mod table;

pub use bounded::Bounded;
pub use clock::{EventClock, Tick};
pub use context::{Context, ContextLimits, ContextStats, PairTotals, Surroundings};
pub use feature::{Applies, Feature};
pub use recording::{Recording, RecordingError, rows_from_recording};
pub use row::{Meta, Row, SourceMeta};
pub use table::{COUNT, TABLE, digest, index_of, names};
