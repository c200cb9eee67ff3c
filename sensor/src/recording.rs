//! Recordings: raw records in a file, as they left the ring buffer.
//!
//! A file is a 16-byte header (`GNLR`, format version, record version, two bytes of the boot's tag, wall clock less
//! boot clock in µs, little-endian), then records back to back, each of the length of its kind.
//!
//! Records carry the boot clock, which never steps. When the wall clock does, the header's offset follows: the newest
//! is right for the whole file, because a wall clock is set in order to correct it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ganglion_flow::record::{self, DecodeError, Record, RecordKind};

use crate::clock;

const MAGIC: [u8; 4] = *b"GNLR";
/// Version of the file format.
pub const FORMAT: u8 = 1;
const HEADER: usize = 16;
/// Where the header holds the offset.
const OFFSET_AT: u64 = 8;
/// Smaller changes of the offset are reading errors and slow corrections; they are followed when they add up.
const STEP_US: u64 = 1_000;
/// Files without a tag: two boots are told apart by clocks that differ by more than a wall clock is usually corrected.
const SAME_BOOT_US: u64 = 300_000_000;

/// Why a recording can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The system refused.
    #[error("can't {what} recording {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not a recording.
    #[error("{path} is no recording (no GNLR header): choose another file")]
    NotOne {
        /// The file.
        path: PathBuf,
    },
    /// A recording of another version.
    #[error("{path} holds records of version {found}, this release writes version {expected}: choose another file")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u8,
        /// Ours.
        expected: u8,
    },
    /// Times in the file would mean two things.
    #[error("{path} was begun in another boot of the machine: choose another file")]
    OtherBoot {
        /// The file.
        path: PathBuf,
    },
    /// Damaged.
    #[error("{path} at byte {offset}: {source}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong there.
        source: DecodeError,
    },
    /// Cut off.
    #[error("{path} ends in the middle of a record at byte {offset}: the writer was killed or the disk was full")]
    Torn {
        /// The file.
        path: PathBuf,
        /// Where the record begins.
        offset: u64,
    },
}

/// When a recording was made, and in which boot of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Wall clock less boot clock, µs.
    pub boot_to_wall_offset_us: i64,
    /// Tells this boot from others; 0 when not known.
    pub boot_tag: u16,
}

impl Epoch {
    /// Now.
    pub(crate) fn now() -> Self {
        let id = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self { boot_to_wall_offset_us: clock::boot_to_wall_offset_us(), boot_tag: boot_tag(&id) }
    }

    /// Whether times of both are by the same boot clock.
    fn is_same_boot(self, other: Self) -> bool {
        match (self.boot_tag, other.boot_tag) {
            (0, _) | (_, 0) => self.boot_to_wall_offset_us.abs_diff(other.boot_to_wall_offset_us) <= SAME_BOOT_US,
            (a, b) => a == b,
        }
    }
}

/// Sixteen bits of a boot's identifier (FNV-1a, folded), never 0.
fn boot_tag(id: &[u8]) -> u16 {
    if id.is_empty() {
        return 0;
    }
    let hash = id.iter().fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    ((hash >> 16 ^ hash) as u16).max(1)
}

fn header(epoch: Epoch) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4] = FORMAT;
    bytes[5] = record::VERSION;
    bytes[6..8].copy_from_slice(&epoch.boot_tag.to_le_bytes());
    bytes[8..].copy_from_slice(&epoch.boot_to_wall_offset_us.to_le_bytes());
    bytes
}

fn parse_header(bytes: &[u8; HEADER], path: &Path) -> Result<Epoch, RecordingError> {
    if bytes[..4] != MAGIC || bytes[4] != FORMAT {
        return Err(RecordingError::NotOne { path: path.to_path_buf() });
    }
    if bytes[5] != record::VERSION {
        return Err(RecordingError::Version { path: path.to_path_buf(), found: bytes[5], expected: record::VERSION });
    }
    let [.., t, u, a, b, c, d, e, f, g, h] = *bytes;
    let boot_to_wall_offset_us = i64::from_le_bytes([a, b, c, d, e, f, g, h]);
    Ok(Epoch { boot_to_wall_offset_us, boot_tag: u16::from_le_bytes([t, u]) })
}

/// Length of the record that begins with `kind`.
pub(crate) fn record_len(kind: u8) -> Option<usize> {
    RecordKind::from_u8(kind).map(RecordKind::len)
}

/// Writes a recording. What the disk refuses is cut off again, so that the file stays readable.
pub struct Writer {
    file: File,
    path: PathBuf,
    good: u64,
    offset_us: i64,
}

impl Writer {
    /// Begins a recording, or goes on with one of this boot.
    ///
    /// # Errors
    /// The file can't be made, or is something else.
    pub fn open(path: &Path, epoch: Epoch) -> Result<Self, RecordingError> {
        let io = |what| move |source| RecordingError::Io { what, path: path.to_path_buf(), source };
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = options.map_err(io("open"))?;
        let offset_us = epoch.boot_to_wall_offset_us;
        let length = file.metadata().map_err(io("read"))?.len();
        if length == 0 {
            file.write_all(&header(epoch)).map_err(io("write"))?;
            return Ok(Self { file, path: path.to_path_buf(), good: HEADER as u64, offset_us });
        }
        let mut begin = [0; HEADER];
        file.read_exact(&mut begin).map_err(|_| RecordingError::NotOne { path: path.to_path_buf() })?;
        let begun = parse_header(&begin, path)?;
        if !begun.is_same_boot(epoch) {
            return Err(RecordingError::OtherBoot { path: path.to_path_buf() });
        }
        let good = end_of_whole_records(path).map_err(io("read"))?;
        let mut writer = Self { file, path: path.to_path_buf(), good, offset_us: begun.boot_to_wall_offset_us };
        writer.cut().map_err(io("repair"))?;
        writer.follow(offset_us).map_err(io("write"))?;
        Ok(writer)
    }

    /// Appends whole records.
    ///
    /// # Errors
    /// None of `records` is then in the file.
    pub fn append(&mut self, records: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(records) {
            self.cut()?;
            return Err(error);
        }
        self.good += records.len() as u64;
        Ok(())
    }

    /// Takes the offset of a wall clock that was set meanwhile into the header. Costs nothing while none was.
    ///
    /// # Errors
    /// The header keeps the offset from before.
    pub fn follow(&mut self, offset_us: i64) -> io::Result<()> {
        if offset_us.abs_diff(self.offset_us) >= STEP_US {
            self.file.write_all_at(&offset_us.to_le_bytes(), OFFSET_AT)?;
            self.offset_us = offset_us;
        }
        Ok(())
    }

    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.good)?;
        self.file.seek(SeekFrom::Start(self.good)).map(drop)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn end_of_whole_records(path: &Path) -> io::Result<u64> {
    let mut file = BufReader::new(File::open(path)?);
    let length = file.get_ref().metadata()?.len();
    let mut good = HEADER as u64;
    file.seek(SeekFrom::Start(good))?;
    let mut kind = [0u8; 1];
    while file.read(&mut kind)? == 1 {
        let Some(size) = record_len(kind[0]) else { break };
        let next = good + size as u64;
        if next > length {
            break;
        }
        file.seek_relative(size as i64 - 1)?;
        good = next;
    }
    Ok(good)
}

/// Reads a recording, record by record.
pub struct Reader {
    file: BufReader<File>,
    path: PathBuf,
    offset: u64,
    epoch: Epoch,
    done: bool,
}

impl Reader {
    /// Opens a recording.
    ///
    /// # Errors
    /// The file can't be read, or is something else.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let io = |source| RecordingError::Io { what: "open", path: path.to_path_buf(), source };
        let mut file = BufReader::new(File::open(path).map_err(io)?);
        let mut begin = [0; HEADER];
        file.read_exact(&mut begin).map_err(|_| RecordingError::NotOne { path: path.to_path_buf() })?;
        let epoch = parse_header(&begin, path)?;
        Ok(Self { file, path: path.to_path_buf(), offset: HEADER as u64, epoch, done: false })
    }

    /// Wall clock less boot clock of the machine that recorded, µs.
    pub fn boot_to_wall_offset_us(&self) -> i64 {
        self.epoch.boot_to_wall_offset_us
    }

    fn read(&mut self) -> Result<Option<Record>, RecordingError> {
        let path = self.path.clone();
        let offset = self.offset;
        let mut kind = [0u8; 1];
        let io = |source| RecordingError::Io { what: "read", path: path.clone(), source };
        if self.file.read(&mut kind).map_err(io)? == 0 {
            return Ok(None);
        }
        let damaged = |source| RecordingError::Damaged { path: path.clone(), offset, source };
        let unknown = DecodeError::Unknown { field: "kind", value: kind[0] };
        let size = record_len(kind[0]).ok_or_else(|| damaged(unknown))?;
        let mut bytes = vec![kind[0]; size];
        self.file.read_exact(&mut bytes[1..]).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => RecordingError::Torn { path: path.clone(), offset },
            _ => RecordingError::Io { what: "read", path: path.clone(), source },
        })?;
        self.offset += size as u64;
        Record::decode(&bytes).map(Some).map_err(damaged)
    }
}

impl Iterator for Reader {
    type Item = Result<Record, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let result = self.read().transpose();
        self.done = !matches!(result, Some(Ok(_)));
        result
    }
}

#[cfg(test)]
mod tests;
