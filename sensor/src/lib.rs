//! The sensor: loads the kernel half, attaches it, drains its records, carries out verdicts.
//!
//! [`run`] does all of it. What the sensor does not do: look at a record's content, decide on a block, or
//! link a model. A record goes from the ring buffer (`drain`) to the brain (`uplink`) or a file
//! ([`recording`]); a verdict comes back, passes the gate ([`gate`]), takes a slot and becomes a map entry
//! (`enforce`). Programs, maps and links are pinned, so that nothing stops when this process does.

mod attach;
mod clock;
mod control;
mod core;
mod drain;
mod enforce;
mod layout;
mod ledger;
mod load;
mod maps;
mod netlink;
mod preflight;
mod privileges;
mod protect;
mod recorder;
mod sensor;
mod sweep;
mod sys;
mod target;
mod upgrade;
mod uplink;

#[cfg(feature = "bench")]
pub mod bench;
pub mod config;
pub mod gate;
pub mod metrics;
pub mod object;
pub mod recording;
pub mod report;

pub use attach::{AttachError, Attached};
pub use config::{ConfigError, Overrides, SensorConfig};
pub use control::SocketError;
pub use layout::{LayoutError, MapSpec, memory_bytes, specs};
pub use ledger::{Entry, Ledger};
pub use load::LoadError;
pub use preflight::PreflightError;
pub use sensor::{Sensor, SensorError, detach, run, run_blocking};
pub use target::{Exemption, Net, Target, TargetError, Tuple};
pub use uplink::{Endpoint, EndpointError};
