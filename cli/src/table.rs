//! Tables for people: aligned, without frames, so that `awk` and `grep` work on them too.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

/// A column: its title, and whether numbers stand in it.
pub(crate) type Column<'a> = (&'a str, Align);

/// Side a column is aligned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Lays the rows out under the columns' titles.
pub(crate) fn render(columns: &[Column<'_>], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|(title, _)| *title));
    table.add_rows(rows.into_iter().map(|row| row.into_iter().map(Cell::new)));
    for (column, (_, align)) in table.column_iter_mut().zip(columns) {
        column.set_padding((0, 2));
        if *align == Align::Right {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_lines_end_clean() {
        let text = render(
            &[("NAME", Align::Left), ("COUNT", Align::Right), ("NOTE", Align::Left)],
            [vec!["a".into(), "5".into(), "x".into()], vec!["long".into(), "12 345".into(), String::new()]],
        );
        assert_eq!(text, "NAME   COUNT  NOTE\na          5  x\nlong  12 345");
    }
}
