//! Flows of one packet, in a set-associative table with a replacement of our own.
//!
//! A flow gets its full state with its second packet or its reply, so that a flood of single packets can't
//! push out real flows. What is overwritten is counted and folded into its source.

use crate::key::{Addr, FlowKey};
use crate::packet::Packet;
use crate::state::{Change, FlowState};
use crate::wire::{Wire, wire_struct};

/// Entries per set.
pub const WAYS: usize = 4;

wire_struct! {
    /// A flow of which one packet was seen.
    pub struct HalfOpen {
        /// The flow; all zero in an empty slot.
        pub key: FlowKey,
        /// Time of the packet, µs since boot; 0 marks an empty slot.
        pub seen_us: u64,
        /// TCP sequence number.
        pub seq: u32,
        /// Payload bytes.
        pub payload_bytes: u32,
        /// Bytes on the wire.
        pub wire_bytes: u32,
        /// Wire packets (more than one when merged).
        pub segments: u32,
        /// Payload of each merged packet but the last.
        pub segment_bytes: u32,
        /// TCP window.
        pub window: u16,
        /// Transport header bytes.
        pub header_bytes: u16,
        /// ICMP type and code.
        pub icmp: u16,
        /// TCP flags.
        pub flags: u8,
        /// 1 when the sender is endpoint A.
        pub sender_is_a: u8,
        /// 1 when the packet left this machine.
        pub outbound: u8,
        /// Always zero.
        pub zero: [u8; 3],
    }
}

wire_struct! {
    /// One set of the table.
    pub struct HalfOpenSet {
        /// The kernel's try-lock.
        pub lock: u32,
        /// Always zero.
        pub zero: u32,
        /// The entries, in no order.
        pub ways: [HalfOpen; 4],
    }
}

impl HalfOpen {
    /// Notes the packet in this slot, field by field.
    #[inline(always)]
    pub fn note(&mut self, key: &FlowKey, packet: &Packet, sender_is_a: bool, outbound: bool, now_us: u64) {
        self.key = *key;
        self.seen_us = now_us;
        self.seq = packet.seq;
        self.payload_bytes = packet.payload_bytes;
        self.wire_bytes = packet.wire_bytes;
        self.segments = packet.segments;
        self.segment_bytes = packet.segment_bytes;
        self.window = packet.window;
        self.header_bytes = packet.header_bytes;
        self.icmp = packet.icmp;
        self.flags = packet.flags;
        self.sender_is_a = sender_is_a as u8;
        self.outbound = outbound as u8;
    }

    /// The packet as it was, without what a flow does not count.
    #[inline(always)]
    pub fn packet(&self) -> Packet {
        let (src, dst) = self.ends();
        Packet {
            src,
            dst,
            src_port: if self.sender_is_a != 0 { self.key.port_a } else { self.key.port_b },
            dst_port: if self.sender_is_a != 0 { self.key.port_b } else { self.key.port_a },
            protocol: self.key.protocol,
            flags: self.flags,
            header_bytes: self.header_bytes,
            window: self.window,
            icmp: self.icmp,
            seq: self.seq,
            // A first packet confirms nothing.
            ack: 0,
            payload_bytes: self.payload_bytes,
            wire_bytes: self.wire_bytes,
            segments: self.segments,
            segment_bytes: self.segment_bytes,
            vlan: 0,
            datagram: 0,
        }
    }

    /// Sender and receiver.
    #[inline(always)]
    pub fn ends(&self) -> (Addr, Addr) {
        if self.sender_is_a != 0 { (self.key.addr_a, self.key.addr_b) } else { (self.key.addr_b, self.key.addr_a) }
    }

    /// Opens `state` (all zero) with the packet.
    #[inline(always)]
    pub fn open(&self, state: &mut FlowState) -> Change {
        state.open(&self.packet(), self.sender_is_a != 0, self.outbound != 0, self.seen_us)
    }

    /// Whether the slot holds nothing.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.seen_us == 0
    }
}

/// Size of a set in the map.
pub const SET_LEN: usize = HalfOpenSet::LEN;
