//! Which sources a canary decides for.

use ganglion_features::Meta;
use ganglion_flow::key::mix;

/// Chooses by the source's address, so that all records of a flow, and all flows and counts of a source, go to the same
/// model; salted, so that the next canary meets other sources.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    salt: u64,
    /// Hashes below it are chosen.
    limit: u64,
}

impl Share {
    /// `share` of one, of the sources as `digest` shuffles them.
    pub(super) fn new(share: f64, digest: &str) -> Self {
        let salt = digest.bytes().fold(0, |salt, byte| mix(salt, byte.into()));
        // Saturates: the whole takes every hash but the very last.
        Self { salt, limit: (share.clamp(0.0, 1.0) * u64::MAX as f64) as u64 }
    }

    pub(super) fn takes(&self, meta: &Meta) -> bool {
        let source = mix(mix(self.salt, meta.initiator.hi), meta.initiator.lo);
        mix(source, meta.domain.into()) < self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::vote::tests::meta;

    #[test]
    fn the_share_is_met_and_a_source_stays_where_it_is() {
        for share in [0.01, 0.05, 0.5] {
            let canary = Share::new(share, "abcd");
            let taken = (0..100_000).filter(|n| canary.takes(&meta(*n, 80))).count();
            let apart = (taken as f64 / 100_000.0 - share).abs();
            assert!(apart < 0.15 * share, "{taken} of 100000 for {share}");
            for n in 0..100 {
                assert_eq!(canary.takes(&meta(n, 80)), canary.takes(&meta(n, 443)));
            }
        }
        assert!((0..1000).all(|n| Share::new(1.0, "x").takes(&meta(n, 1))));
        assert!(!(0..1000).any(|n| Share::new(0.0, "x").takes(&meta(n, 1))));
        // Another canary, other sources.
        let (a, b) = (Share::new(0.5, "a"), Share::new(0.5, "b"));
        let both = (0..10_000).filter(|n| a.takes(&meta(*n, 1)) && b.takes(&meta(*n, 1))).count();
        assert!((2_000..3_000).contains(&both), "{both}");
    }
}
