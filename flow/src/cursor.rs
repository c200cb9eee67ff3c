//! How packet bytes are reached: one safe trait, with an implementation per place a packet can lie in.

/// Read access to a frame's bytes. Implemented for a byte slice here, for XDP and skb contexts in `sensor-ebpf`.
pub trait Cursor {
    /// The `N` bytes at `offset`, or `None` when the frame ends before.
    fn bytes<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    /// The byte at `offset`.
    #[inline(always)]
    fn u8(&self, offset: usize) -> Option<u8> {
        let [b] = self.bytes::<1>(offset)?;
        Some(b)
    }

    /// The big-endian 16-bit number at `offset`, in host order.
    #[inline(always)]
    fn be16(&self, offset: usize) -> Option<u16> {
        Some(u16::from_be_bytes(self.bytes(offset)?))
    }

    /// The big-endian 32-bit number at `offset`, in host order.
    #[inline(always)]
    fn be32(&self, offset: usize) -> Option<u32> {
        Some(u32::from_be_bytes(self.bytes(offset)?))
    }

    /// The eight bytes at `offset` as they lie in memory.
    #[inline(always)]
    fn ne64(&self, offset: usize) -> Option<u64> {
        Some(u64::from_ne_bytes(self.bytes(offset)?))
    }
}

impl Cursor for [u8] {
    fn bytes<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..)?.first_chunk().copied()
    }
}

impl<C: Cursor + ?Sized> Cursor for &C {
    #[inline(always)]
    fn bytes<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        (**self).bytes(offset)
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
