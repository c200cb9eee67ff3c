//! JSON lines: an object per row, members in the order of the columns.

use super::{Spelling, number, time};
use crate::table::{Batch, Cells, Field};

/// What stands before each cell: brace or comma, name, colon.
pub(super) fn names(fields: &[Field]) -> Vec<String> {
    let name = |(at, field): (usize, &Field)| {
        let mut out = if at == 0 { b"{".to_vec() } else { b",".to_vec() };
        text(&mut out, &field.name);
        out.push(b':');
        String::from_utf8_lossy(&out).into_owned()
    };
    fields.iter().enumerate().map(name).collect()
}

/// A line per row.
pub(super) fn rows(batch: &Batch, names: &[String], spelling: Spelling) -> Vec<u8> {
    let names_bytes: usize = names.iter().map(String::len).sum();
    let mut out = Vec::with_capacity(batch.rows * (names_bytes + batch.columns.len() * 6));
    for row in 0..batch.rows {
        for (name, cells) in names.iter().zip(&batch.columns) {
            out.extend_from_slice(name.as_bytes());
            cell(&mut out, cells, row, spelling);
        }
        out.extend_from_slice(b"}\n");
    }
    out
}

fn cell(out: &mut Vec<u8>, cells: &Cells, row: usize, spelling: Spelling) {
    match cells {
        Cells::Int(cells) => number::int(out, cells[row]),
        Cells::FloatOrWhole { values, whole } if whole[row] => number::int(out, values[row] as i64),
        Cells::Float(values) | Cells::FloatOrWhole { values, .. } => match values[row] {
            value if value.is_finite() => number::float(out, value, Spelling::Shortest),
            // JSON has no word for it.
            _ => out.extend_from_slice(b"null"),
        },
        Cells::Time(cells) => {
            out.push(b'"');
            time::time(out, cells[row], spelling);
            out.push(b'"');
        }
        Cells::Text(cells) => text(out, cells.get(row)),
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for char in text.bytes() {
        match char {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', char]),
            0..0x20 => out.extend_from_slice(format!("\\u{char:04x}").as_bytes()),
            _ => out.push(char),
        }
    }
    out.push(b'"');
}
