//! Where the bytes come from: as they lie in the file, or out of gzip or zstd, told apart by their first bytes.
//!
//! The decoders are driven by hand, one call of the library at a time, so that what a call gave before it met damage
//! is not lost: every frame before the damage is delivered.

mod gzip;
mod zstd;

use super::error::CompressionFault;
use gzip::Gzip;
use std::io::{self, Read};
use zstd::Zstd;

/// Compressed bytes are read in pieces of this size.
const RAW_BYTES: usize = 128 * 1024;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: u32 = 0xfd2f_b528;
/// First of the sixteen magics of frames that hold no data; parallel compressors begin with one.
const ZSTD_SKIPPABLE: u32 = 0x184d_2a50;

/// Why no more bytes come, apart from the end.
#[derive(Debug)]
pub(super) enum Fault {
    /// The system's fault.
    Io(io::Error),
    /// The data's.
    Data(CompressionFault),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<CompressionFault> for Fault {
    fn from(fault: CompressionFault) -> Self {
        Self::Data(fault)
    }
}

/// Uncompressed bytes.
pub(super) enum Source {
    Plain(Raw),
    Gzip(Box<Gzip>),
    Zstd(Box<Zstd>),
}

impl Source {
    /// Finds out what `reader` gives.
    pub(super) fn sniff(reader: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut raw = Raw { reader, buffer: Vec::new(), start: 0, bytes_read: 0 };
        let first = raw.sniff()?;
        if first.starts_with(&GZIP) {
            return Ok(Self::Gzip(Box::new(Gzip::new(raw))));
        }
        if let Some(magic) = first.first_chunk().map(|magic| u32::from_le_bytes(*magic))
            && (magic == ZSTD || magic & !0xf == ZSTD_SKIPPABLE)
        {
            return Ok(Self::Zstd(Box::new(Zstd::new(raw)?)));
        }
        Ok(Self::Plain(raw))
    }

    /// Some bytes, at least one; none at the end. After an error nothing comes any more.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, Fault> {
        match self {
            Self::Plain(raw) => Ok(raw.read(out)?),
            Self::Gzip(gzip) => gzip.read(out),
            Self::Zstd(zstd) => zstd.read(out),
        }
    }

    pub(super) fn raw_bytes_read(&self) -> u64 {
        match self {
            Self::Plain(raw) => raw.bytes_read,
            Self::Gzip(gzip) => gzip.raw().bytes_read,
            Self::Zstd(zstd) => zstd.raw().bytes_read,
        }
    }
}

/// The bytes of the file or pipe itself.
pub(super) struct Raw {
    reader: Box<dyn Read + Send>,
    /// Read and not yet taken, from `start` on.
    buffer: Vec<u8>,
    start: usize,
    bytes_read: u64,
}

impl Raw {
    /// The first bytes: four, unless there are fewer.
    fn sniff(&mut self) -> io::Result<&[u8]> {
        self.buffer.resize(4, 0);
        let mut have = 0;
        while have < self.buffer.len() {
            match self.reader.read(&mut self.buffer[have..]) {
                Ok(0) => break,
                Ok(read) => have += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.buffer.truncate(have);
        self.bytes_read = have as u64;
        Ok(&self.buffer)
    }

    /// Straight into `out`, past the buffer but for what was sniffed.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let sniffed = &self.buffer[self.start..];
        if !sniffed.is_empty() {
            let bytes = sniffed.len().min(out.len());
            out[..bytes].copy_from_slice(&sniffed[..bytes]);
            self.start += bytes;
            return Ok(bytes);
        }
        let read = retried(&mut *self.reader, out)?;
        self.bytes_read += read as u64;
        Ok(read)
    }

    /// The bytes at hand, after reading on if there are none; empty at the end.
    fn fill(&mut self) -> io::Result<&[u8]> {
        if self.start == self.buffer.len() {
            self.start = 0;
            self.buffer.resize(RAW_BYTES, 0);
            let read = retried(&mut *self.reader, &mut self.buffer);
            self.buffer.truncate(*read.as_ref().unwrap_or(&0));
            self.bytes_read += read? as u64;
        }
        Ok(&self.buffer[self.start..])
    }

    /// Takes `bytes` of what [`Self::fill`] gave.
    fn consume(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.buffer.len());
    }
}

fn retried(reader: &mut dyn Read, out: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(out) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
