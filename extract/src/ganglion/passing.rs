//! A packet between the frame and its flow, in what a flow needs of it.

use ganglion_flow::{FlowKey, HalfOpen, Packet, Wire};

use super::clock::Moment;
use super::secret::Secret;

/// A packet on its way to its flow. Small, because what one core parses another may count: bytes that change their core
/// are what that costs. Frames of captures are never merged ones, so nothing is kept of that.
#[derive(Clone, Copy)]
pub(super) struct Passing {
    key: FlowKey,
    /// The packet's own time.
    now_us: u64,
    /// How much later event time is with the packet; at most a minute, or it would be another time base.
    late_us: u32,
    seq: u32,
    ack: u32,
    payload_bytes: u32,
    wire_bytes: u32,
    window: u16,
    header_bytes: u16,
    icmp: u16,
    flags: u8,
    sender_is_a: bool,
}

impl Passing {
    pub(super) const ZERO: Self = Self {
        key: FlowKey::ZERO,
        now_us: 0,
        late_us: 0,
        seq: 0,
        ack: 0,
        payload_bytes: 0,
        wire_bytes: 0,
        window: 0,
        header_bytes: 0,
        icmp: 0,
        flags: 0,
        sender_is_a: false,
    };

    /// Becomes a packet of this key.
    #[inline(always)]
    pub(super) fn set(&mut self, to: &Keyed, packet: &Packet, moment: &Moment) {
        (self.key, self.sender_is_a) = (to.key, to.sender_is_a);
        self.now_us = moment.now_us;
        self.late_us = u32::try_from(moment.clock_us.saturating_sub(moment.now_us)).unwrap_or(u32::MAX);
        (self.seq, self.ack, self.window, self.flags) = (packet.seq, packet.ack, packet.window, packet.flags);
        (self.payload_bytes, self.wire_bytes) = (packet.payload_bytes, packet.wire_bytes);
        (self.header_bytes, self.icmp) = (packet.header_bytes, packet.icmp);
    }

    /// The packet, without what a flow does not count.
    #[inline(always)]
    pub(super) fn packet(&self) -> Packet {
        let (a, b) = ((self.key.addr_a, self.key.port_a), (self.key.addr_b, self.key.port_b));
        let ((src, src_port), (dst, dst_port)) = if self.sender_is_a { (a, b) } else { (b, a) };
        Packet {
            src,
            dst,
            src_port,
            dst_port,
            protocol: self.key.protocol,
            flags: self.flags,
            header_bytes: self.header_bytes,
            window: self.window,
            icmp: self.icmp,
            seq: self.seq,
            ack: self.ack,
            payload_bytes: self.payload_bytes,
            wire_bytes: self.wire_bytes,
            segments: 1,
            ..Packet::ZERO
        }
    }

    #[inline(always)]
    pub(super) fn sender_is_a(&self) -> bool {
        self.sender_is_a
    }

    #[inline(always)]
    pub(super) fn now_us(&self) -> u64 {
        self.now_us
    }

    #[inline(always)]
    pub(super) fn key(&self) -> &FlowKey {
        &self.key
    }

    /// As a flow's first packet is remembered.
    pub(super) fn slot(&self) -> HalfOpen {
        let mut slot = HalfOpen::ZERO;
        slot.note(&self.key, &self.packet(), self.sender_is_a, false, self.now_us);
        slot
    }

    /// Event time with the packet.
    #[inline(always)]
    pub(super) fn clock_us(&self) -> u64 {
        self.now_us + u64::from(self.late_us)
    }
}

/// The key of a packet, by which its place is found.
pub(super) struct Keyed {
    key: FlowKey,
    sender_is_a: bool,
}

impl Keyed {
    #[inline(always)]
    pub(super) fn new(packet: &Packet, domain: u16) -> Self {
        let (key, sender_is_a) = packet.key(domain);
        Self { key, sender_is_a }
    }

    /// Which of so many shards it belongs to.
    #[inline(always)]
    pub(super) fn shard(&self, shards: usize, secret: &Secret) -> usize {
        if shards == 1 { 0 } else { ((u64::from(secret.share(&self.key)) * shards as u64) >> 32) as usize }
    }
}

/// Packets one after the other, in places that are used again.
#[derive(Default)]
pub(super) struct Packets {
    places: Vec<Passing>,
    used: usize,
}

impl Packets {
    /// Room for so many, and more when they come; it costs nothing until it is used.
    pub(super) fn with_room(packets: usize) -> Self {
        Self { places: Vec::with_capacity(packets), used: 0 }
    }

    /// A place for the next one.
    #[inline(always)]
    pub(super) fn next(&mut self) -> &mut Passing {
        if self.used == self.places.len() {
            self.places.push(Passing::ZERO);
        }
        self.used += 1;
        &mut self.places[self.used - 1]
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.used
    }

    pub(super) fn as_slice(&self) -> &[Passing] {
        &self.places[..self.used]
    }

    /// Leaves the places free.
    pub(super) fn clear(&mut self) {
        self.used = 0;
    }
}
