//! The bundles that ship with this program, pinned by the SHA-256 of their manifests.

static PINNED: &str = include_str!("../../pinned.txt");

/// Whether a manifest with this digest ships with this program.
pub(super) fn pinned(manifest_digest: &str) -> bool {
    digests(PINNED).any(|digest| digest.eq_ignore_ascii_case(manifest_digest))
}

fn digests(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with('#')).filter_map(|line| line.split_whitespace().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_digests() {
        for digest in digests(PINNED) {
            assert!(digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()), "{digest}");
        }
        assert_eq!(digests("# a\nab cd\n\nef gh\n").collect::<Vec<_>>(), ["ab", "ef"]);
        assert!(!pinned("00"));
    }
}
