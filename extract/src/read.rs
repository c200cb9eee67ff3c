//! Tables of rows, read back some thousand rows at a time: CSV, and Parquet of whatever writer.

mod csv;
mod parquet;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::table::{Batch, Field};

/// Rows of a batch.
const BATCH_ROWS: usize = 8_192;
/// How a Parquet file begins.
const PARQUET: &[u8; 4] = b"PAR1";

/// Why a table can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system failed to.
    #[error("can't be read: {0}")]
    Io(#[from] io::Error),
    /// It is no text, and no Parquet.
    #[error("no text at byte {0}; a CSV or Parquet file of `ganglion flow extract` is needed")]
    NoText(u64),
    /// It has no line.
    #[error("empty; a CSV file with a header line, or a Parquet file, is needed")]
    NoHeader,
    /// A line is cut, or has a comma too many.
    #[error("line {line} has {found} cells, the header {columns}: the file is cut there, or is no CSV; make it anew")]
    Cells {
        /// Counted from 1, header included.
        line: u64,
        /// Cells in the line.
        found: usize,
        /// Columns of the table.
        columns: usize,
    },
    /// A line is too long to be one.
    #[error("line {0} is longer than 16 MiB: a quotation mark is not closed there, or it is no CSV")]
    LongLine(u64),
    /// It is damaged, or of a kind that is not read.
    #[error("no Parquet file that can be read: {0}")]
    Parquet(String),
}

/// An open table.
pub struct Reader {
    fields: Vec<Field>,
    rows: Rows,
}

enum Rows {
    Csv(csv::Rows),
    Parquet(parquet::Rows),
}

impl Reader {
    /// Opens a file; what it is shows in how it begins.
    ///
    /// # Errors
    /// It can't be read, or is no table.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let mut file = File::open(path)?;
        let (begin, length) = begin(&mut file)?;
        if &begin[..length] == PARQUET {
            return Self::of_parquet(parquet::Rows::open(File::open(path)?)?);
        }
        Self::of_csv(csv::Rows::open(Box::new(BufReader::new(io::Cursor::new(begin).take(length as u64).chain(file))))?)
    }

    /// Reads a pipe. A Parquet file is held whole, because it begins at its end.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_reader(mut reader: impl Read + 'static) -> Result<Self, ReadError> {
        let (begin, length) = begin(&mut reader)?;
        let mut whole = io::Cursor::new(begin).take(length as u64).chain(reader);
        if &begin[..length] == PARQUET {
            let mut bytes = Vec::new();
            whole.read_to_end(&mut bytes)?;
            return Self::of_parquet(parquet::Rows::open(bytes::Bytes::from(bytes))?);
        }
        Self::of_csv(csv::Rows::open(Box::new(BufReader::new(whole)))?)
    }

    fn of_parquet((fields, rows): (Vec<Field>, parquet::Rows)) -> Result<Self, ReadError> {
        Ok(Self { fields, rows: Rows::Parquet(rows) })
    }

    fn of_csv((fields, rows): (Vec<Field>, csv::Rows)) -> Result<Self, ReadError> {
        Ok(Self { fields, rows: Rows::Csv(rows) })
    }

    /// The columns. Those of CSV are all text.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The number of rows, where it is known before they are read.
    pub fn rows(&self) -> Option<u64> {
        match &self.rows {
            Rows::Csv(_) => None,
            Rows::Parquet(rows) => Some(rows.count()),
        }
    }

    /// Reads only the columns at these places from here on, in this order.
    pub fn choose(&mut self, places: &[usize]) {
        self.fields = places.iter().filter_map(|at| self.fields.get(*at).cloned()).collect();
        match &mut self.rows {
            Rows::Csv(rows) => rows.choose(places),
            Rows::Parquet(rows) => rows.choose(places),
        }
    }

    /// The next rows; `None` behind the last.
    ///
    /// # Errors
    /// They can't be read.
    pub fn batch(&mut self) -> Result<Option<Batch>, ReadError> {
        match &mut self.rows {
            Rows::Csv(rows) => rows.batch(),
            Rows::Parquet(rows) => rows.batch(),
        }
    }
}

/// The first bytes, as many as there are.
fn begin(reader: &mut impl Read) -> io::Result<([u8; 4], usize)> {
    let (mut begin, mut length) = ([0; 4], 0);
    while let Some(rest) = begin.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((begin, length))
}

#[cfg(test)]
mod tests;
