//! The kernel half, run on packets given as bytes (`BPF_PROG_TEST_RUN`): no network, the real verifier, the
//! real maps. Needs root and a kernel with BTF.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test, a panic is how it fails")]

mod actions;
mod cut;
mod fragments;
mod frames;
mod harness;
mod life;
mod lifecycle;
mod mirror;
mod offline;
mod packets;
mod parse;
mod protocols;
mod sources;
mod tcp;
mod tunnels;
