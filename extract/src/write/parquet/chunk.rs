//! A column of a row group: its pages with their headers, and what the footer says of it.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, PageType, Type as Physical};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{ColumnChunkMetaData, PageEncodingStats};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::super::WriteError;
use super::Part;
use super::distinct::{Distinct, Seed};
use super::indices::{packed, room_for, run, width};
use super::page::{Form, Packed, few, words};

/// The column at `at`, page by page, in `room`, and what the footer says of it.
pub(super) fn chunk(
    at: usize,
    column: &ColumnDescPtr,
    parts: &[Part],
    seed: Seed,
    room: Vec<u8>,
) -> Result<(Bytes, ColumnCloseResult), WriteError> {
    let pages: Vec<_> = parts.iter().filter_map(|part| Some((part, part.pages.get(at)?))).collect();
    let mut out = Pages::new(room);
    let values = pages.iter().map(|(_, page)| page.form.values()).sum();
    let mut dictionary = Dictionary::new(column, values, seed);
    // Room is taken once: threads that do this at the same time would wait for each other's `malloc`.
    let mut numbers = Vec::with_capacity(values);
    for (part, page) in &pages {
        dictionary.number(part, page, &mut numbers)?;
    }
    if values > 0 {
        out.dictionary(&dictionary)?;
    }
    let width = width(dictionary.len());
    let with_indices = pages.iter().filter(|(_, page)| page.form.values() > 0);
    let mut indices = Vec::with_capacity(with_indices.map(|(part, _)| room_for(part.rows, width)).sum());
    let (mut ends, mut of_rows) = (Vec::with_capacity(pages.len()), Vec::new());
    let mut numbers = numbers.as_slice();
    for (part, page) in &pages {
        let of_page = numbers.split_off(..page.form.values()).ok_or_else(contradiction)?;
        match of_page {
            [] => {}
            [number] => run(part.rows, *number, width, &mut indices),
            _ => {
                let bytes = part.bytes.get(page.range.clone()).ok_or_else(contradiction)?;
                let (_, rows) = few(bytes, of_page.len()).ok_or_else(contradiction)?;
                rows.renumbered(of_page, &mut of_rows);
                packed(&of_rows, width, &mut indices);
            }
        }
        ends.push(indices.len());
    }
    let (indices, mut start) = (Bytes::from(indices), 0);
    for ((part, page), end) in pages.iter().zip(ends) {
        match page.form {
            Form::Plain | Form::Packed => {
                let bytes = part.bytes.slice(page.range.clone());
                out.data(part.rows, bytes, page.plain_bytes, Encoding::PLAIN, page.form == Form::Packed)?;
            }
            Form::Same | Form::Few(_) => {
                out.data(part.rows, indices.slice(start..end), end - start, Encoding::RLE_DICTIONARY, false)?;
            }
        }
        start = end;
    }
    let rows: usize = parts.iter().map(|part| part.rows).sum();
    let bounds = pages.iter().filter_map(|(_, page)| page.bounds);
    let bounds = bounds.reduce(|all, page| (all.0.min(page.0), all.1.max(page.1)));
    out.finish(column, rows, bounds)
}

/// What no page says that was made here.
fn contradiction() -> WriteError {
    WriteError::Parquet("a page contradicts itself".to_owned())
}

/// The values of all pages that have few, or one.
enum Dictionary<'a> {
    Numbers(Distinct),
    Texts(Vec<&'a [u8]>),
}

impl<'a> Dictionary<'a> {
    fn new(column: &ColumnDescPtr, values: usize, seed: Seed) -> Self {
        match column.physical_type() {
            Physical::BYTE_ARRAY => Self::Texts(Vec::new()),
            _ => Self::Numbers(Distinct::new(seed, values)),
        }
    }

    /// Appends the numbers of a page's values.
    fn number(&mut self, part: &'a Part, page: &Packed, numbers: &mut Vec<u16>) -> Result<(), WriteError> {
        let bytes = part.bytes.get(page.range.clone()).ok_or_else(contradiction)?;
        match (self, page.form) {
            (_, Form::Plain | Form::Packed) => {}
            (Self::Numbers(distinct), form) => {
                let (values, _) = few(bytes, form.values()).ok_or_else(contradiction)?;
                for value in values {
                    numbers.push(distinct.number(u64::from_le_bytes(*value)).ok_or_else(contradiction)?);
                }
            }
            (Self::Texts(texts), _) => {
                let number = texts.iter().position(|text| *text == bytes).unwrap_or_else(|| {
                    texts.push(bytes);
                    texts.len() - 1
                });
                numbers.push(u16::try_from(number).map_err(|_| contradiction())?);
            }
        }
        Ok(())
    }

    fn len(&self) -> usize {
        match self {
            Self::Numbers(distinct) => distinct.values().len(),
            Self::Texts(texts) => texts.len(),
        }
    }

    fn plain(&self) -> Vec<u8> {
        match self {
            Self::Numbers(distinct) => {
                let mut plain = Vec::new();
                words(distinct.values().iter().map(|value| value.to_le_bytes()), &mut plain);
                plain
            }
            Self::Texts(texts) => texts.concat(),
        }
    }
}

/// The pages of a chunk, with headers.
struct Pages {
    sink: TrackedWrite<Vec<u8>>,
    written: Vec<(PageType, Encoding, PageWriteSpec)>,
}

impl Pages {
    fn new(room: Vec<u8>) -> Self {
        Self { sink: TrackedWrite::new(room), written: Vec::new() }
    }

    fn dictionary(&mut self, values: &Dictionary<'_>) -> Result<(), WriteError> {
        let plain = values.plain();
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
