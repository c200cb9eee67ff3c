//! A packet between the frame and its flow, in what a flow needs of it.

use ganglion_flow::{FlowKey, HalfOpen, Packet, Wire};

use super::clock::Moment;
use super::secret::Secret;

/// A packet on its way to its flow.
#[derive(Clone, Copy)]
pub(super) struct Passing {
    packet: Packet,
    key: FlowKey,
    /// [`Secret::hash`] of the key.
    hash: u64,
    /// The packet's own time.
    now_us: u64,
    /// Event time with the packet.
    clock_us: u64,
    sender_is_a: bool,
}

impl Passing {
    pub(super) const ZERO: Self =
        Self { packet: Packet::ZERO, key: FlowKey::ZERO, hash: 0, now_us: 0, clock_us: 0, sender_is_a: false };

    /// Where the packet is read to: copies would be a good part of what it costs.
    #[inline(always)]
    pub(super) fn packet_mut(&mut self) -> &mut Packet {
        &mut self.packet
    }

    /// The packet is read, is of this time, and comes at this event time.
    #[inline(always)]
    pub(super) fn read(&mut self, domain: u16, secret: &Secret, moment: &Moment) {
        (self.key, self.sender_is_a) = self.packet.key(domain);
        self.hash = secret.hash(&self.key);
        (self.now_us, self.clock_us) = (moment.now_us, moment.clock_us);
    }

    /// Which of so many shards it belongs to: by the high bits, because a shard's own table goes by the low ones.
    #[inline(always)]
    pub(super) fn shard(&self, shards: usize) -> usize {
        (((self.hash >> 32) as usize & 0xff_ffff) * shards) >> 24
    }

    #[inline(always)]
    pub(super) fn packet(&self) -> &Packet {
        &self.packet
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
        slot.note(&self.key, &self.packet, self.sender_is_a, false, self.now_us);
        slot
    }

    #[inline(always)]
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    #[inline(always)]
    pub(super) fn clock_us(&self) -> u64 {
        self.clock_us
    }
}

/// Packets one after the other, in places that are used again.
#[derive(Default)]
pub(super) struct Packets {
    places: Vec<Passing>,
    used: usize,
}

impl Packets {
    /// Room for so many, and more when they come.
    pub(super) fn with_room(packets: usize) -> Self {
        Self { places: vec![Passing::ZERO; packets], used: 0 }
    }

    /// The place of the next one, which it has once it is [`Self::taken`].
    #[inline(always)]
    pub(super) fn next(&mut self) -> &mut Passing {
        if self.used == self.places.len() {
            self.grow();
        }
        &mut self.places[self.used]
    }

    #[inline(always)]
    pub(super) fn taken(&mut self) {
        self.used += 1;
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        self.places.resize((2 * self.used).max(16), Passing::ZERO);
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
