//! The report as `cargo xtask bench` reads it: tables of numbers and words.

use serde_json::{Value, json};

/// A table of a report; cells are numbers or strings.
pub(crate) fn table(title: &str, columns: &[&str], rows: Vec<Vec<Value>>) -> Value {
    json!({ "title": title, "columns": columns, "rows": rows })
}

/// A report of tables, and of what must be known to read them.
pub(crate) fn report(tables: Vec<Value>, notes: Vec<String>) -> Value {
    json!({ "tables": tables, "notes": notes })
}

/// A number with so many digits behind the point.
pub(crate) fn number(value: f64, digits: i32) -> Value {
    let scale = 10f64.powi(digits);
    json!((value * scale).round() / scale)
}

/// Median, then the 10th and 90th percentile in one cell.
pub(crate) fn spread([low, median, high]: [f64; 3], digits: i32) -> [Value; 2] {
    let places = usize::try_from(digits).unwrap_or(0);
    [number(median, digits), json!(format!("{low:.places$} - {high:.places$}"))]
}

/// 10th percentile, median, 90th percentile.
pub(crate) fn quantiles(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted.get((sorted.len().saturating_sub(1) as f64 * share).round() as usize);
    [0.1, 0.5, 0.9].map(|share| at(share).copied().unwrap_or(f64::NAN))
}

/// "holds" or "EXCEEDED".
pub(crate) fn verdict(holds: bool) -> Value {
    json!(if holds { "holds" } else { "EXCEEDED" })
}
