//! How packet bytes are reached: one safe trait, with an implementation per place a packet can lie in.

/// Read access to a frame's bytes: `None` when the frame ends before. Implemented for a byte slice here, for
/// XDP and skb contexts in `sensor-ebpf`.
pub trait Cursor {
    /// The byte at `offset`.
    fn u8(&self, offset: usize) -> Option<u8>;

    /// The big-endian 16-bit number at `offset`, in host order.
    fn be16(&self, offset: usize) -> Option<u16>;

    /// The big-endian 32-bit number at `offset`, in host order.
    fn be32(&self, offset: usize) -> Option<u32>;

    /// The eight bytes at `offset` as they lie in memory.
    fn ne64(&self, offset: usize) -> Option<u64>;
}

fn chunk<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

impl Cursor for [u8] {
    fn u8(&self, offset: usize) -> Option<u8> {
        self.get(offset).copied()
    }

    fn be16(&self, offset: usize) -> Option<u16> {
        chunk(self, offset).map(u16::from_be_bytes)
    }

    fn be32(&self, offset: usize) -> Option<u32> {
        chunk(self, offset).map(u32::from_be_bytes)
    }

    fn ne64(&self, offset: usize) -> Option<u64> {
        chunk(self, offset).map(u64::from_ne_bytes)
    }
}

/// What the hook knows of a frame beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Length of the frame from the Ethernet header on, in bytes; for a merged train, of the whole train with
    /// its headers counted once (`skb->len`).
    pub len: u32,
    /// Wire packets merged into this frame by GRO or not yet split by GSO; 1 for a plain packet.
    pub segments: u32,
    /// Transport payload of each merged packet but the last, in bytes; 0 for a plain packet.
    pub segment_bytes: u32,
    /// VLAN tag that the driver took out of the frame, 0 for none.
    pub vlan: u16,
}

impl Frame {
    /// A plain wire packet of `len` bytes.
    #[inline(always)]
    pub const fn plain(len: u32) -> Self {
        Self { len, segments: 1, segment_bytes: 0, vlan: 0 }
    }
}
