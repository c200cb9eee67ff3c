//! Comma-separated values, quotes as in RFC 4180.

use std::io::BufRead;

use super::{BATCH_ROWS, ReadError};
use crate::table::{Batch, Cells, Field, Kind, Texts};

/// Longest line.
const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// Lines behind the header.
pub(super) struct Rows {
    from: Box<dyn BufRead>,
    /// Where the next line begins, in bytes, and its number, from 1.
    at: u64,
    line: u64,
    columns: usize,
    /// For each column, where it goes in a batch.
    places: Vec<Vec<usize>>,
    chosen: usize,
    text: Vec<u8>,
}

impl Rows {
    pub(super) fn open(from: Box<dyn BufRead>) -> Result<(Vec<Field>, Self), ReadError> {
        let mut rows = Self { from, at: 0, line: 1, columns: 0, places: Vec::new(), chosen: 0, text: Vec::new() };
        if !rows.read_line()? {
            return Err(ReadError::NoHeader);
        }
        let mut fields = Vec::new();
        each_cell(rows.line_text()?, |_, name| {
            fields.push(Field { name: name.to_owned().into(), unit: "", kind: Kind::Text });
        });
        rows.next_line();
        rows.columns = fields.len();
        rows.choose(&(0..fields.len()).collect::<Vec<_>>());
        Ok((fields, rows))
    }

    pub(super) fn choose(&mut self, places: &[usize]) {
        let to = |column: usize| (0..places.len()).filter(|at| places[*at] == column).collect();
        self.places = (0..self.columns).map(to).collect();
        self.chosen = places.len();
    }

    pub(super) fn batch(&mut self) -> Result<Option<Batch>, ReadError> {
        let mut columns = vec![Texts::default(); self.chosen];
        let mut rows = 0;
        while rows < BATCH_ROWS && self.read_line()? {
            let mut found = 0;
            each_cell(self.line_text()?, |at, cell| {
                found = at + 1;
                self.places.get(at).into_iter().flatten().for_each(|place| columns[*place].push(cell));
            });
            if found != self.columns {
                return Err(ReadError::Cells { line: self.line, found, columns: self.columns });
            }
            self.next_line();
            rows += 1;
        }
        let columns = columns.into_iter().map(Cells::Text).collect();
        Ok((rows > 0).then_some(Batch { columns, rows }))
    }

    /// Reads a line and those that its quoted cells go on in; false behind the last.
    fn read_line(&mut self) -> Result<bool, ReadError> {
        self.text.clear();
        loop {
            let before = self.text.len();
            let mut limited = std::io::Read::take(&mut self.from, (MAX_LINE_BYTES + 1) as u64);
            let read = limited.read_until(b'\n', &mut self.text)?;
            if self.text.len() > MAX_LINE_BYTES {
                return Err(ReadError::LongLine(self.line));
            }
            let quotes = self.text.iter().filter(|byte| **byte == b'"').count();
            if read == 0 || quotes.is_multiple_of(2) {
                return Ok(before > 0 || read > 0);
            }
        }
    }

    /// The line without its end.
    fn line_text(&self) -> Result<&str, ReadError> {
        let text =
            std::str::from_utf8(&self.text).map_err(|error| ReadError::NoText(self.at + error.valid_up_to() as u64))?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        Ok(text.strip_suffix('\r').unwrap_or(text))
    }

    fn next_line(&mut self) {
        self.at += self.text.len() as u64;
        self.line += 1;
    }
}

/// Calls `cell` with each cell of a line.
fn each_cell(line: &str, mut cell: impl FnMut(usize, &str)) {
    if !line.contains('"') {
        line.split(',').enumerate().for_each(|(at, text)| cell(at, text));
        return;
    }
    let (mut at, mut text, mut quoted) = (0, String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                text.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => {
                cell(at, &text);
                at += 1;
                text.clear();
            }
            other => text.push(other),
        }
    }
    cell(at, &text);
}
