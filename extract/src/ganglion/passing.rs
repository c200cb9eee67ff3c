//! A packet between the frame and its flow, in what a flow needs of it.

use ganglion_flow::{FlowKey, HalfOpen, Packet, Wire};

use super::secret::Secret;

/// A packet on its way to its flow.
#[derive(Clone, Copy)]
pub(super) struct Passing {
    /// What a flow counts of it, as the kernel remembers a first packet.
    slot: HalfOpen,
    /// Its acknowledgement number, which no first packet has to remember.
    ack: u32,
    /// [`Secret::hash`] of the key.
    hash: u64,
    /// Event time with the packet.
    clock_us: u64,
}

impl Passing {
    /// A packet of this time, at this event time.
    #[inline]
    pub(super) fn new(packet: &Packet, domain: u16, secret: &Secret, now_us: u64, clock_us: u64) -> Self {
        let (key, sender_is_a) = packet.key(domain);
        let mut slot = HalfOpen::ZERO;
        slot.note(&key, packet, sender_is_a, false, now_us);
        Self { slot, ack: packet.ack, hash: secret.hash(&key), clock_us }
    }

    /// Which of so many shards it belongs to: by the high bits, because a shard's own table goes by the low ones.
    #[inline]
    pub(super) fn shard(&self, shards: usize) -> usize {
        (((self.hash >> 32) as usize & 0xff_ffff) * shards) >> 24
    }

    #[inline]
    pub(super) fn packet(&self) -> Packet {
        Packet { ack: self.ack, ..self.slot.packet() }
    }

    #[inline]
    pub(super) fn sender_is_a(&self) -> bool {
        self.slot.sender_is_a != 0
    }

    /// The packet's own time.
    #[inline]
    pub(super) fn now_us(&self) -> u64 {
        self.slot.seen_us
    }

    #[inline]
    pub(super) fn key(&self) -> &FlowKey {
        &self.slot.key
    }

    /// As a flow's first packet is remembered.
    #[inline]
    pub(super) fn slot(&self) -> &HalfOpen {
        &self.slot
    }

    #[inline]
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    #[inline]
    pub(super) fn clock_us(&self) -> u64 {
        self.clock_us
    }
}
