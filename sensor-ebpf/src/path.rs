//! One packet's way through the kernel half: allow, block, flow verdict, update, pass.

use ganglion_flow::settings::{InterfaceRole, flag};
use ganglion_flow::{Counter, Cursor, FlowKey, Frame, Hook, Packet};

use crate::counters::Count;
use crate::maps::setting;
use crate::{flows, rules};

/// Which way the packet goes, seen from this machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    In,
    Out,
}

/// What becomes of the packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Pass,
    Drop,
}

/// A parsed packet with what all later steps need.
pub struct Passing<'a> {
    pub packet: &'a Packet,
    pub key: &'a FlowKey,
    pub sender_is_a: bool,
    pub direction: Direction,
    pub hook: Hook,
    pub flags: u64,
    pub count: Count,
}

/// Decides on the packet and counts it.
#[inline(always)]
pub fn decide<C: Cursor>(bytes: &C, frame: Frame, direction: Direction, hook: Hook) -> Decision {
    let Some(count) = Count::get() else {
        return Decision::Pass;
    };
    count.add(Counter::Seen, frame.segments as u64);
    let packet = match Packet::parse(bytes, frame) {
        Ok(packet) => packet,
        Err(why) => {
            count.add(Counter::SeenBytes, frame.len as u64);
            count.add(Counter::from(why), frame.segments as u64);
            return Decision::Pass;
        }
    };
    count.add(Counter::SeenBytes, packet.wire_bytes as u64);
    let flags = setting!(flags);
    let domain = if flags & flag::VLAN_DOMAIN != 0 { packet.vlan } else { setting!(domain) as u16 };
    let (key, sender_is_a) = packet.key(domain);
    let passing = Passing { packet: &packet, key: &key, sender_is_a, direction, hook, flags, count };
    if flags & (flag::ANY_BLOCK | flag::VERDICTS | flag::ANY_ALLOW) != 0
        && rules::judge(&passing) == Decision::Drop
    {
        return Decision::Drop;
    }
    if direction == Direction::Out && setting!(role) != InterfaceRole::Host as u32 {
        count.add(Counter::SkipRole, packet.segments as u64);
        return Decision::Pass;
    }
    flows::count(&passing)
}
