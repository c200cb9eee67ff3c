//! A hash of flow keys that no capture can aim at.

use std::hash::{BuildHasher, RandomState};

use ganglion_flow::FlowKey;

/// Random numbers of one run. Rows never depend on them.
#[derive(Clone, Copy)]
pub(super) struct Secret([u64; 8]);

impl Secret {
    pub(super) fn new() -> Self {
        let random = RandomState::new();
        Self([0u64, 1, 2, 3, 4, 5, 6, 7].map(|number| random.hash_one(number)))
    }

    /// By which all keys of IPv4 have one hash.
    #[cfg(test)]
    pub(super) fn worst() -> Self {
        Self([0; 8])
    }

    /// For hashes of the kernel's kind.
    pub(super) fn seed(&self) -> u64 {
        self.0[0]
    }

    /// By which a key is given to a shard. Cheaper than [`Self::hash`], and nothing like it, so that a shard's table goes by
    /// all bits of that.
    #[inline]
    pub(super) fn share(&self, key: &FlowKey) -> u32 {
        let s = &self.0;
        let (a, b) = (key.addr_a.hi ^ key.addr_a.lo.rotate_left(32), key.addr_b.hi ^ key.addr_b.lo.rotate_left(32));
        let wide = product(a ^ u64::from(key.port_a), s[5], b ^ u64::from(key.port_b), s[7]);
        (wide >> 64) as u32 ^ (wide >> 32) as u32
    }

    /// NH (Black et al. 1999): keys chosen before the secret collide with a chance of 2⁻⁶⁴. Then folded to the bits that a
    /// table uses, by the same means.
    #[inline]
    pub(super) fn hash(&self, key: &FlowKey) -> u64 {
        let s = &self.0;
        let rest = u64::from(key.port_a) << 48
            | u64::from(key.port_b) << 32
            | u64::from(key.protocol) << 16
            | u64::from(key.domain);
        let wide = product(key.addr_a.hi, s[0], key.addr_a.lo, s[1])
            .wrapping_add(product(key.addr_b.hi, s[2], key.addr_b.lo, s[3]))
            .wrapping_add(product(rest, s[4], 0, s[5]));
        let last = product((wide >> 64) as u64, s[6], wide as u64, s[7]);
        (last >> 64) as u64 ^ last as u64
    }
}

#[inline]
fn product(a: u64, with_a: u64, b: u64, with_b: u64) -> u128 {
    u128::from(a.wrapping_add(with_a)) * u128::from(b.wrapping_add(with_b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganglion_flow::Addr;
    use std::collections::BTreeSet;

    #[test]
    fn keys_spread_over_low_and_high_bits() {
        let secret = Secret::new();
        let key = |i: u32| FlowKey::new(Addr::v4(0xc612_0000 + i), Addr::v4(7), 40_000, 80, 6, 0).0;
        let port = |i: u32| FlowKey::new(Addr::v4(0xc612_0000), Addr::v4(7), i as u16, 80, 6, 0).0;
        for make in [key as fn(u32) -> FlowKey, port] {
            let hashes: Vec<_> = (0..4096).map(|i| secret.hash(&make(i))).collect();
            let low = hashes.iter().map(|hash| hash & 0xfff).collect::<BTreeSet<_>>().len();
            let high = hashes.iter().map(|hash| hash >> 52).collect::<BTreeSet<_>>().len();
            // Thrown at random they fill 63 %.
            assert!((2400..2800).contains(&low) && (2400..2800).contains(&high), "{low} {high}");
        }
    }
}
