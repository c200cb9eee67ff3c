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
    /// Sets where the packet was met.
    #[inline(always)]
    fn meet(&mut self, direction: Direction, hook: Hook) {
        self.outbound = (direction == Direction::Out) as u8;
        self.hook = hook as u8;
        self.tunnelled = 0;
    }

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
    let by_address = judge_address(passing, direction, flags, frame, count);
    if by_address == rules::DROP {
        return Decision::Drop;
    }
    let domain = if flags & flag::VLAN_DOMAIN != 0 { passing.packet.vlan } else { setting!(domain) as u16 };
    let part = network.part();
    let read = passing.packet.transport(bytes, frame, network);
    if (!part.is_whole() || read.is_err())
        && let Err(why) = datagram(passing, part, domain, read)
    {
        return pass_as(count, why, frame);
    }
    // The headers of merged packets were on the wire too.
    count.add(Counter::SeenBytes, (passing.packet.wire_bytes - frame.len) as u64);
    passing.file(domain);
    passing.meet(direction, hook);
    let asks = by_address == rules::ASK || flags & flag::VERDICTS != 0;
    let judged = if asks { rules::ganglion_judge(passing) } else { rules::PASS };
    if judged == rules::DROP {
        return Decision::Drop;
    }
    if direction == Direction::Out && setting!(role) != InterfaceRole::Host as u32 {
        return pass_as(count, Counter::SkipRole, frame);
    }
    if flags & flag::INNER != 0
        && part.is_whole()
        && let Some(decision) = in_tunnel(bytes, frame, passing, network.at(), judged == rules::EXEMPT, count)
    {
        return decision;
    }
    passing.now_us = export::now_us();
    count_in_flow(passing, count)
}

/// What the rules on addresses say: [`rules::PASS`], [`rules::DROP`], or [`rules::ASK`] where the ports decide.
#[inline(always)]
fn judge_address(passing: &mut Passing, direction: Direction, flags: u64, frame: Frame, count: Count) -> u32 {
    if flags & flag::ANY_BLOCK == 0 {
        return rules::PASS;
    }
    let remote = if direction == Direction::Out { &passing.packet.dst } else { &passing.packet.src };
    rules::address(remote, flags, frame.segments, frame.len, &mut passing.tick, count)
}

/// Puts the packet in a tunnel in the place of the one around it, where there is such a one. A decision where it belongs
/// to no flow.
#[inline(always)]
fn in_tunnel<I: Inside>(
    bytes: &I,
    frame: Frame,
    passing: &mut Passing,
    at: usize,
    exempt: bool,
    count: Count,
) -> Option<Decision> {
    if !passing.packet.may_be_tunnel() {
        return None;
    }
    match bytes.look(passing, at, exempt) {
        inner::COUNTED => None,
        inner::DROP => Some(Decision::Drop),
        inner::BUSY => Some(pass_as(count, Counter::SkipLock, frame)),
        _ => Some(pass_as(count, Counter::Fragment, frame)),
    }
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
    if let Some(flow) = FLOWS.get_ptr_mut(&passing.key)
        && flows::ganglion_update(flow, passing) == flows::COUNTED
    {
        return Decision::Pass;
    }
    // No flow, or one between its export and its deletion: the packet begins the next.
    let outcome = half_open::ganglion_half_open(passing);
    if outcome == half_open::PROMOTED {
        let counted = match FLOWS.get_ptr_mut(&passing.key) {
            Some(flow) => flows::ganglion_update(flow, passing),
            None => flows::CLOSING,
        };
        if counted == flows::CLOSING {
            count.add(Counter::SkipClosing, passing.packet.segments as u64);
        }
    }
    if outcome == half_open::REFUSED { Decision::Drop } else { Decision::Pass }
}
