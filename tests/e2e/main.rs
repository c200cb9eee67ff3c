//! End to end: the real `ganglion` binary, real packets, network namespaces without an uplink.
//!
//! Needs root and a kernel with BTF. The tests take turns, since two cores do not carry two of them in time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking; the harness around it as well"
)]

mod harness;

mod allow;
mod block;
mod brain;
mod egress;
mod flood;
mod hooks;
mod input;
mod metrics;
mod observe;
mod relay;
mod restart;
mod run;
