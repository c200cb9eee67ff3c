//! Cells of whatever kind, and whether two are the same.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::cicflowmeter::Timestamp;
use crate::table::{Batch, Cells};

/// A cell.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    Int(i64),
    Float(f64),
    /// µs since 1970.
    Time(i64),
    /// In CSV everything is.
    Text(&'a str),
}

impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Time(us) => write!(f, "{}", Timestamp(*us)),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl<'a> Cell<'a> {
    /// A cell of a batch; nothing beyond its end.
    pub(super) fn of(batch: &'a Batch, column: usize, row: usize) -> Self {
        let cell = batch.columns.get(column).and_then(|cells| match cells {
            Cells::Int(cells) => cells.get(row).copied().map(Self::Int),
            Cells::Float(cells) | Cells::FloatOrWhole { values: cells, .. } => cells.get(row).copied().map(Self::Float),
            Cells::Time(cells) => cells.get(row).copied().map(Self::Time),
            Cells::Text(cells) => Some(Self::Text(cells.get(row))),
        });
        cell.unwrap_or(Self::Text(""))
    }

    /// As part of a key: the same for a time in whatever spelling.
    pub(super) fn key(self) -> String {
        self.time_us().map_or_else(|| self.to_string(), |us| Cell::Time(us).to_string())
    }

    fn time_us(self) -> Option<i64> {
        match self {
            Self::Time(us) => Some(us),
            Self::Text(text) => time_us(text),
            Self::Int(_) | Self::Float(_) => None,
        }
    }

    fn whole(self) -> Option<i128> {
        match self {
            Self::Int(value) => Some(value.into()),
            Self::Text(text) => text.parse().ok(),
            Self::Float(_) | Self::Time(_) => None,
        }
    }

    fn number(self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(value as f64),
            Self::Float(value) => Some(value),
            Self::Text(text) => text.parse().ok(),
            Self::Time(_) => None,
        }
    }
}

/// RFC 3339, or as CICFlowMeter writes times: UTC, without saying so.
fn time_us(text: &str) -> Option<i64> {
    if text.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_microsecond());
    }
    let time = text.parse::<DateTime>().ok()?;
    Some(TimeZone::UTC.to_timestamp(time).ok()?.as_microsecond())
}

pub(super) enum Match {
    Equal,
    Within,
    Different,
}

/// Numbers are equal by value; with a point or an exponent they may differ by `tolerance`, relative to the larger.
/// Whole numbers and texts may not.
pub(super) fn compare(a: Cell<'_>, b: Cell<'_>, tolerance: f64) -> Match {
    let equal = |equal| if equal { Match::Equal } else { Match::Different };
    match (a, b) {
        (Cell::Int(a), Cell::Int(b)) | (Cell::Time(a), Cell::Time(b)) => return equal(a == b),
        (Cell::Text(a), Cell::Text(b)) if a == b => return Match::Equal,
        (Cell::Float(a), Cell::Float(b)) if a.is_nan() && b.is_nan() => return Match::Equal,
        _ => {}
    }
    if let (Some(a), Some(b)) = (a.whole(), b.whole()) {
        // The texts may still differ in leading zeros or a sign.
        return equal(a == b);
    }
    if let (Some(x), Some(y)) = (a.number(), b.number()) {
        return if x == y || x.is_nan() && y.is_nan() {
            Match::Equal
        } else if (x - y).abs() <= tolerance * x.abs().max(y.abs()) {
            Match::Within
        } else {
            Match::Different
        };
    }
    equal(a.time_us().is_some_and(|us| b.time_us() == Some(us)))
}
