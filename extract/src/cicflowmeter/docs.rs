//! `docs/cicflowmeter.md`, written from the table.

use std::fmt::Write;

use super::columns::{COLUMNS, Kind};

/// The page on all columns.
pub fn columns_markdown() -> String {
    let mut page = format!(
        "# Columns of the cicflowmeter profile\n\nGenerated from the table in `extract/src/cicflowmeter/columns/`; do not \
         edit. {} columns, named and ordered as the corrected CICFlowMeter writes them. `cargo xtask test oracle` \
         compares them with its own output, cell by cell.\n\nD is the flow duration, `len` a packet's transport payload, \
         `hdr` its transport header, S the number of gaps above 1 s between consecutive packets. Sums are whole \
         numbers; a cell is rounded when it is written.\n\n| # | column | kind | unit | formula |\n|--:|---|---|---|---|\n",
        COLUMNS.len()
    );
    for (at, column) in COLUMNS.iter().enumerate() {
        let kind = match column.kind {
            Kind::Int => "int",
            Kind::Float => "float",
            Kind::Text => "text",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| {} | {} | {kind} | {} | {} |", at + 1, column.name, column.unit, column.formula);
    }
    page
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_is_that_of_the_table() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cicflowmeter.md");
        assert!(
            std::fs::read_to_string(page).is_ok_and(|written| written == super::columns_markdown()),
            "docs/cicflowmeter.md is not what the table says: write it anew with \
             `cargo run -p ganglion-extract --example columns_md > docs/cicflowmeter.md`"
        );
    }
}
