//! What userspace makes of a frame, fragments and tunnels included: the kernel has to come to the same.

use ganglion_flow::fragments::{DatagramKey, DatagramSet, Outcome, SETS};
use ganglion_flow::{Counter, Frame, NotAFlow, Packet, Wire};

/// Seed of the harness.
const SEED: u64 = 7;

/// The state that the kernel keeps of fragments.
pub(crate) struct Mirror {
    pub(crate) inner: bool,
    sets: Vec<DatagramSet>,
}

impl Mirror {
    pub(crate) fn new(inner: bool) -> Self {
        Self { inner, sets: vec![DatagramSet::ZERO; SETS] }
    }

    /// The packet that is counted and its domain, or the counter that says why there is none.
    pub(crate) fn read(&mut self, bytes: &[u8], now_us: u64) -> Result<(Packet, u16), Counter> {
        let frame = Frame::plain(bytes.len() as u32);
        let mut packet = Packet::ZERO;
        let network = packet.network(bytes, frame)?;
        let mut read = packet.transport(bytes, frame, network);
        let (mut part, mut domain) = (network.part(), 0);
        if self.inner
            && read.is_ok()
            && let Some(inner) = packet.inner(bytes, frame, network, domain)
        {
            (packet, part, domain) = (inner.packet, inner.part, inner.domain);
            read = if part.is_later() { Err(NotAFlow::Fragment) } else { Ok(()) };
        }
        if !part.is_whole() && matches!(read, Ok(()) | Err(NotAFlow::Fragment)) {
            let index = DatagramKey::of(&packet, domain).hash(SEED) as usize % SETS;
            if self.sets[index].fragment(&mut packet, part, domain, now_us) != Outcome::Unknown {
                read = Ok(());
            }
        }
        read?;
        Ok((packet, domain))
    }
}
