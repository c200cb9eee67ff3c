//! The picture in the README: the last live view and the table, as a terminal would show them.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

const LINE: usize = 18;
const COLUMN: f64 = 8.4;
const MARGIN: usize = 16;

/// Writes an SVG.
pub(super) fn write(path: &Path, frame: &[String], table: &str) -> Result<()> {
    let mut lines: Vec<&str> = vec!["$ cargo xtask demo"];
    lines.extend(frame.iter().map(String::as_str));
    lines.push("");
    lines.extend(table.lines().flat_map(|line| wrapped(line, 110)));
    let columns = lines.iter().map(|line| line.chars().count()).max().unwrap_or(80);
    let width = (columns as f64 * COLUMN) as usize + 2 * MARGIN;
    let height = lines.len() * LINE + 2 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"Ganglion's demo: the live view and the final table\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#10161d\"/>\n\
         <g font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, monospace\" font-size=\"14\" fill=\"#d5dde5\" xml:space=\"preserve\">\n"
    );
    for (i, line) in lines.iter().enumerate() {
        let y = MARGIN + (i + 1) * LINE - 5;
        let _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"{y}\" fill=\"{}\">{}</text>", colour(line), escaped(line));
    }
    svg.push_str("</g>\n</svg>\n");
    std::fs::write(path, svg).with_context(|| format!("writing {}", path.display()))
}

fn wrapped(line: &str, width: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = line;
    while let Some((at, _)) = rest.char_indices().nth(width) {
        let cut = rest[..at].rfind(' ').unwrap_or(at);
        parts.push(&rest[..cut]);
        rest = &rest[cut..];
    }
    parts.push(rest);
    parts
}

fn colour(line: &str) -> &'static str {
    if line.starts_with('$') || line.starts_with("attack ") {
        "#8fb8ff"
    } else if line.contains("enforced") || line.contains("balances") {
        "#7fd6a4"
    } else if line.contains("(!)") || line.contains("OFF BY") || line.contains("-- ") {
        "#ff9d8a"
    } else {
        "#d5dde5"
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
