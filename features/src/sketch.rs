//! Distinct counts from 256 bits by linear counting (Whang et al. 1990), bit for bit as the kernel marks them.

use ganglion_flow::Addr;
use ganglion_flow::key::mix;

/// 256 bits of a distinct count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sketch(pub [u64; 4]);

const BITS: f64 = 256.0;

impl Sketch {
    /// Notes a port.
    pub fn mark_port(&mut self, port: u16) {
        self.mark(mix(0, port.into()));
    }

    /// Notes an address.
    pub fn mark_address(&mut self, addr: Addr) {
        self.mark(mix(mix(0, addr.hi), addr.lo));
    }

    fn mark(&mut self, hash: u64) {
        self.0[(hash >> 6) as usize & 3] |= 1 << (hash & 63);
    }

    /// Adds what `other` saw.
    pub fn join(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine |= theirs;
        }
    }

    /// −m·ln(zero bits / m); a full sketch counts as half a zero bit (about 1 600).
    pub fn estimate(&self) -> f64 {
        let ones: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        if ones == 0 {
            return 0.0;
        }
        let zeros = (BITS - f64::from(ones)).max(0.5);
        -BITS * (zeros / BITS).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_stay_near_the_truth() {
        for truth in [1u16, 10, 50, 200, 500] {
            let mut sketch = Sketch::default();
            for port in 0..truth {
                sketch.mark_port(1000 + port * 7);
                sketch.mark_port(1000 + port * 7);
            }
            let error = (sketch.estimate() - f64::from(truth)).abs() / f64::from(truth);
            assert!(error < 0.25, "{truth}: {}", sketch.estimate());
        }
        assert!(Sketch([u64::MAX; 4]).estimate() < 1700.0);
        assert_eq!(Sketch::default().estimate(), 0.0);
    }

    #[test]
    fn marks_are_those_of_the_kernel() {
        use ganglion_flow::{SourceState, Wire};
        let peer = Addr::v4(0xc612_0001);
        let mut kernel = SourceState::ZERO;
        kernel.opened(17, 53, 64, peer, 1);
        let mut ours = Sketch::default();
        ours.mark_port(53);
        assert_eq!(ours.0, kernel.ports);
        let mut ours = Sketch::default();
        ours.mark_address(peer);
        assert_eq!(ours.0, kernel.peers);
    }
}
