//! One packet's way through the kernel half: allow, block, flow verdict, update, pass.

use ganglion_flow::settings::{InterfaceRole, flag};
use ganglion_flow::{Counter, Cursor, FlowKey, Frame, Hook, NotAFlow, Packet};

use crate::counters::Count;
use crate::maps::{FLOWS, PASSING, setting};
use crate::{export, flows, half_open, rules};

/// Which way the packet goes, seen from this machine.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Direction {
    In,
    Out,
}

/// What becomes of the packet.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Decision {
    Pass,
    Drop,
}

/// A parsed packet on its way through the steps. It lies in a per-CPU map: the programs' stacks are short,
/// and a pointer to it can be handed to functions that the verifier proves on their own.
#[repr(C)]
pub struct Passing {
    pub packet: Packet,
    pub key: FlowKey,
    /// Microseconds since boot; set for packets that reach a flow.
    pub now_us: u64,
    pub sender_is_a: u8,
    pub outbound: u8,
    /// A [`Hook`].
    pub hook: u8,
    pub zero: u8,
    /// The key's.
    pub tag: u32,
    pub tick: rules::Tick,
}

/// Decides on the packet and counts it. The steps after parsing are functions of their own, which the verifier
/// proves once instead of once per way through the parser.
#[inline(always)]
pub fn decide<C: Cursor>(bytes: &C, frame: Frame, direction: Direction, hook: Hook) -> Decision {
    let Some(count) = Count::get() else {
        return Decision::Pass;
    };
    count.add(Counter::Seen, frame.segments as u64);
    count.add(Counter::SeenBytes, frame.len as u64);
    // A hook has its own slot: should one interrupt another on this CPU, neither spoils the other's packet.
    let Some(passing) = PASSING.get_ptr_mut(hook as u32) else {
        return Decision::Pass;
    };
    // SAFETY: this CPU's slot for this hook, which does not preempt itself.
    let passing = unsafe { &mut *passing };
    let flags = setting!(flags);
    let network = match passing.packet.network(bytes, frame) {
        Ok(network) => network,
        Err(why) => return pass_uncounted(count, why, frame),
    };
    let mut asks = flags & flag::VERDICTS != 0;
    if flags & flag::ANY_BLOCK != 0 {
        let remote = if direction == Direction::Out { &passing.packet.dst } else { &passing.packet.src };
        match rules::address(remote, flags, frame.segments, frame.len, &mut passing.tick, count) {
            rules::DROP => return Decision::Drop,
            rules::ASK => asks = true,
            _ => {}
        }
    }
    if let Err(why) = passing.packet.transport(bytes, frame, network) {
        return pass_uncounted(count, why, frame);
    }
    // The headers of merged packets were on the wire too.
    count.add(Counter::SeenBytes, (passing.packet.wire_bytes - frame.len) as u64);
    let domain = if flags & flag::VLAN_DOMAIN != 0 { passing.packet.vlan } else { setting!(domain) as u16 };
    let (key, sender_is_a) = passing.packet.key(domain);
    passing.key = key;
    passing.tag = key.tag();
    passing.sender_is_a = sender_is_a as u8;
    passing.outbound = (direction == Direction::Out) as u8;
    passing.hook = hook as u8;
    if asks && rules::ganglion_judge(passing) == rules::DROP {
        return Decision::Drop;
    }
    if direction == Direction::Out && setting!(role) != InterfaceRole::Host as u32 {
        count.add(Counter::SkipRole, passing.packet.segments as u64);
        return Decision::Pass;
    }
    passing.now_us = export::now_us();
    count_in_flow(passing, count)
}

#[inline(always)]
fn pass_uncounted(count: Count, why: NotAFlow, frame: Frame) -> Decision {
    count.add(Counter::from(why), frame.segments as u64);
    Decision::Pass
}

#[inline(always)]
fn count_in_flow(passing: &mut Passing, count: Count) -> Decision {
    if let Some(flow) = FLOWS.get_ptr_mut(&passing.key) {
        flows::ganglion_update(flow, passing);
        return Decision::Pass;
    }
    let outcome = half_open::ganglion_half_open(passing);
    if outcome == half_open::PROMOTED {
        match FLOWS.get_ptr_mut(&passing.key) {
            Some(flow) => drop(flows::ganglion_update(flow, passing)),
            None => count.add(Counter::SkipFull, passing.packet.segments as u64),
        }
    }
    if outcome == half_open::REFUSED { Decision::Drop } else { Decision::Pass }
}
