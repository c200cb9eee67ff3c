//! One packet's way through the kernel half: allow, block, flow verdict, update, pass.

use ganglion_flow::packet::Part;
use ganglion_flow::settings::{InterfaceRole, flag};
use ganglion_flow::{Counter, Cursor, FlowKey, Frame, Hook, NotAFlow, Packet};

use crate::counters::Count;
use crate::inner::{self, Inside};
use crate::maps::{FLOWS, PASSING, setting};
use crate::{export, flows, fragments, half_open, rules};

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
    /// 1 when the packet came out of a tunnel.
    pub tunnelled: u8,
    /// The key's.
    pub tag: u32,
    pub tick: rules::Tick,
    /// The packet in a tunnel, while it is read.
    pub inner: Packet,
}

impl Passing {
    /// Sets the flow that the packet belongs to.
    #[inline(always)]
    pub fn file(&mut self, domain: u16) {
        let (key, sender_is_a) = self.packet.key(domain);
        self.key = key;
        self.tag = key.tag();
        self.sender_is_a = sender_is_a as u8;
    }
}

/// Decides on the packet and counts it. The steps after parsing are functions of their own, which the verifier
/// proves once instead of once per way through the parser.
#[inline(always)]
pub fn decide<C: Cursor + Inside>(bytes: &C, frame: Frame, direction: Direction, hook: Hook) -> Decision {
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
        Err(why) => return pass_as(count, why.into(), frame),
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
    let domain = if flags & flag::VLAN_DOMAIN != 0 { passing.packet.vlan } else { setting!(domain) as u16 };
    let part = network.part();
    let read = passing.packet.transport(bytes, frame, network);
    if !part.is_whole() || read.is_err() {
        match datagram(passing, part, domain, read) {
            Ok(()) => {}
            Err(counter) => return pass_as(count, counter, frame),
        }
    }
    // The headers of merged packets were on the wire too.
    count.add(Counter::SeenBytes, (passing.packet.wire_bytes - frame.len) as u64);
    passing.file(domain);
    passing.outbound = (direction == Direction::Out) as u8;
    passing.hook = hook as u8;
    passing.tunnelled = 0;
    let judged = if asks { rules::ganglion_judge(passing) } else { rules::PASS };
    if judged == rules::DROP {
        return Decision::Drop;
    }
    if direction == Direction::Out && setting!(role) != InterfaceRole::Host as u32 {
        count.add(Counter::SkipRole, passing.packet.segments as u64);
        return Decision::Pass;
    }
    if flags & flag::INNER != 0 && part.is_whole() && passing.packet.may_be_tunnel() {
        match bytes.look(passing, network.at(), judged == rules::EXEMPT) {
            inner::DROP => return Decision::Drop,
            inner::FRAGMENT => return pass_as(count, Counter::Fragment, frame),
            inner::BUSY => return pass_as(count, Counter::SkipLock, frame),
            _ => {}
        }
    }
    passing.now_us = export::now_us();
    count_in_flow(passing, count)
}

/// Sees to what is not a whole datagram: a fragment's flow, or why there is none.
#[inline(always)]
fn datagram(passing: &mut Passing, part: Part, domain: u16, read: Result<(), NotAFlow>) -> Result<(), Counter> {
    match read {
        Ok(()) => {
            // Should the table be busy, the later fragments will be unknown.
            fragments::see(passing, part, domain);
            Ok(())
        }
        Err(NotAFlow::Fragment) => match fragments::see(passing, part, domain) {
            fragments::KNOWN => Ok(()),
            fragments::BUSY => Err(Counter::SkipLock),
            _ => Err(Counter::Fragment),
        },
        Err(why) => Err(why.into()),
    }
}

#[inline(always)]
fn pass_as(count: Count, why: Counter, frame: Frame) -> Decision {
    count.add(why, frame.segments as u64);
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
