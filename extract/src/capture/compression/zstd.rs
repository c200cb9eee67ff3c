//! zstd (RFC 8878), frames back to back, over the reference library.

use super::{CompressionFault, Fault, Raw};
use std::io;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// Windows up to 2^27 bytes: the library's own bound, said here because memory rests on it.
const WINDOW_LOG_MAX: u32 = 27;
/// Bytes that the first call of a frame is given; the library then says how many it wants.
const FIRST_BYTES: usize = 5;

/// Decodes zstd.
pub(in crate::capture) struct Zstd {
    raw: Raw,
    decoder: Decoder<'static>,
    /// Bytes up to the end of the next block: given more, the library would lose the block before a damaged one.
    wanted: usize,
    /// Between frames.
    at_end: bool,
}

impl Zstd {
    pub(super) fn new(raw: Raw) -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
        Ok(Self { raw, decoder, wanted: FIRST_BYTES, at_end: true })
    }

    pub(super) fn raw(&self) -> &Raw {
        &self.raw
    }

    /// Some bytes, none at the end.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, Fault> {
        loop {
            let input = self.raw.fill()?;
            if input.is_empty() && self.at_end {
                return Ok(0);
            }
            if self.at_end {
                self.decoder.reinit()?;
                self.wanted = FIRST_BYTES;
            }
            let ended = input.is_empty();
            let mut from = InBuffer::around(&input[..self.wanted.min(input.len())]);
            let mut to = OutBuffer::around(&mut *out);
            let left = self.decoder.run(&mut from, &mut to).map_err(|error| fault(&error))?;
            let (read, written) = (from.pos(), to.pos());
            self.raw.consume(read);
            self.at_end = left == 0;
            self.wanted = left.max(1);
            if written > 0 {
                return Ok(written);
            }
            if ended {
                return Err(CompressionFault::Truncated.into());
            }
        }
    }
}

/// The library tells its errors in words alone.
fn fault(error: &io::Error) -> CompressionFault {
    let words = error.to_string();
    if words.contains("checksum") {
        CompressionFault::Checksum
    } else if words.contains("memory") {
        CompressionFault::Window
    } else if words.contains("Unknown frame descriptor") {
        CompressionFault::Trailing
    } else {
        CompressionFault::Corrupt
    }
}
