//! Ganglion's kernel half: every packet is checked against the rules, counted in its flow, and passed.
//!
//! The entry points are thin. `path` holds the order of decisions; what a packet and a flow are is defined
//! in `ganglion-flow`, which userspace compiles too. Every doubt ends in pass, and is counted.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
#![allow(clippy::needless_borrows_for_generic_args, reason = "a key by value is a copy on a stack of 512 bytes")]
#![allow(internal_features, reason = "atomic exchange has no stable form on this target")]

#[cfg(feature = "bench")]
mod bench;
mod context;
mod counters;
mod export;
mod flows;
mod fragments;
mod half_open;
mod inner;
mod lock;
mod maps;
mod memory;
mod path;
mod rules;
mod sources;
mod sweep;

use aya_ebpf::bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action};
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use ganglion_flow::Hook;
use path::{Decision, Direction};

/// Ingress at XDP: every wire packet.
#[xdp]
pub fn ganglion_ingress(ctx: XdpContext) -> u32 {
    let (bytes, frame) = context::xdp(&ctx);
    match path::decide(&bytes, frame, Direction::In, Hook::Xdp) {
        Decision::Pass => xdp_action::XDP_PASS,
        Decision::Drop => xdp_action::XDP_DROP,
    }
}

/// Ingress at TC, where the driver has no native XDP: merged trains.
#[classifier]
pub fn ganglion_ingress_tc(ctx: TcContext) -> i32 {
    tc(&ctx, Direction::In, Hook::TcIngress)
}

/// Egress at TC.
#[classifier]
pub fn ganglion_egress(ctx: TcContext) -> i32 {
    tc(&ctx, Direction::Out, Hook::TcEgress)
}

#[inline(always)]
fn tc(ctx: &TcContext, direction: Direction, hook: Hook) -> i32 {
    let (bytes, frame) = context::skb(ctx);
    match path::decide(&bytes, frame, direction, hook) {
        // "Unspecified" hands the packet to whatever else is attached.
        Decision::Pass => TC_ACT_UNSPEC,
        Decision::Drop => TC_ACT_SHOT,
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Unreachable: the verifier refuses a program with a path to here.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
