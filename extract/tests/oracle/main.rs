//! The reference's own outputs on real captures, cell by cell: every cell of ours equal, or within 1e-9 where it is
//! floating point. Run by `cargo xtask test oracle`; needs no test harness, prints what one prints, and before it the
//! columns.
//!
//! The pairs beside this file come with the project. The others are read from `oracle/` and `pcap/` of the folder
//! `data` in `../shared` (or in `$GANGLION_SHARED`); where that is absent they are left out, which is said.

mod pairs;

use std::process::ExitCode;
use std::time::Instant;

use ganglion_extract::capture::Capture;
use ganglion_extract::cicflowmeter::{self, Engine};
use ganglion_extract::diff::{ColumnDiff, Diff, Side, Table};
use pairs::{Files, PAIRS, Pair, files};

/// Relative, for what is not a whole number.
const TOLERANCE: f64 = 1e-9;
/// (Flow ID, Timestamp) is unique in the reference's files.
const KEY: [&str; 2] = ["Flow ID", "Timestamp"];
/// The reference reads frames that are not IPv4 as if they were; these are the sources that come of ARP and of IPv6.
/// Its rows of them are the only ones that may be missing here.
const PHANTOM_SOURCES: [&str; 2] = ["8.6.0.1", "134.221."];

type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let begun = Instant::now();
    let (mut passed, mut failed, mut left_out) = (0, 0, Vec::new());
    let mut columns = Vec::new();
    println!("running {} tests", PAIRS.len());
    for pair in PAIRS {
        match files(pair) {
            Err(why) => left_out.push(format!("{}: {why}", pair.name)),
            Ok(files) => match check(pair, &files, &mut columns) {
                Ok(report) => {
                    passed += 1;
                    println!("test {} ... ok, {report}", pair.name);
                }
                Err(error) => {
                    failed += 1;
                    println!("{}: {error}\ntest {} ... FAILED", pair.name, pair.name);
                }
            },
        }
    }
    print_columns(&columns);
    if !left_out.is_empty() {
        println!("\nleft out, not part of the project:\n  {}", left_out.join("\n  "));
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; \
         finished in {:.2}s",
        begun.elapsed().as_secs_f64()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One pair; what to say of it when it holds.
fn check(pair: &Pair, files: &Files, columns: &mut Vec<ColumnDiff>) -> Result<String, Error> {
    let reference = Table::read(&std::fs::read_to_string(&files.csv)?, Side::Left)?;
    let (ours, tuples) = extract(files.capture()?)?;
    let mut diff = Diff::between(&reference, &Table::read(&ours, Side::Right)?, &KEY, TOLERANCE)?;
    let missing = diff.rows_left.len();
    diff.rows_left.retain(|id| !is_phantom(id));
    add(columns, &diff.columns);
    let rows = diff.columns.first().map_or(0, |column| column.compared);
    if !diff.is_clean() || rows + missing as u64 != reference.rows.len() as u64 {
        return Err(complaint(pair, &diff).into());
    }
    Ok(format!("{rows} rows, {} phantom rows excused, {tuples} distinct 5-tuples", missing - diff.rows_left.len()))
}

/// Our CSV of a capture, and how many 5-tuples it took.
fn extract(mut capture: Capture) -> Result<(String, usize), Error> {
    let mut rows = Vec::new();
    let mut engine = Engine::new();
    while let Some(frame) = capture.next()? {
        engine.frame(&frame, &mut |row| rows.push(row));
    }
    let tuples = engine.tuples();
    engine.finish(&mut |row| rows.push(row));
    let mut csv = Vec::new();
    cicflowmeter::write_csv_header(&mut csv)?;
    for row in &rows {
        row.write_csv(&mut csv)?;
    }
    Ok((String::from_utf8(csv)?, tuples))
}

fn is_phantom(flow_id: &str) -> bool {
    PHANTOM_SOURCES.iter().any(|source| flow_id.starts_with(source))
}

/// Adds the counts of one pair's columns to those of all.
fn add(all: &mut Vec<ColumnDiff>, one: &[ColumnDiff]) {
    all.resize_with(all.len().max(one.len()), ColumnDiff::default);
    for (sum, column) in all.iter_mut().zip(one) {
        sum.name.clone_from(&column.name);
        sum.compared += column.compared;
        sum.equal += column.equal;
        sum.within += column.within;
    }
}

fn complaint(pair: &Pair, diff: &Diff) -> String {
    let mut lines = vec![format!("{} differs", pair.name)];
    for column in diff.columns.iter().filter(|column| column.different() > 0) {
        if let Some((key, reference, ours)) = &column.example {
            lines.push(format!(
                "  {}: {} cells, as {key}: reference {reference}, ours {ours}",
                column.name,
                column.different()
            ));
        }
    }
    let lists = [
        ("columns that we lack", &diff.columns_left),
        ("columns too many", &diff.columns_right),
        ("rows that we lack", &diff.rows_left),
        ("rows too many", &diff.rows_right),
    ];
    for (what, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        let some: Vec<_> = list.iter().take(3).map(String::as_str).collect();
        lines.push(format!("  {} {what}: {}", list.len(), some.join("; ")));
    }
    lines.join("\n")
}

fn print_columns(columns: &[ColumnDiff]) {
    println!("\n{:<28} {:>9} {:>9} {:>9} {:>9}", "column", "compared", "equal", "within", "different");
    let mut all = ColumnDiff { name: format!("all {} columns", columns.len()), ..ColumnDiff::default() };
    for column in columns {
        print_column(column);
        all.compared += column.compared;
        all.equal += column.equal;
        all.within += column.within;
    }
    print_column(&all);
}

fn print_column(column: &ColumnDiff) {
    let ColumnDiff { name, compared, equal, within, .. } = column;
    println!("{name:<28} {compared:>9} {equal:>9} {within:>9} {:>9}", column.different());
}
