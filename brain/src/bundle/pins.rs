//! The bundles that ship with this program, pinned by the SHA-256 of their manifests.

use serde::Serialize;

static PINNED: &str = include_str!("../../pinned.txt");

/// Whether a bundle ships with this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Its manifest is compiled in, by digest.
    Pinned,
    /// Somebody else made it, or it was changed.
    Unpinned,
}

impl std::fmt::Display for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pinned => "pinned: ships with this program",
            Self::Unpinned => "UNPINNED: not among the bundles that ship with this program",
        })
    }
}

/// What this program knows of a manifest with this digest.
pub(super) fn trust(manifest_digest: &str) -> Trust {
    if pinned(PINNED).any(|digest| digest.eq_ignore_ascii_case(manifest_digest)) {
        Trust::Pinned
    } else {
        Trust::Unpinned
    }
}

fn pinned(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with('#')).filter_map(|line| line.split_whitespace().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_digests() {
        for digest in pinned(PINNED) {
            assert!(digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()), "{digest}");
        }
        assert_eq!(pinned("# a\nab cd\n\nef gh\n").collect::<Vec<_>>(), ["ab", "ef"]);
        assert_eq!(trust("00"), Trust::Unpinned);
    }
}
