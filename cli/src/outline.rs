//! Free-form JSON as tables for people: what a bundle's maker noted, in whatever shape.

use serde_json::{Map, Value};

use crate::table::{Align, Column, render};

/// Deeper values are left to `--json`.
const DEPTH: usize = 4;

/// The value under its title: single values as a list, records of one kind as a table, each part under its path.
pub(crate) fn outline(title: &str, value: &Value) -> String {
    let mut parts = Vec::new();
    walk(title, value, DEPTH, &mut parts);
    parts.join("\n\n")
}

fn walk(path: &str, value: &Value, depth: usize, parts: &mut Vec<String>) {
    let mut part = |text: String| parts.push(format!("{path}\n{text}"));
    match value {
        Value::Null => {}
        Value::Object(map) => match matrix(map).or_else(|| records(map)) {
            Some(table) => part(table),
            None => members(path, map, depth, parts),
        },
        Value::Array(items) if items.iter().all(Value::is_object) && !items.is_empty() => {
            part(table("", items.iter().enumerate().map(|(at, item)| ((at + 1).to_string(), item))));
        }
        Value::Array(items) => {
            let texts: Vec<_> = items.iter().filter_map(single).collect();
            if !texts.is_empty() {
                part(texts.join("\n"));
            }
        }
        single_value => part(single(single_value).unwrap_or_default()),
    }
}

/// Single values first, as a list; then each of the others as a part of its own.
fn members(path: &str, map: &Map<String, Value>, depth: usize, parts: &mut Vec<String>) {
    let singles: Vec<_> = map.iter().filter_map(|(name, value)| Some((clean(name), single(value)?))).collect();
    let width = singles.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    if !singles.is_empty() {
        let lines: Vec<_> = singles.iter().map(|(name, value)| format!("{name:<width$}  {value}")).collect();
        parts.push(format!("{path}\n{}", lines.join("\n")));
    }
    if depth > 0 {
        for (name, value) in map.iter().filter(|(_, value)| single(value).is_none()) {
            walk(&format!("{path} / {}", clean(name)), value, depth - 1, parts);
        }
    }
}

/// A number, a word, or a list of words.
fn single(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("-".into()),
        Value::Bool(yes) => Some(if *yes { "yes" } else { "no" }.into()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(clean(text)),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            Some(items.iter().filter_map(single).collect::<Vec<_>>().join(", "))
        }
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// A file's text must not steer the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Records by name; none are a single one, and those with more than one part of their own.
fn records(map: &Map<String, Value>) -> Option<String> {
    let is_record = |value: &Value| {
        let singles = value.as_object().map(|of| (of.len(), of.values().filter(|v| single(v).is_some()).count()));
        singles.is_some_and(|(all, singles)| singles > 0 && all - singles <= 1)
    };
    let all = map.len() > 1 && map.values().all(is_record);
    all.then(|| table("", map.iter().map(|(name, value)| (clean(name), value))))
}

/// One line each; columns are the single values that any of them has.
fn table<'a>(title: &str, records: impl Iterator<Item = (String, &'a Value)> + Clone) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (name, value) in records.clone().filter_map(|(_, value)| value.as_object()).flatten() {
        if single(value).is_some() && !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let titles: Vec<String> = names.iter().map(|name| clean(name).to_uppercase()).collect();
    let columns: Vec<Column<'_>> =
        [(title, Align::Left)].into_iter().chain(titles.iter().map(|title| (title.as_str(), Align::Right))).collect();
    let cell = |record: &Value, name: &str| record.get(name).and_then(single).unwrap_or_else(|| "-".into());
    let row = |(key, record): (String, &Value)| {
        [key].into_iter().chain(names.iter().map(|name| cell(record, name))).collect::<Vec<_>>()
    };
    render(&columns, records.map(row))
}

/// A square of numbers with a name for each row and column: `classes` and `rows`.
fn matrix(map: &Map<String, Value>) -> Option<String> {
    let names: Vec<String> = map.get("classes")?.as_array()?.iter().map(single).collect::<Option<_>>()?;
    let rows: Vec<&Vec<Value>> = map.get("rows")?.as_array()?.iter().map(Value::as_array).collect::<Option<_>>()?;
    if map.len() != 2 || rows.len() != names.len() || rows.iter().any(|row| row.len() != names.len()) {
        return None;
    }
    let columns: Vec<Column<'_>> =
        [("", Align::Left)].into_iter().chain(names.iter().map(|name| (name.as_str(), Align::Right))).collect();
    let cells = |(name, row): (&String, &Vec<Value>)| {
        [name.clone()].into_iter().chain(row.iter().map(|cell| single(cell).unwrap_or_default())).collect::<Vec<_>>()
    };
    Some(render(&columns, names.iter().zip(rows).map(cells)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn records_and_matrices_become_tables() {
        let value = json!({
            "held_out": {
                "rows": 7,
                "runs": ["a", "b"],
                "per_class": { "Benign": { "f1": 0.5, "rows": 3 }, "DoS": { "f1": 1.0, "nested": {} } },
                "confusion": { "classes": ["Benign", "DoS"], "rows": [[3, 0], [1, 3]] },
            },
        });
        let lines = [
            "metrics / held_out",
            "rows  7",
            "runs  a, b",
            "",
            "metrics / held_out / confusion",
            "        Benign  DoS",
            "Benign       3    0",
            "DoS          1    3",
            "",
            "metrics / held_out / per_class",
            "         F1  ROWS",
            "Benign  0.5     3",
            "DoS     1.0     -",
        ];
        assert_eq!(outline("metrics", &value), lines.join("\n"));
    }

    #[test]
    fn any_shape_is_shown_and_steers_no_terminal() {
        let mut deep = json!(1);
        for _ in 0..50 {
            deep = json!({ "a": deep, "b": [[1], { "c": null }], "d": "\u{1b}[2J" });
        }
        for value in [deep, json!(null), json!([]), json!([1, [2]]), json!([{}, { "a": 1 }]), json!("x"), json!({})] {
            assert!(!outline("t", &value).contains('\u{1b}'));
        }
    }
}
