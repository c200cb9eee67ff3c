//! Apache Parquet: each batch a page of each column, some batches a row group.
//!
//! The library writes what is around the pages: headers, schema, footer. Pages are made here, because only two forms
//! are needed, and they can be made on many threads. Many columns of a batch hold one value alone: a dictionary of it,
//! and a run as long as the batch. All others are plain values, under LZ4 where that is worth its time. `cargo run
//! --release -p ganglion-extract --example write` measures.

mod page;

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, LogicalType, PageType, Repetition, TimeUnit, Type as Physical};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue, PageEncodingStats};
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr, WriterVersion};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor, Type, TypePtr};

use super::WriteError;
use crate::table::{Batch, Field, Kind};
use page::{Form, Packed, Packer, run};

/// A row group ends with the batch that gives it so many rows. What is held of it until the end, for the footer, is so
/// about a hundredth of a byte for each row and column.
const ROW_GROUP_ROWS: usize = 16 * 1024;
/// An index into a dictionary of constants is a byte, so a row group has no more batches.
const ROW_GROUP_BATCHES: usize = 255;

/// What all row groups of a file have in common.
#[derive(Debug)]
pub(super) struct Schema {
    columns: SchemaDescriptor,
    properties: WriterPropertiesPtr,
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
        Ok(Self { columns: SchemaDescriptor::new(Arc::new(root)), properties: Arc::new(properties) })
    }

    /// Encodes rows.
    pub(super) fn part(&self, batch: &Batch) -> Result<Part, WriteError> {
        let mut packer = Packer::default();
        let pages = batch.columns.iter().map(|cells| packer.page(cells)).collect::<Result<_, _>>()?;
        Ok(Part { rows: batch.rows, bytes: packer.out.into(), pages })
    }

    /// Opens a file.
    pub(super) fn file<W: Write + Send>(&self, to: W) -> Result<File<W>, WriteError> {
        let root = self.columns.root_schema_ptr();
        let writer = SerializedFileWriter::new(to, root, self.properties.clone())?;
        Ok(File { writer, columns: self.columns.columns().to_vec(), parts: Vec::new() })
    }
}

impl<W: Write + Send> File<W> {
    pub(super) fn append(&mut self, part: Part) -> Result<(), WriteError> {
        if part.rows > 0 {
            self.parts.push(part);
        }
        if self.rows() >= ROW_GROUP_ROWS || self.parts.len() == ROW_GROUP_BATCHES {
            self.end_row_group()
        } else {
            Ok(())
        }
    }

    pub(super) fn finish(mut self) -> Result<W, WriteError> {
        self.end_row_group()?;
        Ok(self.writer.into_inner()?)
    }

    fn rows(&self) -> usize {
        self.parts.iter().map(|part| part.rows).sum()
    }

    fn end_row_group(&mut self) -> Result<(), WriteError> {
        if self.parts.is_empty() {
            return Ok(());
        }
        let mut writer = self.writer.next_row_group()?;
        for (at, column) in self.columns.iter().enumerate() {
            let (pages, closed) = chunk(at, column, &self.parts)?;
            writer.append_column(&pages, closed)?;
        }
        writer.close()?;
        self.parts.clear();
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

/// A column of a row group, page by page, and what the footer says of it.
fn chunk(at: usize, column: &ColumnDescPtr, parts: &[Part]) -> Result<(Bytes, ColumnCloseResult), WriteError> {
    let pages: Vec<_> = parts.iter().filter_map(|part| Some((part, part.pages.get(at)?))).collect();
    let mut out = Pages::default();
    let mut dictionary: Vec<&[u8]> = Vec::new();
    for (part, page) in pages.iter().filter(|(_, page)| page.form == Form::Same) {
        let value = part.bytes.get(page.range.clone()).unwrap_or(&[]);
        if !dictionary.contains(&value) {
            dictionary.push(value);
        }
    }
    if !dictionary.is_empty() {
        out.dictionary(&dictionary)?;
    }
    for (part, page) in &pages {
        let bytes = part.bytes.slice(page.range.clone());
        if page.form == Form::Same {
            let index = dictionary.iter().position(|value| **value == *bytes).unwrap_or(0);
            let run = run(part.rows, index);
            let bytes = run.len();
            out.data(part.rows, run.into(), bytes, Encoding::RLE_DICTIONARY, false)?;
        } else {
            out.data(part.rows, bytes, page.plain_bytes, Encoding::PLAIN, page.form == Form::Packed)?;
        }
    }
    let rows: usize = parts.iter().map(|part| part.rows).sum();
    let bounds = pages.iter().filter_map(|(_, page)| page.bounds);
    let bounds = bounds.reduce(|all, page| (all.0.min(page.0), all.1.max(page.1)));
    out.finish(column, rows, bounds)
}

/// The pages of a chunk, with headers.
struct Pages {
    sink: TrackedWrite<Vec<u8>>,
    written: Vec<(PageType, Encoding, PageWriteSpec)>,
}

impl Default for Pages {
    fn default() -> Self {
        Self { sink: TrackedWrite::new(Vec::new()), written: Vec::new() }
    }
}

impl Pages {
    fn dictionary(&mut self, values: &[&[u8]]) -> Result<(), WriteError> {
        let plain = values.concat();
        // Pages of dictionaries are always compressed.
        let buf = Bytes::from(lz4_flex::block::compress(&plain));
        let (num_values, encoding) = (values.len() as u32, Encoding::PLAIN);
        let page = Page::DictionaryPage { buf, num_values, encoding, is_sorted: false };
        self.page(page, plain.len(), encoding)
    }

    fn data(
        &mut self,
        rows: usize,
        buf: Bytes,
        plain_bytes: usize,
        encoding: Encoding,
        is_compressed: bool,
    ) -> Result<(), WriteError> {
        let rows = u32::try_from(rows).map_err(|_| WriteError::Parquet(format!("{rows} rows in a batch")))?;
        let page = Page::DataPageV2 {
            buf,
            num_values: rows,
            encoding,
            // No cell is empty, so there are no levels.
            num_nulls: 0,
            num_rows: rows,
            def_levels_byte_len: 0,
            rep_levels_byte_len: 0,
            is_compressed,
            statistics: None,
        };
        self.page(page, plain_bytes, encoding)
    }

    fn page(&mut self, page: Page, plain_bytes: usize, encoding: Encoding) -> Result<(), WriteError> {
        let kind = page.page_type();
        let spec = SerializedPageWriter::new(&mut self.sink).write_page(CompressedPage::new(page, plain_bytes))?;
        self.written.push((kind, encoding, spec));
        Ok(())
    }

    fn finish(
        self,
        column: &ColumnDescPtr,
        rows: usize,
        bounds: Option<(i64, i64)>,
    ) -> Result<(Bytes, ColumnCloseResult), WriteError> {
        let first = |kind| self.written.iter().find(|(other, ..)| *other == kind).map(|(.., spec)| spec.offset as i64);
        let mut counts: Vec<PageEncodingStats> = Vec::with_capacity(3);
        for (page_type, encoding, _) in &self.written {
            match counts.iter_mut().find(|count| count.page_type == *page_type && count.encoding == *encoding) {
                Some(count) => count.count += 1,
                None => counts.push(PageEncodingStats { page_type: *page_type, encoding: *encoding, count: 1 }),
            }
        }
        let bytes = self.sink.bytes_written();
        let plain_bytes: usize = self.written.iter().map(|(.., spec)| spec.uncompressed_size).sum();
        let mut metadata = ColumnChunkMetaData::builder(column.clone())
            .set_compression(Compression::LZ4_RAW)
            .set_encodings(counts.iter().map(|count| count.encoding).chain([Encoding::RLE]).collect())
            .set_num_values(rows as i64)
            .set_total_compressed_size(bytes as i64)
            .set_total_uncompressed_size(plain_bytes as i64)
            .set_data_page_offset(first(PageType::DATA_PAGE_V2).unwrap_or(0))
            .set_dictionary_page_offset(first(PageType::DICTIONARY_PAGE))
            .set_page_encoding_stats(counts);
        if let Some((least, greatest)) = bounds {
            metadata = metadata.set_statistics(Statistics::int64(Some(least), Some(greatest), None, Some(0), false));
        }
        let closed = ColumnCloseResult {
            bytes_written: bytes as u64,
            rows_written: rows as u64,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok((self.sink.into_inner()?.into(), closed))
    }
}
