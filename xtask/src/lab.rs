//! The cyber range: real servers, real clients and real attack tools in network namespaces.
//!
//! [`range::Range`] is the way in for everything else: it builds the range from a scenario, starts
//! benign load, runs attacks and takes everything down again when it is dropped.

pub(crate) mod accounts;
pub(crate) mod attack;
mod attacks;
pub(crate) mod benign;
mod checked;
pub(crate) mod class;
mod commands;
pub(crate) mod draw;
pub(crate) mod events;
pub(crate) mod host;
mod network;
pub(crate) mod range;
mod record;
pub(crate) mod relay;
pub(crate) mod run_dir;
pub(crate) mod scenario;
pub(crate) mod sensor;
pub(crate) mod services;
mod sessions;
pub(crate) mod site;
mod train;

pub(crate) use commands::{Args, run};
