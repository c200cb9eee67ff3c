//! How fast a model scores on this machine: rows a second by batch size and threads, and the time of a single flow.

mod derive;
mod flows;
mod measure;
mod rows;

pub use derive::derived_per_s;
pub use flows::flow;
pub use measure::{Agreement, Latency, Throughput, agreement, latency, throughput};
pub use rows::Rows;
