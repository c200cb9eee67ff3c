//! Reads what the recorder wrote: a header, then records back to back.
//!
//! Header, 16 bytes: magic "GNLR", format version u8 (1), record version u8, tag of the boot u16, then the wall clock
//! less the boot clock in µs, i64 little-endian: as it was last while the file was written.

use crate::context::Context;
use crate::row::Row;
use ganglion_flow::record::{self, DecodeError, Record, RecordKind};

/// First bytes of a recording.
pub const MAGIC: [u8; 4] = *b"GNLR";
/// Version of the file's layout.
pub const FORMAT: u8 = 1;
/// Length of the header, in bytes.
pub const HEADER_LEN: usize = 16;

/// What is wrong with a recording. Rows before the offset are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// Too short or another kind of file.
    #[error("not a recording: it does not begin with \"GNLR\" and a header of {HEADER_LEN} bytes")]
    NotARecording,
    /// Another layout of the file.
    #[error("recording of format {found}, this program reads format {FORMAT}")]
    Format {
        /// The format found.
        found: u8,
    },
    /// Records of another version.
    #[error("recording of records of version {found}, this program reads version {}", record::VERSION)]
    RecordVersion {
        /// The version found.
        found: u8,
    },
    /// The file ends inside a record.
    #[error("recording truncated at byte {offset}: the record there takes {expected} bytes, {found} are left")]
    Truncated {
        /// Where the cut record begins.
        offset: usize,
        /// Bytes it takes.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// A record that can't be read.
    #[error("recording damaged at byte {offset}: {why}")]
    Damaged {
        /// Where the record begins.
        offset: usize,
        /// What is wrong with it.
        why: DecodeError,
    },
}

/// A recording being read. After an error it ends.
pub struct Recording<'a> {
    bytes: &'a [u8],
    offset: usize,
    boot_to_wall_offset_us: i64,
    done: bool,
}

impl<'a> Recording<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// Says why this is no recording of this version.
    pub fn open(bytes: &'a [u8]) -> Result<Self, RecordingError> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(RecordingError::NotARecording)?;
        let [m0, m1, m2, m3, format, version, _, _, offset @ ..] = *header;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(RecordingError::NotARecording);
        }
        if format != FORMAT {
            return Err(RecordingError::Format { found: format });
        }
        if version != record::VERSION {
            return Err(RecordingError::RecordVersion { found: version });
        }
        Ok(Self { bytes, offset: HEADER_LEN, boot_to_wall_offset_us: i64::from_le_bytes(offset), done: false })
    }

    /// Wall clock less boot clock, µs.
    pub fn boot_to_wall_offset_us(&self) -> i64 {
        self.boot_to_wall_offset_us
    }

    fn record(&mut self) -> Result<Record, RecordingError> {
        let rest = &self.bytes[self.offset..];
        let offset = self.offset;
        let unknown = |value| DecodeError::Unknown { field: "kind", value };
        let kind = rest.first().copied().unwrap_or(0);
        let expected = RecordKind::from_u8(kind).map(RecordKind::len);
        let expected = expected.ok_or(RecordingError::Damaged { offset, why: unknown(kind) })?;
        let found = rest.len();
        let whole = rest.get(..expected).ok_or(RecordingError::Truncated { offset, expected, found })?;
        let record = Record::decode(whole).map_err(|why| RecordingError::Damaged { offset, why })?;
        self.offset += expected;
        Ok(record)
    }
}

impl Iterator for Recording<'_> {
    type Item = Result<Record, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done || self.offset >= self.bytes.len() {
            return None;
        }
        let record = self.record();
        self.done = record.is_err();
        Some(record)
    }
}

/// The rows of a recording, derived anew with a fresh context. A damaged file yields its good rows, then the
/// error with the offset.
///
/// # Errors
/// Says why the bytes are no recording of this version.
pub fn rows_from_recording(
    bytes: &[u8],
) -> Result<impl Iterator<Item = Result<Row, RecordingError>> + '_, RecordingError> {
    let mut context = Context::default();
    Ok(Recording::open(bytes)?.map(move |record| record.map(|record| context.observe(&record))))
}

/// A header as the recorder writes it.
pub fn header(boot_to_wall_offset_us: i64) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..4].copy_from_slice(&MAGIC);
    header[4] = FORMAT;
    header[5] = record::VERSION;
    header[8..].copy_from_slice(&boot_to_wall_offset_us.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganglion_flow::record::SourceRecord;
    use ganglion_flow::{Hook, Reason, RecordHeader, SourceState, Stage, Wire};

    fn recording(records: u64) -> Vec<u8> {
        let mut bytes = header(-5).to_vec();
        for i in 0..records {
            let header = RecordHeader::new(RecordKind::Source, Stage::Source, Reason::Level, Hook::Xdp, 1_000 * i);
            let mut one = vec![0; SourceRecord::LEN];
            assert!(SourceRecord { header, state: SourceState::ZERO }.put(&mut one));
            bytes.extend(one);
        }
        bytes
    }

    #[test]
    fn a_whole_recording_is_read() {
        let bytes = recording(3);
        assert_eq!(Recording::open(&bytes).unwrap().boot_to_wall_offset_us(), -5);
        assert_eq!(rows_from_recording(&bytes).unwrap().filter(|row| row.is_ok()).count(), 3);
    }

    #[test]
    fn a_cut_recording_keeps_what_came_before() {
        let bytes = recording(3);
        let cut = &bytes[..bytes.len() - 1];
        let rows: Vec<_> = rows_from_recording(cut).unwrap().collect();
        assert_eq!(rows.len(), 3);
        let offset = HEADER_LEN + 2 * SourceRecord::LEN;
        let expected = SourceRecord::LEN;
        let error = RecordingError::Truncated { offset, expected, found: expected - 1 };
        assert_eq!(rows[2].as_ref().unwrap_err(), &error);
        assert!(error.to_string().contains(&offset.to_string()));
    }

    #[test]
    fn other_files_are_refused() {
        let good = recording(1);
        let refused = |bytes: &[u8]| Recording::open(bytes).err().unwrap();
        assert_eq!(refused(b"GNL"), RecordingError::NotARecording);
        assert_eq!(refused(&[0; 64]), RecordingError::NotARecording);
        let mut other = good.clone();
        other[4] = 9;
        assert_eq!(refused(&other), RecordingError::Format { found: 9 });
        other = good.clone();
        other[5] = 200;
        assert_eq!(refused(&other), RecordingError::RecordVersion { found: 200 });
        other = good;
        other[HEADER_LEN] = 77;
        let error = rows_from_recording(&other).unwrap().next().unwrap().unwrap_err();
        assert!(matches!(error, RecordingError::Damaged { offset: HEADER_LEN, .. }));
    }
}
