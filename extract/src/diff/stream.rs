//! Two tables as they are read: the second is held, column by column, the first passes by.

use std::collections::HashMap;

use super::cell::Cell;
use super::{ColumnDiff, Diff, DiffError, Side};
use crate::read::Reader;
use crate::table::Batch;

/// The held table.
struct Held {
    batches: Vec<Batch>,
    /// Rows by key, as batch and row, the first one last.
    rows: HashMap<String, Vec<(u32, u32)>>,
}

impl Diff {
    /// As [`Diff::between`], of tables that are read piece by piece. Each key is a choice of names, of which each table
    /// has one; times are the same in whatever spelling.
    ///
    /// # Errors
    /// A table lacks a key, or can't be read on.
    pub fn of(left: &mut Reader, right: &mut Reader, keys: &[&[&str]], tolerance: f64) -> Result<Self, DiffError> {
        let (key_left, key_right) = (places(left, keys, Side::Left)?, places(right, keys, Side::Right)?);
        let mut diff = Self::default();
        let (mut at_left, mut at_right) = (key_left, key_right);
        let count = keys.len();
        for (at, field) in left.fields().iter().enumerate() {
            match right.fields().iter().position(|other| other.name == field.name) {
                None => diff.columns_left.push(field.name.to_string()),
                Some(other) => {
                    diff.columns.push(ColumnDiff { name: field.name.to_string(), ..ColumnDiff::default() });
                    at_left.push(at);
                    at_right.push(other);
                }
            }
        }
        let alone = right.fields().iter().filter(|field| !left.fields().iter().any(|other| other.name == field.name));
        diff.columns_right = alone.map(|field| field.name.to_string()).collect();
        // The keys first, then what both have.
        left.choose(&at_left);
        right.choose(&at_right);
        let mut held = Held::read(right, count)?;
        while let Some(batch) = left.batch().map_err(|error| DiffError::Read { side: Side::Left, error })? {
            diff.rows(&batch, &mut held, count, tolerance);
        }
        diff.rows_right = held.rows.into_iter().flat_map(|(key, rows)| vec![key; rows.len()]).collect();
        diff.rows_right.sort_unstable();
        Ok(diff)
    }

    fn rows(&mut self, batch: &Batch, held: &mut Held, keys: usize, tolerance: f64) {
        for row in 0..batch.rows {
            let key = key(batch, row, keys);
            let partner = held.rows.get_mut(&key).and_then(Vec::pop);
            match partner.and_then(|(at, other)| Some((held.batches.get(at as usize)?, other as usize))) {
                None => self.rows_left.push(key),
                Some((others, other)) => {
                    for (column, at) in self.columns.iter_mut().zip(keys..) {
                        column.count(Cell::of(batch, at, row), Cell::of(others, at, other), &key, tolerance);
                    }
                }
            }
        }
    }
}

impl Held {
    fn read(reader: &mut Reader, keys: usize) -> Result<Self, DiffError> {
        let mut held = Self { batches: Vec::new(), rows: HashMap::new() };
        while let Some(batch) = reader.batch().map_err(|error| DiffError::Read { side: Side::Right, error })? {
            for row in 0..batch.rows {
                let place = (held.batches.len() as u32, row as u32);
                held.rows.entry(key(&batch, row, keys)).or_default().push(place);
            }
            held.batches.push(batch);
        }
        held.rows.values_mut().for_each(|rows| rows.reverse());
        Ok(held)
    }
}

fn places(reader: &Reader, keys: &[&[&str]], side: Side) -> Result<Vec<usize>, DiffError> {
    let place = |names: &&[&str]| {
        let found = reader.fields().iter().position(|field| names.contains(&field.name.as_ref()));
        found.ok_or_else(|| DiffError::NoKey { side, column: names.first().copied().unwrap_or_default().to_owned() })
    };
    keys.iter().map(place).collect()
}

fn key(batch: &Batch, row: usize, keys: usize) -> String {
    let parts: Vec<_> = (0..keys).map(|at| Cell::of(batch, at, row).key()).collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::table::{Cells, Field, Kind, Texts};
    use crate::write::{Encoder, Format, Spelling};

    const KEYS: [&[&str]; 2] = [&["Flow ID", "flow_id"], &["Timestamp"]];

    fn table(format: Format, spelling: Spelling, change: f64) -> Reader {
        let field = |name: &'static str, kind| Field { name: name.into(), unit: "", kind };
        let (key, at) = (field("flow_id", Kind::Text), field("Timestamp", Kind::Time));
        let fields = vec![field("n", Kind::Int), at, key, field("x", Kind::Float)];
        let encoder = Encoder::new(format, fields, spelling, &[]).unwrap();
        let mut ids = Texts::default();
        ["a", "b", "a"].iter().for_each(|id| ids.push(id));
        let columns = vec![
            Cells::Int(vec![1, 2, 3]),
            Cells::Time(vec![1_389_721_062_987_999, 0, 1_389_721_062_987_999]),
            Cells::Text(ids),
            Cells::Float(vec![0.1, 2e20 + change, f64::NAN]),
        ];
        let mut writer = encoder.writer(Vec::new()).unwrap();
        writer.append(encoder.encode(&Batch { columns, rows: 3 }).unwrap()).unwrap();
        Reader::from_reader(Cursor::new(writer.finish().unwrap())).unwrap()
    }

    #[test]
    fn formats_and_spellings_make_no_difference() {
        let all =
            [(Format::Parquet, Spelling::Shortest), (Format::Csv, Spelling::Shortest), (Format::Csv, Spelling::Java)];
        for left in all {
            for right in all {
                let (mut a, mut b) = (table(left.0, left.1, 0.0), table(right.0, right.1, 0.0));
                let diff = Diff::of(&mut a, &mut b, &KEYS, 0.0).unwrap();
                assert!(diff.is_clean() && diff.columns.len() == 4, "{left:?} {right:?} {diff:?}");
                assert_eq!(diff.columns[0].compared, 3);
            }
        }
        let (mut a, mut b) = (table(all[0].0, all[0].1, 0.0), table(all[1].0, all[1].1, 1e10));
        let diff = Diff::of(&mut a, &mut b, &KEYS, 1e-9).unwrap();
        assert_eq!((diff.columns[3].equal, diff.columns[3].within, diff.is_clean()), (2, 1, true));
        let (mut a, mut b) = (table(all[0].0, all[0].1, 0.0), table(all[2].0, all[2].1, 1e10));
        let diff = Diff::of(&mut a, &mut b, &KEYS, 1e-12).unwrap();
        let key = "b 1970-01-01 00:00:00";
        assert_eq!(diff.columns[3].example.as_ref().map(|(at, ..)| at.as_str()), Some(key));
    }

    #[test]
    fn a_missing_key_is_told() {
        let mut none = Reader::from_reader(Cursor::new("a,b\n1,2\n")).unwrap();
        let error = Diff::of(&mut none, &mut table(Format::Csv, Spelling::Java, 0.0), &KEYS, 0.0).unwrap_err();
        assert_eq!(error.to_string(), "the first table has no column \"Flow ID\"");
    }
}
