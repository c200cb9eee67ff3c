//! The kernel half, run on packets given as bytes (`BPF_PROG_TEST_RUN`): no network, the real verifier, the
//! real maps. Needs root and a kernel with BTF.

mod actions;
mod harness;
mod lifecycle;
mod packets;
mod parse;
mod sources;
