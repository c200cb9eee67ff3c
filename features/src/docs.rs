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
}
