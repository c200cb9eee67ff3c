//! The pages of a batch, one for each column: what is in them, without their headers.

use std::ops::Range;

use super::super::WriteError;
use crate::table::Cells;

/// Bytes of a page by which it is told whether compressing is worth its time.
const SAMPLE_BYTES: usize = 4096;

/// A page without its header.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) form: Form,
    /// Where it lies in the part.
    pub(super) range: Range<usize>,
    /// Length before it was compressed.
    pub(super) plain_bytes: usize,
    /// The least and the greatest time.
    pub(super) bounds: Option<(i64, i64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One value, which all rows have; not compressed.
    Same,
    /// All values, plain.
    Plain,
    /// The same, compressed.
    Packed,
}

/// Makes pages, with room that is used again for each.
#[derive(Default)]
pub(super) struct Packer {
    plain: Vec<u8>,
    packed: Vec<u8>,
    pub(super) out: Vec<u8>,
}

impl Packer {
    pub(super) fn page(&mut self, cells: &Cells) -> Result<Packed, WriteError> {
        self.plain.clear();
        let start = self.out.len();
        let form = if is_constant(cells) {
            plain(cells, 1, &mut self.out);
            Form::Same
        } else {
            plain(cells, cells.len(), &mut self.plain);
            match pack(&self.plain, &mut self.packed)? {
                Some(packed) => {
                    self.out.extend_from_slice(packed);
                    Form::Packed
                }
                None => {
                    self.out.extend_from_slice(&self.plain);
                    Form::Plain
                }
            }
        };
        let bounds = match cells {
            // Rows lie about in the order of time: the one column by which readers can leave row groups out.
            Cells::Time(times) => times.iter().min().copied().zip(times.iter().max().copied()),
            _ => None,
        };
        Ok(Packed { form, range: start..self.out.len(), plain_bytes: self.plain.len(), bounds })
    }
}

/// Compresses a page; nothing where it hardly shrinks, which a sample tells.
fn pack<'a>(plain: &[u8], packed: &'a mut Vec<u8>) -> Result<Option<&'a [u8]>, WriteError> {
    if i32::try_from(plain.len()).is_err() {
        let bytes = plain.len();
        return Err(WriteError::Parquet(format!("a page of {bytes} bytes is beyond 2 GiB; make smaller batches")));
    }
    let most = lz4_flex::block::get_maximum_output_size(plain.len());
    if packed.len() < most {
        packed.resize(most, 0);
    }
    let mut compress = |plain: &[u8]| {
        let bytes = lz4_flex::block::compress_into(plain, packed);
        let bytes = bytes.map_err(|error| WriteError::Parquet(error.to_string()))?;
        Ok::<_, WriteError>((bytes, bytes <= plain.len() / 4 * 3))
    };
    if let Some(sample) = plain.get(..SAMPLE_BYTES).filter(|sample| sample.len() < plain.len())
        && !compress(sample)?.1
    {
        return Ok(None);
    }
    let (bytes, shrunk) = compress(plain)?;
    Ok(packed.get(..bytes).filter(|_| shrunk))
}

/// Whether all cells are the same, to the bit.
fn is_constant(cells: &Cells) -> bool {
    fn all_equal<T: Copy + PartialEq>(cells: impl IntoIterator<Item = T>) -> bool {
        let mut cells = cells.into_iter();
        cells.next().is_some_and(|first| cells.all(|cell| cell == first))
    }
    match cells {
        Cells::Int(cells) | Cells::Time(cells) => all_equal(cells),
        Cells::Float(cells) | Cells::FloatOrWhole { values: cells, .. } => {
            all_equal(cells.iter().map(|cell| cell.to_bits()))
        }
        Cells::Text(cells) => all_equal(cells.iter()),
    }
}

/// The plain encoding of the first `rows` cells.
fn plain(cells: &Cells, rows: usize, out: &mut Vec<u8>) {
    match cells {
        Cells::Int(cells) | Cells::Time(cells) => words(cells.iter().take(rows).map(|cell| cell.to_le_bytes()), out),
        Cells::Float(cells) | Cells::FloatOrWhole { values: cells, .. } => {
            words(cells.iter().take(rows).map(|cell| cell.to_le_bytes()), out);
        }
        Cells::Text(cells) => {
            for text in cells.iter().take(rows) {
                out.extend((text.len() as u32).to_le_bytes());
                out.extend(text.as_bytes());
            }
        }
    }
}

/// Appends eight bytes each, which takes a fraction of the time that a byte after the other does.
fn words(words: impl ExactSizeIterator<Item = [u8; 8]>, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + words.len() * 8, 0);
    for (place, word) in out[start..].chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word);
    }
}

/// Indices into a dictionary, all the same: their width in bits, then one run of so many. There are never more values
/// than batches in a row group, so a byte holds an index.
pub(super) fn run(rows: usize, index: usize) -> Vec<u8> {
    let mut out = vec![8];
    let mut header = (rows as u64) << 1;
    while header >= 0x80 {
        out.push(header as u8 | 0x80);
        header >>= 7;
    }
    out.extend([header as u8, index as u8]);
    out
}
