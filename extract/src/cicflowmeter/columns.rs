//! The columns: ONE table, in the order in which the reference writes them.

mod counts;
mod identity;
mod lengths;
mod times;

use std::fmt;

use ganglion_features::cicflowmeter::{COUNT, NAMES};

use super::number;
use super::row::Row;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers.
    Int,
    /// Floating point.
    Float,
    /// Text.
    Text,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The reference's name.
    pub name: &'static str,
    /// What its cells hold.
    pub kind: Kind,
    /// Unit; empty for plain numbers and names.
    pub unit: &'static str,
    /// How a cell follows from the packets. D is the flow duration, `len` a packet's transport payload, `hdr` its
    /// transport header, S the number of gaps above 1 s between consecutive packets.
    pub formula: &'static str,
    /// A row's cell.
    pub value: fn(&Row) -> Value,
}

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// In a column of whole numbers.
    Int(i64),
    /// In a column of floating point.
    Float(f64),
    /// In a column of floating point where nothing can be computed: the reference writes a whole number there.
    Fixed(i8),
    /// In a column of text.
    Text(String),
}

impl Value {
    /// As a number, where it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Fixed(value) => Some(f64::from(*value)),
            Self::Text(_) => None,
        }
    }
}

impl fmt::Display for Value {
    /// As the reference writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => number::write_java(f, *value),
            Self::Fixed(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
        }
    }
}

/// All columns in the reference's order.
pub static COLUMNS: &[Column; COUNT] = &table();

const fn table() -> [Column; COUNT] {
    let mut all = [identity::LABEL; COUNT];
    let mut next = 0;
    let groups: [&[Column]; 12] = [
        identity::FLOW,
        lengths::BY_DIRECTION,
        times::GAPS,
        counts::BY_DIRECTION,
        times::RATES,
        lengths::BOTH,
        counts::FLAGS,
        lengths::AVERAGES,
        lengths::BULKS_AND_SUBFLOWS,
        counts::WINDOWS,
        times::ACTIVITY,
        identity::LAST,
    ];
    let mut group = 0;
    while group < groups.len() {
        let mut column = 0;
        while column < groups[group].len() {
            all[next] = groups[group][column];
            next += 1;
            column += 1;
        }
        group += 1;
    }
    // A table that is too short or too long does not compile, nor one with other names than the table of names.
    assert!(next == COUNT);
    next = 0;
    while next < COUNT {
        assert!(same(all[next].name.as_bytes(), NAMES[next].canonical.as_bytes()));
        next += 1;
    }
    all
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

const fn int(name: &'static str, unit: &'static str, formula: &'static str, value: fn(&Row) -> Value) -> Column {
    Column { name, kind: Kind::Int, unit, formula, value }
}

const fn float(name: &'static str, unit: &'static str, formula: &'static str, value: fn(&Row) -> Value) -> Column {
    Column { name, kind: Kind::Float, unit, formula, value }
}

const fn text(name: &'static str, formula: &'static str, value: fn(&Row) -> Value) -> Column {
    Column { name, kind: Kind::Text, unit: "", formula, value }
}

fn count(value: u64) -> Value {
    Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

/// A floating point cell where there is something to compute, else a plain 0.
fn unless_empty(empty: bool, value: f64) -> Value {
    if empty { Value::Fixed(0) } else { Value::Float(value) }
}

/// A quotient; 0 where the divisor is.
fn ratio(dividend: u64, divisor: u64) -> Value {
    Value::Float(if divisor == 0 { 0.0 } else { dividend as f64 / divisor as f64 })
}
