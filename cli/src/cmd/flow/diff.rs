//! `ganglion flow diff`: two files of flow rows, joined by key.

use std::path::PathBuf;

use clap::Args;
use ganglion_extract::diff::{ColumnDiff, Diff as Comparison, DiffError, Side};
use serde_json::{Value, json};

use super::super::{say, say_json};
use super::{STANDARD, no_table, open_table};
use crate::exit::{Code, Error, Result};
use crate::table::{Align, Column, render};
use crate::units;

/// What a row is known by, in either set of columns.
const KEY: [&[&str]; 2] = [&["Flow ID", "flow_id"], &["Timestamp", "timestamp"]];
/// Rows and columns without a partner that are named; JSON names all.
const NAMED: usize = 3;

pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0  no difference beyond the tolerance
  1  cells, rows or columns differ
  2  the files can't be compared";

/// `ganglion flow diff`.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// CSV or Parquet file of flow rows, which are joined by Flow ID and Timestamp; - is standard input
    #[arg(value_name = "A")]
    first: PathBuf,
    /// The other one; it is held in memory, the first is not
    #[arg(value_name = "B")]
    second: PathBuf,
    /// How far two numbers with a point or an exponent may be apart, relative to the larger
    #[arg(long, value_name = "T", default_value = "1e-9", value_parser = tolerance)]
    tolerance: f64,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

fn tolerance(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..1.0).contains(&value) => Ok(value),
        _ => Err("write a number from 0 to below 1, as 1e-9".into()),
    }
}

/// Runs the command.
pub(super) fn run(args: &Diff) -> Result {
    if [&args.first, &args.second].iter().all(|path| path.as_os_str() == STANDARD) {
        return Err(Error::Usage("only one of the two files can be standard input".into()));
    }
    let (mut first, mut second) = (open_table(&args.first)?, open_table(&args.second)?);
    let diff = Comparison::of(&mut first, &mut second, &KEY, args.tolerance).map_err(|error| {
        let path = |side| if side == Side::Left { &args.first } else { &args.second };
        match error {
            DiffError::Read { side, error } => no_table(path(side), &error),
            DiffError::NoKey { side, column } => Error::Usage(format!(
                "{}: no column \"{column}\"; rows are joined by Flow ID and Timestamp",
                path(side).display()
            )),
            other => Error::Usage(other.to_string()),
        }
    })?;
    if args.json {
        say_json(&as_json(&diff))?;
    } else {
        say(&as_text(&diff))?;
    }
    Ok(if diff.is_clean() { Code::Ok } else { Code::Failure })
}

fn as_json(diff: &Comparison) -> Value {
    let columns: Vec<_> = diff
        .columns
        .iter()
        .map(|column| {
            let example = column.example.as_ref();
            json!({
                "name": column.name,
                "compared": column.compared,
                "equal": column.equal,
                "within": column.within,
                "different": column.different(),
                "example": example.map(|(key, a, b)| json!({ "key": key, "first": a, "second": b })),
            })
        })
        .collect();
    json!({
        "same": diff.is_clean(),
        "rows_compared": rows_compared(diff),
        "columns": columns,
        "only_in_first": { "columns": diff.columns_left, "rows": diff.rows_left },
        "only_in_second": { "columns": diff.columns_right, "rows": diff.rows_right },
    })
}

fn rows_compared(diff: &Comparison) -> u64 {
    diff.columns.first().map_or(0, |column| column.compared)
}

const COLUMNS: [Column<'_>; 6] = [
    ("COLUMN", Align::Left),
    ("COMPARED", Align::Right),
    ("EQUAL", Align::Right),
    ("WITHIN", Align::Right),
    ("DIFFERENT", Align::Right),
    ("FIRST DIFFERENCE", Align::Left),
];

fn as_text(diff: &Comparison) -> String {
    let mut parts = vec![render(&COLUMNS, diff.columns.iter().map(row)), String::new()];
    let lists = [
        ("columns only in the first", &diff.columns_left),
        ("columns only in the second", &diff.columns_right),
        ("rows only in the first", &diff.rows_left),
        ("rows only in the second", &diff.rows_right),
    ];
    for (what, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        let some: Vec<_> = list.iter().take(NAMED).map(|name| units::one_line(name)).collect();
        let more = if list.len() > NAMED { "; …" } else { "" };
        parts.push(format!("{} {what}: {}{more}", units::grouped(list.len() as u64), some.join("; ")));
    }
    let sum = |of: fn(&ColumnDiff) -> u64| units::grouped(diff.columns.iter().map(of).sum());
    parts.push(format!(
        "{} rows in both, {} cells compared: {} equal, {} within the tolerance, {} different",
        units::grouped(rows_compared(diff)),
        sum(|column| column.compared),
        sum(|column| column.equal),
        sum(|column| column.within),
        sum(ColumnDiff::different),
    ));
    parts.join("\n")
}

fn row(column: &ColumnDiff) -> Vec<String> {
    let example = column.example.as_ref();
    vec![
        units::one_line(&column.name),
        units::grouped(column.compared),
        units::grouped(column.equal),
        units::grouped(column.within),
        units::grouped(column.different()),
        example.map_or_else(String::new, |(key, a, b)| units::one_line(&format!("{key}: {a} / {b}"))),
    ]
}
