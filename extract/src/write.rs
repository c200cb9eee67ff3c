//! Writers of rows: CSV, JSON lines, Parquet.
//!
//! The work is in [`Encoder::encode`], which any number of threads may do at once; [`Writer::append`] only puts
//! what came out of it in order.

mod csv;
mod jsonl;
mod number;
mod parquet;
mod time;

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::table::{Batch, Field, Kind};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A header line, then a line per row.
    Csv,
    /// A JSON object per line and row.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

/// How numbers are spelled in CSV, and times in both formats of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// The shortest text that reads back as the same number; RFC 3339.
    Shortest,
    /// As the reference of the `cicflowmeter` profile writes them, which is made of Java.
    Java,
}

/// Why rows can't be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A batch that is not of this table.
    #[error("the rows have {found} where the table has {expected}")]
    Shape {
        /// A column of the table, or their number.
        expected: String,
        /// What is in its place.
        found: String,
    },
    /// The Parquet library refused.
    #[error("Parquet: {0}")]
    Parquet(String),
}

/// Makes bytes of rows. Threads may share it.
#[derive(Clone, Debug)]
pub struct Encoder {
    fields: Arc<[Field]>,
    how: How,
}

#[derive(Clone, Debug)]
enum How {
    Csv(Spelling),
    /// What stands before each cell.
    Jsonl(Arc<[String]>, Spelling),
    /// The last row group on so many threads.
    Parquet(Arc<parquet::Schema>, NonZeroUsize),
}

/// Some rows, ready to be appended.
#[derive(Debug)]
pub struct Encoded(Part);

#[derive(Debug)]
enum Part {
    Text(Vec<u8>),
    Pages(parquet::Part),
}

/// An open output.
pub struct Writer<W: Write + Send> {
    to: To<W>,
}

enum To<W: Write + Send> {
    Text(W),
    Parquet(Box<parquet::File<W>>),
}

impl Encoder {
    /// An encoder of rows with these fields. `about` are facts about the whole table, by name; of the formats Parquet
    /// alone has a place for them.
    ///
    /// # Errors
    /// The fields are no Parquet schema.
    pub fn new(
        format: Format,
        fields: Vec<Field>,
        spelling: Spelling,
        about: &[(&str, String)],
    ) -> Result<Self, WriteError> {
        let how = match format {
            Format::Csv => How::Csv(spelling),
            Format::Jsonl => How::Jsonl(jsonl::names(&fields).into(), spelling),
            Format::Parquet => How::Parquet(Arc::new(parquet::Schema::new(&fields, about)?), NonZeroUsize::MIN),
        };
        Ok(Self { fields: fields.into(), how })
    }

    /// So many threads make Parquet's last row group, in the place of the one that finishes the file.
    #[must_use]
    pub fn on_threads(mut self, number: NonZeroUsize) -> Self {
        if let How::Parquet(_, threads) = &mut self.how {
            *threads = number;
        }
        self
    }

    /// The columns.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Encodes rows.
    ///
    /// # Errors
    /// The batch is not of this table.
    pub fn encode(&self, batch: &Batch) -> Result<Encoded, WriteError> {
        fits(&self.fields, batch)?;
        Ok(Encoded(match &self.how {
            How::Csv(spelling) => Part::Text(csv::rows(batch, *spelling)),
            How::Jsonl(names, spelling) => Part::Text(jsonl::rows(batch, names, *spelling)),
            How::Parquet(schema, _) => Part::Pages(schema.part(batch)?),
        }))
    }

    /// Opens an output: writes what stands before the rows.
    ///
    /// # Errors
    /// It can't be written.
    pub fn writer<W: Write + Send>(&self, mut to: W) -> Result<Writer<W>, WriteError> {
        let to = match &self.how {
            How::Csv(_) => {
                to.write_all(&csv::header(&self.fields))?;
                To::Text(to)
            }
            How::Jsonl(..) => To::Text(to),
            How::Parquet(schema, threads) => To::Parquet(Box::new(schema.file(to, *threads)?)),
        };
        Ok(Writer { to })
    }
}

impl<W: Write + Send> Writer<W> {
    /// Appends rows.
    ///
    /// # Errors
    /// They can't be written.
    pub fn append(&mut self, rows: Encoded) -> Result<(), WriteError> {
        match (&mut self.to, rows.0) {
            (To::Text(to), Part::Text(text)) => Ok(to.write_all(&text)?),
            (To::Parquet(file), Part::Pages(part)) => file.append(part),
            _ => Err(WriteError::Shape { expected: "one format".into(), found: "rows of another".into() }),
        }
    }

    /// Writes what stands behind the rows, and gives the output back.
    ///
    /// # Errors
    /// It can't be written.
    pub fn finish(self) -> Result<W, WriteError> {
        match self.to {
            To::Text(mut to) => {
                to.flush()?;
                Ok(to)
            }
            To::Parquet(file) => file.finish(),
        }
    }
}

fn fits(fields: &[Field], batch: &Batch) -> Result<(), WriteError> {
    if fields.len() != batch.columns.len() {
        let (expected, found) = (fields.len(), batch.columns.len());
        return Err(WriteError::Shape { expected: format!("{expected} columns"), found: format!("{found} columns") });
    }
    for (field, cells) in fields.iter().zip(&batch.columns) {
        if field.kind != cells.kind() || cells.len() != batch.rows {
            let shape = |kind: Kind, rows: usize| format!("{rows} cells of {kind:?} in {:?}", field.name);
            let (expected, found) = (shape(field.kind, batch.rows), shape(cells.kind(), cells.len()));
            return Err(WriteError::Shape { expected, found });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
