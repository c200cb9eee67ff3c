//! Two tables of flows, joined by key and compared column by column.

mod cell;
mod stream;

use std::collections::HashMap;

use crate::read::ReadError;
use cell::{Cell, Match, compare};

/// A CSV table in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Cells of each row.
    pub rows: Vec<Vec<String>>,
}

/// Why two tables can't be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// There is no header line.
    #[error("the {0} table has no header line")]
    NoHeader(Side),
    /// A line is cut, or has a comma too many.
    #[error("line {line} of the {side} table has {found} cells; its header has {columns}")]
    Cells {
        /// Which table.
        side: Side,
        /// Counted from 1, header included.
        line: usize,
        /// Cells in the line.
        found: usize,
        /// Columns of the table.
        columns: usize,
    },
    /// A column to join by is missing.
    #[error("the {side} table has no column {column:?}")]
    NoKey {
        /// Which table.
        side: Side,
        /// Its name.
        column: String,
    },
    /// A table can't be read on.
    #[error("the {side} table {error}")]
    Read {
        /// Which table.
        side: Side,
        /// Why.
        error: ReadError,
    },
}

/// One of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first.
    Left,
    /// The second.
    Right,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Left => "first",
            Self::Right => "second",
        })
    }
}

impl Table {
    /// Reads CSV without line breaks in cells; `side` is for the message.
    ///
    /// # Errors
    /// There is no header, or a line has another number of cells.
    pub fn read(csv: &str, side: Side) -> Result<Self, DiffError> {
        let mut lines = csv.lines().map(cells);
        let columns = lines.next().ok_or(DiffError::NoHeader(side))?;
        let rows: Vec<_> = lines.collect();
        match rows.iter().position(|row| row.len() != columns.len()) {
            None => Ok(Self { columns, rows }),
            Some(at) => Err(DiffError::Cells { side, line: at + 2, found: rows[at].len(), columns: columns.len() }),
        }
    }

    fn positions(&self, keys: &[&str], side: Side) -> Result<Vec<usize>, DiffError> {
        let position = |key: &&str| {
            let found = self.columns.iter().position(|column| column == key);
            found.ok_or_else(|| DiffError::NoKey { side, column: (*key).to_owned() })
        };
        keys.iter().map(position).collect()
    }
}

/// The cells of a line; quotes as in RFC 4180.
fn cells(line: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                push(&mut all, '"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(String::new()),
            other => push(&mut all, other),
        }
    }
    all
}

fn push(cells: &mut [String], char: char) {
    if let Some(cell) = cells.last_mut() {
        cell.push(char);
    }
}

/// How one column compares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnDiff {
    /// Its name.
    pub name: String,
    /// Cells of rows that both tables have.
    pub compared: u64,
    /// Cells with the same number or text.
    pub equal: u64,
    /// Cells that are not equal, but within the tolerance.
    pub within: u64,
    /// The first cell beyond it: key, left, right.
    pub example: Option<(String, String, String)>,
}

impl ColumnDiff {
    /// Cells beyond the tolerance.
    pub fn different(&self) -> u64 {
        self.compared - self.equal - self.within
    }

    fn count(&mut self, a: Cell<'_>, b: Cell<'_>, key: &str, tolerance: f64) {
        self.compared += 1;
        match compare(a, b, tolerance) {
            Match::Equal => self.equal += 1,
            Match::Within => self.within += 1,
            Match::Different if self.example.is_none() => {
                self.example = Some((key.to_owned(), a.to_string(), b.to_string()));
            }
            Match::Different => {}
        }
    }
}

/// How two tables compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// The columns that both have, in the order of the first.
    pub columns: Vec<ColumnDiff>,
    /// Columns that only the first has.
    pub columns_left: Vec<String>,
    /// Columns that only the second has.
    pub columns_right: Vec<String>,
    /// Keys of rows without a partner in the second; a key as often as there are rows.
    pub rows_left: Vec<String>,
    /// Keys of rows without a partner in the first.
    pub rows_right: Vec<String>,
}

impl Diff {
    /// Joins the rows of both by the columns `keys`, rows of equal keys in their order, and compares all columns that
    /// both have. Numbers are equal by value; with a point or an exponent they may differ by `tolerance`, relative to
    /// the larger. Whole numbers and texts may not.
    ///
    /// # Errors
    /// A table lacks one of the `keys`.
    pub fn between(left: &Table, right: &Table, keys: &[&str], tolerance: f64) -> Result<Self, DiffError> {
        let (key_left, key_right) = (left.positions(keys, Side::Left)?, right.positions(keys, Side::Right)?);
        let mut partners: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, row) in right.rows.iter().enumerate().rev() {
            partners.entry(key(row, &key_right)).or_default().push(at);
        }
        let (mut diff, pairs) = Self::columns(left, right);
        for row in &left.rows {
            let key = key(row, &key_left);
            match partners.get_mut(&key).and_then(Vec::pop) {
                None => diff.rows_left.push(key),
                Some(at) => diff.compare(row, &right.rows[at], &pairs, &key, tolerance),
            }
        }
        let rest = partners.into_iter().flat_map(|(key, rows)| rows.into_iter().map(move |_| key.clone()));
        diff.rows_right = rest.collect();
        diff.rows_right.sort_unstable();
        Ok(diff)
    }

    /// Whether nothing is left over and nothing differs beyond the tolerance.
    pub fn is_clean(&self) -> bool {
        let lists = [&self.columns_left, &self.columns_right, &self.rows_left, &self.rows_right];
        lists.iter().all(|list| list.is_empty()) && self.columns.iter().all(|column| column.different() == 0)
    }

    /// The columns of both, and where they are.
    fn columns(left: &Table, right: &Table) -> (Self, Vec<(usize, usize)>) {
        let mut diff = Self::default();
        let mut pairs = Vec::new();
        for (at, name) in left.columns.iter().enumerate() {
            match right.columns.iter().position(|other| other == name) {
                None => diff.columns_left.push(name.clone()),
                Some(other) => {
                    diff.columns.push(ColumnDiff { name: name.clone(), ..ColumnDiff::default() });
                    pairs.push((at, other));
                }
            }
        }
        let alone = right.columns.iter().filter(|name| !left.columns.contains(name));
        diff.columns_right = alone.cloned().collect();
        (diff, pairs)
    }

    fn compare(&mut self, left: &[String], right: &[String], pairs: &[(usize, usize)], key: &str, tolerance: f64) {
        for (column, (at_left, at_right)) in self.columns.iter_mut().zip(pairs) {
            column.count(Cell::Text(&left[*at_left]), Cell::Text(&right[*at_right]), key, tolerance);
        }
    }
}

fn key(row: &[String], positions: &[usize]) -> String {
    let parts: Vec<_> = positions.iter().filter_map(|at| row.get(*at)).map(String::as_str).collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(csv: &str) -> Table {
        Table::read(csv, Side::Left).unwrap()
    }

    #[test]
    fn cells_are_equal_within_or_different() {
        let left = table("id,n,x,t\n1,5,1.5,a\n2,6,0,a\n3,7,1.0,b");
        let right = table("t,x,n,id\na,1.5000000001,5,1\nb,0.0,6,2\nb,1.1,8,3");
        let diff = Diff::between(&left, &right, &["id"], 1e-9).unwrap();
        let counts: Vec<_> = diff.columns.iter().map(|c| (c.name.as_str(), c.equal, c.within, c.different())).collect();
        assert_eq!(counts, [("id", 3, 0, 0), ("n", 2, 0, 1), ("x", 1, 1, 1), ("t", 2, 0, 1)]);
        assert_eq!(diff.columns[1].example, Some(("3".into(), "7".into(), "8".into())));
        assert!(!diff.is_clean());
    }

    #[test]
    fn what_only_one_has_is_left_over() {
        let left = table("id,a\n1,x\n1,y\n2,x");
        let right = table("id,b\n1,x\n3,x");
        let diff = Diff::between(&left, &right, &["id"], 0.0).unwrap();
        assert_eq!((diff.rows_left, diff.rows_right), (vec!["1".into(), "2".into()], vec!["3".to_owned()]));
        assert_eq!((diff.columns_left, diff.columns_right), (vec!["a".to_owned()], vec!["b".to_owned()]));
    }

    #[test]
    fn whole_numbers_have_no_tolerance_and_quotes_hold_commas() {
        let diff = Diff::between(&table("id,n\n1,1000000"), &table("id,n\n1,1000001"), &["id"], 0.1).unwrap();
        assert_eq!(diff.columns[1].different(), 1);
        assert_eq!(table("a,\"b,\"\"c\"").columns, ["a", "b,\"c"]);
        assert!(Diff::between(&table("id\n1"), &table("id\n1"), &["id"], 0.0).unwrap().is_clean());
    }

    #[test]
    fn what_is_no_table_says_where() {
        assert_eq!(Table::read("", Side::Right).unwrap_err().to_string(), "the second table has no header line");
        let cut = Table::read("a,b\n1,2\n3", Side::Left).unwrap_err();
        assert_eq!(cut.to_string(), "line 3 of the first table has 1 cells; its header has 2");
        let no_key = Diff::between(&table("a\n1"), &table("b\n1"), &["a"], 0.0).unwrap_err();
        assert_eq!(no_key.to_string(), "the second table has no column \"a\"");
    }
}
