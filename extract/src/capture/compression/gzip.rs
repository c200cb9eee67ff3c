//! gzip (RFC 1952), members back to back, over flate2's inflate.

use super::{CompressionFault, Fault, GZIP, Raw};
use flate2::{Crc, Decompress, FlushDecompress, Status};

/// The only method there is.
const DEFLATE: u8 = 8;

const HEADER_CHECKSUM: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0xe0;

#[derive(Clone, Copy)]
enum State {
    /// Before the first member.
    First,
    Body,
    Trailer,
    /// After a member.
    Between,
    /// Damage that is to be told.
    Failed,
}

/// Decodes gzip.
pub(in crate::capture) struct Gzip {
    raw: Raw,
    inflate: Decompress,
    checksum: Crc,
    state: State,
}

impl Gzip {
    pub(super) fn new(raw: Raw) -> Self {
        Self { raw, inflate: Decompress::new(false), checksum: Crc::new(), state: State::First }
    }

    pub(super) fn raw(&self) -> &Raw {
        &self.raw
    }

    /// Some bytes, none at the end.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, Fault> {
        loop {
            match self.state {
                State::First => self.header()?,
                State::Between => {
                    if !self.another_member()? {
                        return Ok(0);
                    }
                    self.header()?;
                }
                State::Body => {
                    let written = self.body(out)?;
                    if written > 0 {
                        return Ok(written);
                    }
                }
                State::Trailer => self.trailer()?,
                State::Failed => return Err(CompressionFault::Corrupt.into()),
            }
        }
    }

    /// One call of the library. What it wrote counts, even if it met damage after that: the next call tells of it.
    fn body(&mut self, out: &mut [u8]) -> Result<usize, Fault> {
        let input = self.raw.fill()?;
        if input.is_empty() {
            return Err(CompressionFault::Truncated.into());
        }
        let (read_before, written_before) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(input, out, FlushDecompress::None);
        let read = (self.inflate.total_in() - read_before) as usize;
        let written = (self.inflate.total_out() - written_before) as usize;
        self.raw.consume(read);
        self.checksum.update(&out[..written]);
        self.state = match status {
            Ok(Status::StreamEnd) => State::Trailer,
            // No progress although there are input and room: there would never be any.
            Ok(_) if read == 0 && written == 0 => State::Failed,
            Ok(_) => State::Body,
            Err(_) => State::Failed,
        };
        Ok(written)
    }

    /// Whether another member follows. Zeros that pad the file to a block of a tape are no member and no damage.
    fn another_member(&mut self) -> Result<bool, Fault> {
        loop {
            let input = self.raw.fill()?;
            let Some(&first) = input.first() else {
                return Ok(false);
            };
            if first == GZIP[0] {
                return Ok(true);
            }
            let zeros = input.iter().take_while(|&&byte| byte == 0).count();
            if zeros == 0 {
                return Err(CompressionFault::Trailing.into());
            }
            self.raw.consume(zeros);
        }
    }

    /// Reads over a member's header; its name and comment may be of any length and are not kept.
    fn header(&mut self) -> Result<(), Fault> {
        let [magic_0, magic_1, method, flags, _time @ .., _level, _system] = self.bytes::<10>()?;
        if [magic_0, magic_1] != GZIP {
            return Err(CompressionFault::Trailing.into());
        }
        if method != DEFLATE || flags & RESERVED != 0 {
            return Err(CompressionFault::Corrupt.into());
        }
        if flags & EXTRA != 0 {
            for _ in 0..u16::from_le_bytes(self.bytes()?) {
                self.bytes::<1>()?;
            }
        }
        for text in [NAME, COMMENT] {
            while flags & text != 0 && self.bytes::<1>()? != [0] {}
        }
        if flags & HEADER_CHECKSUM != 0 {
            self.bytes::<2>()?;
        }
        self.inflate.reset(false);
        self.checksum.reset();
        self.state = State::Body;
        Ok(())
    }

    fn trailer(&mut self) -> Result<(), Fault> {
        let checksum = u32::from_le_bytes(self.bytes()?);
        let length = u32::from_le_bytes(self.bytes()?);
        if checksum != self.checksum.sum() || length != self.checksum.amount() {
            return Err(CompressionFault::Checksum.into());
        }
        self.state = State::Between;
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = *self.raw.fill()?.first().ok_or(CompressionFault::Truncated)?;
            self.raw.consume(1);
        }
        Ok(bytes)
    }
}
