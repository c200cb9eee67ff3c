//! Comma-separated values, RFC 4180 with plain line feeds.

use super::{Spelling, number, time};
use crate::table::{Batch, Cells, Field};

/// The line of the columns' names.
pub(super) fn header(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        text(&mut out, &field.name);
        out.push(b',');
    }
    end_line(&mut out);
    out
}

/// A line per row.
pub(super) fn rows(batch: &Batch, spelling: Spelling) -> Vec<u8> {
    // Enough for most, so that it seldom grows.
    let mut out = Vec::with_capacity(batch.rows * batch.columns.len() * 6);
    for row in 0..batch.rows {
        for cells in &batch.columns {
            match cells {
                Cells::Int(cells) => number::int(&mut out, cells[row]),
                Cells::Float(cells) => number::float(&mut out, cells[row], spelling),
                Cells::FloatOrWhole { values, whole } if whole[row] => number::int(&mut out, values[row] as i64),
                Cells::FloatOrWhole { values, .. } => number::float(&mut out, values[row], spelling),
                Cells::Time(cells) => time::time(&mut out, cells[row], spelling),
                Cells::Text(cells) => text(&mut out, cells.get(row)),
            }
            out.push(b',');
        }
        end_line(&mut out);
    }
    out
}

/// A line's last comma becomes its end.
fn end_line(out: &mut Vec<u8>) {
    out.pop_if(|last| *last == b',');
    out.push(b'\n');
}

fn text(out: &mut Vec<u8>, text: &str) {
    if !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}
