//! Numbers as text.

use crate::cicflowmeter::write_java;

use super::Spelling;

/// Appends a whole number.
pub(super) fn int(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a number; whole ones keep `.0`, so that a reader knows what the column holds.
pub(super) fn float(out: &mut Vec<u8>, value: f64, spelling: Spelling) {
    match spelling {
        Spelling::Shortest => shortest(out, value),
        Spelling::Java => java(out, value),
    }
}

/// Whole numbers below are written without an exponent; all of them are exact.
const WHOLE_BELOW: f64 = 1e15;

/// The shortest text that reads back as the same number. Most cells are whole, which is quicker to see than to find.
fn shortest(out: &mut Vec<u8>, value: f64) {
    let whole = value as i64;
    if whole as f64 == value && value.abs() < WHOLE_BELOW {
        // Negative zero is the same number.
        int(out, whole);
        out.extend_from_slice(b".0");
    } else {
        out.extend_from_slice(zmij::Buffer::new().format(value).as_bytes());
    }
}

/// Java's spelling: of the same digits, other from a thousandth down and ten millions up.
fn java(out: &mut Vec<u8>, value: f64) {
    let whole = value as i64;
    if whole as f64 == value && whole.unsigned_abs() < 10_000_000 && (whole != 0 || value.is_sign_positive()) {
        int(out, whole);
        out.extend_from_slice(b".0");
        return;
    }
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_java(&mut text, value);
    out.extend_from_slice(text.as_bytes());
}
