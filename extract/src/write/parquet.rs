//! Apache Parquet: each batch a page of each column, some batches a row group.
//!
//! The library writes what is around the pages: headers, schema, footer. Pages are made here, because only two forms
//! are needed, and they can be made on many threads. Most columns of a batch hold few numbers, many one alone: a dictionary
//! of them for the row group, and for each row which of them it has. That is a fraction of the time of compressing them,
//! and mostly smaller. All others are plain values, under LZ4 where that is worth its time. `cargo run --release -p
//! ganglion-extract --example write` measures.

mod chunk;
mod distinct;
mod in_order;
mod indices;
mod page;
mod rooms;

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor, Type, TypePtr};

use super::WriteError;
use crate::table::{Batch, Field, Kind};
use distinct::Seed;
use in_order::in_order;
use page::{Packed, Packer};
use rooms::Rooms;

/// A row group ends with the batch that gives it so many rows. What is held of it until the end, for the footer, is so
/// about a hundredth of a byte for each row and column.
const ROW_GROUP_ROWS: usize = 16 * 1024;
/// A row group has no more batches, so that its dictionaries stay small.
const ROW_GROUP_BATCHES: usize = 255;

/// What all row groups of a file have in common.
#[derive(Debug)]
pub(super) struct Schema {
    columns: SchemaDescriptor,
    properties: WriterPropertiesPtr,
    seed: Seed,
    rooms: Rooms,
}

/// Rows of a batch, encoded: a page of each column, one after the other.
#[derive(Debug)]
pub(super) struct Part {
    rows: usize,
    bytes: Bytes,
    pages: Vec<Packed>,
}

/// An open file.
pub(super) struct File<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    columns: Vec<ColumnDescPtr>,
    seed: Seed,
    rooms: Rooms,
    /// For the last row group, when nothing else is left to be done.
    threads: NonZeroUsize,
    /// Of the row group under way.
    parts: Vec<Part>,
}

impl From<ParquetError> for WriteError {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(source) => match source.downcast::<io::Error>() {
                Ok(error) => Self::Io(*error),
                Err(other) => Self::Parquet(other.to_string()),
            },
            other => Self::Parquet(other.to_string()),
        }
    }
}

impl Schema {
    pub(super) fn new(fields: &[Field], about: &[(&str, String)]) -> Result<Self, WriteError> {
        let columns = fields.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let root = Type::group_type_builder("flows").with_fields(columns).build()?;
        let about: Vec<_> =
            about.iter().map(|(name, value)| KeyValue::new((*name).to_owned(), value.clone())).collect();
        let properties = WriterProperties::builder()
            .set_created_by(concat!("ganglion version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata((!about.is_empty()).then_some(about))
            .set_writer_version(WriterVersion::PARQUET_2_0)
            .set_offset_index_disabled(true)
            .build();
        let (columns, properties) = (SchemaDescriptor::new(Arc::new(root)), Arc::new(properties));
        Ok(Self { columns, properties, seed: Seed::new(), rooms: Rooms::default() })
    }

    /// Encodes rows.
    pub(super) fn part(&self, batch: &Batch) -> Result<Part, WriteError> {
        let mut packer = Packer::new(self.seed, self.rooms.take());
        let pages = batch.columns.iter().map(|cells| packer.page(cells)).collect::<Result<_, _>>()?;
        self.rooms.make_longer(packer.out.len());
        Ok(Part { rows: batch.rows, bytes: packer.out.into(), pages })
    }

    /// Opens a file.
    pub(super) fn file<W: Write + Send>(&self, to: W, threads: NonZeroUsize) -> Result<File<W>, WriteError> {
        let root = self.columns.root_schema_ptr();
        let writer = SerializedFileWriter::new(to, root, self.properties.clone())?;
        let (columns, rooms) = (self.columns.columns().to_vec(), self.rooms.clone());
        Ok(File { writer, columns, seed: self.seed, rooms, threads, parts: Vec::new() })
    }
}

impl<W: Write + Send> File<W> {
    pub(super) fn append(&mut self, part: Part) -> Result<(), WriteError> {
        if part.rows > 0 {
            self.parts.push(part);
        }
        if self.rows() >= ROW_GROUP_ROWS || self.parts.len() == ROW_GROUP_BATCHES {
            // Other threads have enough to do.
            self.end_row_group(NonZeroUsize::MIN)
        } else {
            Ok(())
        }
    }

    pub(super) fn finish(mut self) -> Result<W, WriteError> {
        self.end_row_group(self.threads)?;
        Ok(self.writer.into_inner()?)
    }

    fn rows(&self) -> usize {
        self.parts.iter().map(|part| part.rows).sum()
    }

    fn end_row_group(&mut self, threads: NonZeroUsize) -> Result<(), WriteError> {
        if self.parts.is_empty() {
            return Ok(());
        }
        let (columns, rooms) = (&self.columns, &self.rooms);
        let make = |at: usize| Some(chunk::chunk(at, columns.get(at)?, &self.parts, self.seed, rooms.take()));
        let mut writer = self.writer.next_row_group()?;
        let mut append = |chunk: Result<_, WriteError>| {
            let (pages, closed) = chunk?;
            writer.append_column(&pages, closed)?;
            rooms.give_back(pages);
            Ok::<_, WriteError>(())
        };
        in_order(threads, columns.len(), &make, &mut append)?;
        writer.close()?;
        self.parts.drain(..).for_each(|part| rooms.give_back(part.bytes));
        Ok(())
    }
}

fn column(field: &Field) -> Result<TypePtr, ParquetError> {
    let (physical, logical) = match field.kind {
        Kind::Int => (Physical::INT64, None),
        Kind::Float => (Physical::DOUBLE, None),
        Kind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let builder = Type::primitive_type_builder(&field.name, physical);
    Ok(Arc::new(builder.with_repetition(Repetition::REQUIRED).with_logical_type(logical).build()?))
}
