//! What a benchmark found: tables, and notes that are needed to read them. As text, Markdown or JSON.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a report is printed.
#[derive(Debug, clap::Args)]
pub(super) struct Output {
    /// As JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// As Markdown, for docs/benchmarks.md
    #[arg(long)]
    markdown: bool,
}

/// All that a benchmark found.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Report {
    pub(super) tables: Vec<Table>,
    pub(super) notes: Vec<String>,
}

/// Cells are numbers or strings.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Table {
    pub(super) title: String,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Value>>,
}

impl Table {
    pub(super) fn new(title: &str, columns: &[&str]) -> Self {
        Self { title: title.to_owned(), columns: columns.iter().map(|c| (*c).to_owned()).collect(), rows: Vec::new() }
    }
}

impl Report {
    /// Reads what a benchmark of another program printed.
    pub(super) fn read(text: &str) -> Result<Self> {
        serde_json::from_str(text).context("the benchmark's report is no report")
    }

    /// Prints it.
    pub(super) fn print(&self, output: &Output) -> Result<()> {
        let text = match output {
            Output { json: true, .. } => serde_json::to_string(self)? + "\n",
            Output { markdown: true, .. } => self.markdown(),
            Output { .. } => self.text(),
        };
        print!("{text}");
        Ok(())
    }

    fn markdown(&self) -> String {
        let mut text = String::new();
        for table in &self.tables {
            let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
            text += &format!("\n**{}**\n\n", table.title);
            text += &line(table.columns.clone());
            let rules = (0..table.columns.len()).map(|c| if table.is_number(c) { "---:" } else { "---" });
            text += &format!("|{}|\n", rules.collect::<Vec<_>>().join("|"));
            for row in &table.rows {
                text += &line(row.iter().map(cell).collect());
            }
        }
        text += "\n";
        text + &self.notes.iter().map(|note| format!("- {note}\n")).collect::<String>()
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for table in &self.tables {
            text += &format!("\n{}\n", table.title);
            let rows: Vec<Vec<String>> = table.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
            let width = |c: usize| {
                let cells = rows.iter().filter_map(|row| row.get(c)).chain(table.columns.get(c));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            };
            for row in std::iter::once(&table.columns).chain(&rows) {
                let cells = row.iter().enumerate().map(|(c, cell)| {
                    let width = width(c);
                    if table.is_number(c) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
                });
                text += cells.collect::<Vec<_>>().join("  ").trim_end();
                text += "\n";
            }
        }
        text += "\n";
        text + &self.notes.iter().map(|note| format!("{note}\n")).collect::<String>()
    }
}

impl Table {
    /// Whether a column holds numbers, which stand to the right.
    fn is_number(&self, column: usize) -> bool {
        self.rows.iter().filter_map(|row| row.get(column)).any(Value::is_number)
    }
}

/// A cell as people read it: long numbers in groups of three digits.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::String(text) => return text.clone(),
        Value::Null => return "-".to_owned(),
        // Whole numbers come as floating point too.
        Value::Number(number) => number.to_string().trim_end_matches(".0").to_owned(),
        other => other.to_string(),
    };
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(w, f)| (w, Some(f)));
    let digits = whole.trim_start_matches('-');
    if digits.len() < 5 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return text;
    }
    let mut grouped = whole[..whole.len() - digits.len()].to_owned();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    fraction.map_or(grouped.clone(), |fraction| format!("{grouped}.{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report() -> Report {
        let mut table = Table::new("speed", &["what", "packets/s"]);
        table.rows.push(vec![json!("a"), json!(1_234_567.0)]);
        table.rows.push(vec![json!("longer"), json!(12.5)]);
        Report { tables: vec![table], notes: vec!["five rounds".to_owned()] }
    }

    #[test]
    fn text_is_aligned_and_numbers_are_grouped() {
        let lines = "\nspeed\nwhat    packets/s\na       1 234 567\nlonger       12.5\n\nfive rounds\n";
        assert_eq!(report().text(), lines);
    }

    #[test]
    fn markdown_is_a_table() {
        let lines =
            "\n**speed**\n\n| what | packets/s |\n|---|---:|\n| a | 1 234 567 |\n| longer | 12.5 |\n\n- five rounds\n";
        assert_eq!(report().markdown(), lines);
    }

    #[test]
    fn numbers_below_five_digits_stay_as_they_are() {
        assert_eq!(
            [json!(1234), json!(-12345), json!(0.25), Value::Null].map(|v| cell(&v)),
            ["1234", "-12 345", "0.25", "-"]
        );
    }
}
