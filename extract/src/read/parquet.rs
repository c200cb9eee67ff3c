//! Parquet, flat columns of numbers, times and texts.

use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::{BATCH_ROWS, ReadError};
use crate::table::{Batch, Cells, Field, Kind, Texts};

/// What a column's values become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Int,
    /// Texts, because some cells may be empty.
    IntOrNone,
    Float,
    /// µs are so many of its units, or its unit so many µs.
    Time {
        multiply: i64,
        divide: i64,
    },
    Text,
}

/// Rows of a file.
pub(super) struct Rows {
    file: Arc<dyn FileReader>,
    forms: Vec<Form>,
    /// Columns of the file that are read.
    chosen: Vec<usize>,
    next_group: usize,
    /// Of the row group under way.
    columns: Vec<ColumnReader>,
    left: usize,
}

impl From<ParquetError> for ReadError {
    fn from(error: ParquetError) -> Self {
        Self::Parquet(error.to_string())
    }
}

impl Rows {
    pub(super) fn open(from: impl ChunkReader + 'static) -> Result<(Vec<Field>, Self), ReadError> {
        let bytes = from.len();
        let file = SerializedFileReader::new(from)?;
        check(file.metadata(), bytes)?;
        let schema = file.metadata().file_metadata().schema_descr_ptr();
        let forms = schema.columns().iter().map(|column| form(column)).collect::<Result<Vec<_>, _>>()?;
        let field = |(column, form): (&Arc<ColumnDescriptor>, &Form)| Field {
            name: column.name().to_owned().into(),
            unit: "",
            kind: match form {
                Form::Int => Kind::Int,
                Form::Float => Kind::Float,
                Form::Time { .. } => Kind::Time,
                Form::Text | Form::IntOrNone => Kind::Text,
            },
        };
        let fields = schema.columns().iter().zip(&forms).map(field).collect();
        let chosen = (0..forms.len()).collect();
        Ok((fields, Self { file: Arc::new(file), forms, chosen, next_group: 0, columns: Vec::new(), left: 0 }))
    }

    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.file.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    pub(super) fn choose(&mut self, places: &[usize]) {
        self.chosen = places.iter().filter_map(|at| self.chosen.get(*at).copied()).collect();
    }

    pub(super) fn batch(&mut self) -> Result<Option<Batch>, ReadError> {
        while self.left == 0 {
            if self.next_group == self.file.num_row_groups() {
                return Ok(None);
            }
            let group = self.file.get_row_group(self.next_group)?;
            self.next_group += 1;
            self.left = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
            self.columns = self.chosen.iter().map(|at| group.get_column_reader(*at)).collect::<Result<_, _>>()?;
        }
        let rows = self.left.min(BATCH_ROWS);
        self.left -= rows;
        let forms = self.chosen.iter().filter_map(|at| self.forms.get(*at));
        let columns = self.columns.iter_mut().zip(forms).map(|(column, form)| cells(column, *form, rows));
        Ok(Some(Batch { columns: columns.collect::<Result<_, _>>()?, rows }))
    }
}

/// The library takes places and lengths as they stand, and panics where they can't be.
fn check(metadata: &ParquetMetaData, bytes: u64) -> Result<(), ReadError> {
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let within = |at: i64, length: i64| {
            let end =
                u64::try_from(at).ok().zip(u64::try_from(length).ok()).and_then(|(at, length)| at.checked_add(length));
            end.is_some_and(|end| end <= bytes)
        };
        let places = |column: &ColumnChunkMetaData| {
            let data = within(column.data_page_offset(), 0);
            let dictionary = column.dictionary_page_offset().is_none_or(|at| within(at, 0));
            let begin = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
            data && dictionary && within(begin, column.compressed_size())
        };
        if group.num_rows() < 0 || !group.columns().iter().all(places) {
            return Err(ReadError::Parquet(format!("row group {number} lies beyond the file's {bytes} bytes")));
        }
    }
    Ok(())
}

fn form(column: &ColumnDescriptor) -> Result<Form, ReadError> {
    let refused = |what: String| Err(ReadError::Parquet(format!("column {:?} is {what}", column.name())));
    if column.max_rep_level() > 0 || column.path().parts().len() > 1 {
        return refused("nested, not flat".into());
    }
    let some_empty = column.max_def_level() > 0;
    let time = match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Timestamp(time)), _) => Some(match time.unit {
            TimeUnit::MILLIS => (1000, 1),
            TimeUnit::MICROS => (1, 1),
            TimeUnit::NANOS => (1, 1000),
        }),
        (_, ConvertedType::TIMESTAMP_MILLIS) => Some((1000, 1)),
        (_, ConvertedType::TIMESTAMP_MICROS) => Some((1, 1)),
        _ => None,
    };
    match (column.physical_type(), time) {
        // Where it is empty it is the least number: pandas makes every column so that it could be.
        (Physical::INT64, Some((multiply, divide))) => Ok(Form::Time { multiply, divide }),
        (Physical::BOOLEAN | Physical::INT32 | Physical::INT64, _) if some_empty => Ok(Form::IntOrNone),
        (Physical::BOOLEAN | Physical::INT32 | Physical::INT64, _) => Ok(Form::Int),
        (Physical::FLOAT | Physical::DOUBLE, _) => Ok(Form::Float),
        (Physical::BYTE_ARRAY, _) => Ok(Form::Text),
        (other, _) => refused(format!("of the type {other}, which is not read")),
    }
}

fn cells(column: &mut ColumnReader, form: Form, rows: usize) -> Result<Cells, ReadError> {
    match column {
        ColumnReader::BoolColumnReader(reader) => ints(reader, form, rows, |value| i64::from(*value)),
        ColumnReader::Int32ColumnReader(reader) => ints(reader, form, rows, |value| i64::from(*value)),
        ColumnReader::Int64ColumnReader(reader) => ints(reader, form, rows, |value| *value),
        ColumnReader::FloatColumnReader(reader) => {
            let values = values(reader, rows)?;
            Ok(Cells::Float(values.into_iter().map(|value| value.map_or(f64::NAN, f64::from)).collect()))
        }
        ColumnReader::DoubleColumnReader(reader) => {
            let values = values(reader, rows)?;
            Ok(Cells::Float(values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect()))
        }
        ColumnReader::ByteArrayColumnReader(reader) => {
            let mut texts = Texts::default();
            for value in values(reader, rows)? {
                texts.push(&value.map(|value| String::from_utf8_lossy(value.data()).into_owned()).unwrap_or_default());
            }
            Ok(Cells::Text(texts))
        }
        ColumnReader::Int96ColumnReader(_) | ColumnReader::FixedLenByteArrayColumnReader(_) => {
            Err(ReadError::Parquet("a column of a type that is not read".into()))
        }
    }
}

fn ints<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    form: Form,
    rows: usize,
    int: impl Fn(&T::T) -> i64,
) -> Result<Cells, ReadError> {
    let values = values(reader, rows)?.into_iter().map(|value| value.as_ref().map(&int));
    Ok(match form {
        Form::IntOrNone => {
            let mut texts = Texts::default();
            values.for_each(|value| texts.push(&value.map(|value| value.to_string()).unwrap_or_default()));
            Cells::Text(texts)
        }
        Form::Time { multiply, divide } => {
            let us = |value: i64| value.saturating_mul(multiply).div_euclid(divide);
            Cells::Time(values.map(|value| value.map_or(i64::MIN, us)).collect())
        }
        _ => Cells::Int(values.map(|value| value.unwrap_or(0)).collect()),
    })
}

/// The next values of a column, empty ones among them.
fn values<T: DataType>(reader: &mut ColumnReaderImpl<T>, rows: usize) -> Result<Vec<Option<T::T>>, ReadError> {
    let (mut found, mut levels) = (Vec::with_capacity(rows), Vec::new());
    let mut records = 0;
    while records < rows {
        let (read, ..) = reader.read_records(rows - records, Some(&mut levels), None, &mut found)?;
        if read == 0 {
            return Err(ReadError::Parquet(format!("a column ends {} rows early", rows - records)));
        }
        records += read;
    }
    if levels.is_empty() {
        return Ok(found.into_iter().map(Some).collect());
    }
    let mut found = found.into_iter();
    // Flat columns: any level above 0 is there.
    Ok(levels.iter().map(|level| if *level > 0 { found.next() } else { None }).collect())
}
