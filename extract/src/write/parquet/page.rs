//! The pages of a batch, one for each column: what is in them, without their headers.

use std::ops::Range;

use super::super::WriteError;
use super::distinct::{Distinct, Seed};
use crate::table::Cells;

/// Bytes of a page by which it is told whether compressing is worth its time.
const SAMPLE_BYTES: usize = 4096;
/// Numbers of a page that are worth a dictionary: no more than so many, and no more than so many for eight rows.
/// Numbering takes a fraction of the time of compressing.
const MOST_VALUES: usize = 1280;
const VALUES_IN_EIGHT_ROWS: usize = 5;
/// A dictionary is given up early where so many first rows have more than three quarters as many values.
const SAMPLE_ROWS: usize = 512;
/// Values of which a byte tells which one it is.
const BYTE_VALUES: usize = 256;

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
    /// So many numbers, then for each row which of them it has, in one byte where that is enough, else in two.
    Few(usize),
    /// All values, plain.
    Plain,
    /// The same, compressed.
    Packed,
}

impl Form {
    /// Values that the page gives to the dictionary.
    pub(super) fn values(self) -> usize {
        match self {
            Self::Same => 1,
            Self::Few(values) => values,
            Self::Plain | Self::Packed => 0,
        }
    }
}

/// Makes pages, with room that is used again for each.
pub(super) struct Packer {
    plain: Vec<u8>,
    packed: Vec<u8>,
    distinct: Distinct,
    numbers: Vec<u16>,
    /// The pages so far.
    pub(super) out: Vec<u8>,
}

impl Packer {
    /// Puts pages into `out`, which is empty.
    pub(super) fn new(seed: Seed, out: Vec<u8>) -> Self {
        let distinct = Distinct::new(seed, MOST_VALUES);
        Self { plain: Vec::new(), packed: Vec::new(), distinct, numbers: Vec::new(), out }
    }

    /// Makes a page, the next one.
    pub(super) fn page(&mut self, cells: &Cells) -> Result<Packed, WriteError> {
        self.plain.clear();
        let start = self.out.len();
        let form = if is_constant(cells) {
            plain(cells, 1, &mut self.out);
            Form::Same
        } else if self.is_few(cells) {
            self.few()
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

    /// Whether there are few numbers, which it finds out by numbering them.
    fn is_few(&mut self, cells: &Cells) -> bool {
        match cells {
            Cells::Int(cells) | Cells::Time(cells) => self.number(cells, i64::cast_unsigned),
            Cells::Float(cells) | Cells::FloatOrWhole { values: cells, .. } => self.number(cells, f64::to_bits),
            Cells::Text(_) => false,
        }
    }

    fn number<T: Copy>(&mut self, cells: &[T], bits: impl Fn(T) -> u64) -> bool {
        let most = MOST_VALUES.min(cells.len() / 8 * VALUES_IN_EIGHT_ROWS);
        self.distinct.clear();
        self.numbers.clear();
        self.numbers.resize(cells.len(), 0);
        let (sample, rest) = cells.split_at(SAMPLE_ROWS.min(cells.len()));
        let mut places = self.numbers.iter_mut();
        for (cells, most) in [(sample, most.min(SAMPLE_ROWS / 4 * 3)), (rest, most)] {
            for (cell, place) in cells.iter().zip(&mut places) {
                match self.distinct.number(bits(*cell)) {
                    Some(number) => *place = number,
                    None => return false,
                }
            }
            if self.distinct.values().len() > most {
                return false;
            }
        }
        true
    }

    fn few(&mut self) -> Form {
        let values = self.distinct.values();
        words(values.iter().map(|value| value.to_le_bytes()), &mut self.out);
        if values.len() <= BYTE_VALUES {
            self.out.extend(self.numbers.iter().map(|number| *number as u8));
        } else {
            self.out.extend(self.numbers.iter().flat_map(|number| number.to_le_bytes()));
        }
        Form::Few(values.len())
    }
}

/// The values of a page of [`Form::Few`], and which of them each row has.
pub(super) fn few(page: &[u8], values: usize) -> Option<(&[[u8; 8]], Numbers<'_>)> {
    let (words, numbers) = page.split_at_checked(values * 8)?;
    let numbers = if values <= BYTE_VALUES { Numbers::Bytes(numbers) } else { Numbers::Halves(numbers.as_chunks().0) };
    Some((words.as_chunks().0, numbers))
}

/// Which value each row has.
pub(super) enum Numbers<'a> {
    Bytes(&'a [u8]),
    Halves(&'a [[u8; 2]]),
}

impl Numbers<'_> {
    /// The numbers that those of this page have in `all`, for each row.
    pub(super) fn renumbered(&self, all: &[u16], out: &mut Vec<u16>) {
        let of = |number: usize| all.get(number).copied().unwrap_or(0);
        out.clear();
        match self {
            Self::Bytes(numbers) => out.extend(numbers.iter().map(|number| of(usize::from(*number)))),
            Self::Halves(numbers) => out.extend(numbers.iter().map(|half| of(u16::from_le_bytes(*half).into()))),
        }
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
pub(super) fn words(words: impl ExactSizeIterator<Item = [u8; 8]>, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + words.len() * 8, 0);
    for (place, word) in out[start..].chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word);
    }
}
