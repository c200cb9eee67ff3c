//! The brain: records → features → model → evidence → verdict.
//!
//! [`run`] serves `ganglion.v1.Brain`. A record's way: [`server`] takes batches from a sensor's stream and
//! queues them; [`pipeline`], a thread of its own, derives rows, scores them with the [`models`] that decide, each
//! from a [`bundle`], and asks the [`policy`], which gathers evidence by the rules of a [`playbook`]; verdicts go
//! back down the stream, alerts and outcomes to the [`events`] readers.
//!
//! The brain needs no privileges and touches no BPF map.

mod config;
mod error;
mod run;

pub mod bench;
pub mod bundle;
pub mod class;
pub mod eval;
pub mod events;
pub mod explain;
pub mod labels;
pub mod listen;
pub mod metrics;
pub mod model;
pub mod models;
pub mod pipeline;
pub mod playbook;
pub mod policy;
pub mod runtime;
pub mod server;

pub use bundle::{Description, describe};
pub use config::BrainConfig;
pub use error::BrainError;
pub use run::run;
