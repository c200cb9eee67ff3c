//! Points in time as text.

use std::io::Write;

use super::Spelling;
use crate::cicflowmeter::{Timestamp, civil};

const US_A_SECOND: i64 = 1_000_000;
const SECONDS_A_DAY: i64 = 86_400;

/// Appends a point in time, µs since 1970.
pub(super) fn time(out: &mut Vec<u8>, us: i64, spelling: Spelling) {
    match spelling {
        Spelling::Shortest => iso(out, us),
        Spelling::Java => {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "{}", Timestamp(us));
        }
    }
}

/// Appends µs since 1970 as `YYYY-MM-DDTHH:MM:SS.uuuuuuZ`.
fn iso(out: &mut Vec<u8>, us: i64) {
    let (seconds, us) = (us.div_euclid(US_A_SECOND), us.rem_euclid(US_A_SECOND));
    let (days, second) = (seconds.div_euclid(SECONDS_A_DAY), seconds.rem_euclid(SECONDS_A_DAY));
    let (year, month, day) = civil(days);
    if (0..10_000).contains(&year) {
        digits::<4>(out, year);
    } else {
        out.extend_from_slice(format!("{year:+05}").as_bytes());
    }
    let parts = [(b'-', month), (b'-', day), (b'T', second / 3600), (b':', second / 60 % 60), (b':', second % 60)];
    for (before, part) in parts {
        out.push(before);
        digits::<2>(out, part);
    }
    out.push(b'.');
    digits::<6>(out, us);
    out.push(b'Z');
}

/// The last N decimal digits of a number that is not negative.
fn digits<const N: usize>(out: &mut Vec<u8>, mut number: i64) {
    let mut text = [b'0'; N];
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&text);
}
