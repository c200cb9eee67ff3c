//! `docs/features.md`, written from the table.

use crate::table::{COUNT, TABLE, digest};
use std::fmt::Write;

/// The page on all features.
pub fn features_markdown() -> String {
    let mut page = format!(
        "# Features\n\nGenerated from the table in `features/src/table/`; do not edit. {COUNT} features, digest \
         `{}`.\n\nRows: \"flow\" is computed for FLOW records, \"source\" for SOURCE records, \"every\" for both; \
         elsewhere the value is 0. \"*\" stands for both directions. Formulas are computed in f64 from integers, \
         then rounded to f32.\n\n| # | name | unit | rows | integers | formula | CICFlowMeter column |\n\
         |--:|---|---|---|---|---|---|\n",
        digest()
    );
    for (at, f) in TABLE.iter().enumerate() {
        let reference = f.reference.unwrap_or("–");
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| {at} | `{}` | {} | {} | {} | {} | {reference} |",
            f.name,
            f.unit,
            f.applies.label(),
            f.source.replace('|', "\\|"),
            f.formula.replace('|', "\\|")
        );
    }
    page
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_feature_has_a_line() {
        let page = super::features_markdown();
        assert!(super::TABLE.iter().all(|f| page.contains(&format!("| `{}` |", f.name))));
        assert_eq!(page.lines().filter(|line| line.ends_with('|')).count(), super::COUNT + 2);
    }
    #[test]
    fn the_page_is_that_of_the_table() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/features.md");
        assert!(
            std::fs::read_to_string(page).is_ok_and(|written| written == super::features_markdown()),
            "docs/features.md is not what the table says: write it anew with \
             `cargo run -p ganglion-features --example features_md > docs/features.md`"
        );
    }
}
