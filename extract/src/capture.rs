//! Reads captures: pcap and pcapng, plain, gzip or zstd, whatever a file is called.
//!
//! ```no_run
//! # fn main() -> Result<(), ganglion_extract::capture::CaptureError> {
//! let mut capture = ganglion_extract::capture::Capture::open("traffic.pcapng.zst".as_ref())?;
//! while let Some(frame) = capture.next()? {
//!     println!("{} ns: {} bytes", frame.time_ns, frame.original_bytes);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Frames are borrowed from one buffer of fixed size, so memory is bounded whatever a file claims: 1 MiB, 3 MiB more
//! if it describes interfaces without end, and what a zstd file declares as its window, 128 MiB at most; 3 MiB more
//! where other threads read ahead in a file ([`ReadAhead`]). Of a damaged capture every frame before the damage is
//! delivered, then [`CaptureError::Damaged`] says at which byte it is. Times are delivered as they stand, backwards too.

mod ahead;
mod classic;
mod compression;
mod error;
mod input;
mod link;
mod pcapng;
mod reading;

pub use ahead::ReadAhead;
pub use error::{CaptureError, CompressionFault, Damage};
pub use link::{AsEthernet, LinkType, Network};
pub use reading::Reading;

use ahead::Blocks;
use classic::Classic;
use compression::Source;
use error::{Stop, failed};
use input::Input;
use pcapng::PcapNg;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Longest packet that is taken, in bytes: libpcap's bound too. Longer lengths are damage, or an attempt on memory.
pub const MAX_PACKET_BYTES: u32 = 256 * 1024;

/// One frame of a capture, lying in the capture's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When it was captured, in ns since 1970 UTC. 0 in pcapng's simple packet blocks, which carry no time. What does
    /// not fit (beyond the year 2262) is the largest or the smallest number.
    pub time_ns: i64,
    /// How `bytes` begins.
    pub link: LinkType,
    /// Which interface captured it, in the order in which the file describes them, over all its sections; 0 in
    /// classic pcap.
    pub interface: u32,
    /// Length on the wire, in bytes; more than `bytes` has when the capture was cut by its snap length.
    pub original_bytes: u32,
    /// What was captured, from the link header on.
    pub bytes: &'a [u8],
    /// Where the frame's record begins in the (uncompressed) capture, in bytes.
    pub offset: u64,
}

/// A frame's place in the buffer, before it is borrowed.
#[derive(Clone, Copy)]
struct Found {
    time_ns: i64,
    link: LinkType,
    interface: u32,
    original_bytes: u32,
    at: usize,
    bytes: usize,
    offset: u64,
}

enum Format {
    Classic(Classic),
    PcapNg(PcapNg),
    /// After damage.
    Ended,
}

/// An open capture.
pub struct Capture {
    name: String,
    input: Input,
    format: Format,
    found: Found,
    ahead: Option<ReadAhead>,
}

/// Before the first frame.
const NOTHING: Found =
    Found { time_ns: 0, link: LinkType::Ethernet, interface: 0, original_bytes: 0, at: 0, bytes: 0, offset: 0 };

impl Capture {
    /// Opens the file at `path`, of whatever format and compression it is.
    ///
    /// # Errors
    /// As [`Self::from_reader`], and when the file can't be opened.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let name = path.display().to_string();
        let file = match File::open(path) {
            Ok(file) => file,
            Err(source) => return Err(CaptureError::Open { input: name, source }),
        };
        // Of all that a path may be, a file alone has its bytes in places, and gives them at once.
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Self::from_reader(file, &name);
        }
        let blocks = Blocks::new(file);
        let ahead = Some(blocks.read_ahead());
        Ok(Self { ahead, ..Self::from_reader(blocks, &name)? })
    }

    /// Reads a capture from a pipe or from standard input; `name` stands for it in messages. No buffering is needed
    /// around `reader`: it is read in large pieces, and a short piece (of a live pipe) is not waited beyond.
    ///
    /// # Errors
    /// It can't be read, is no capture, is damaged before its first record, or is of a link type that no flow can be
    /// read from.
    pub fn from_reader(reader: impl Read + Send + 'static, name: &str) -> Result<Self, CaptureError> {
        let name = name.to_owned();
        let mut input = match Source::sniff(Box::new(reader)) {
            Ok(source) => Input::new(source),
            Err(source) => return Err(CaptureError::Read { input: name, offset: 0, source }),
        };
        match Format::sniff(&mut input) {
            Ok(format) => Ok(Self { name, input, format, found: NOTHING, ahead: None }),
            Err(stop) => Err(failed(stop, &mut input, &name)),
        }
    }

    /// The next frame; `None` after the last one, and after an error.
    ///
    /// # Errors
    /// As [`Self::advance`].
    #[allow(clippy::should_implement_trait, reason = "frames are borrowed, which no Iterator can say")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        Ok(if self.advance()? { Some(self.frame()) } else { None })
    }

    /// Goes to the next frame, and says whether there is one; there is none after the last one, and after an error.
    /// With [`Self::frame`] it is [`Self::next`] without the copies, which are a tenth of the time that reading takes.
    ///
    /// # Errors
    /// [`CaptureError::Damaged`] and [`CaptureError::Read`] end the capture. [`CaptureError::LinkType`] is about one
    /// frame of one interface of a pcapng file: the next call goes on after it.
    #[inline]
    pub fn advance(&mut self) -> Result<bool, CaptureError> {
        let found = match &mut self.format {
            Format::Classic(classic) => classic.next(&mut self.input, &mut self.found),
            Format::PcapNg(pcapng) => pcapng.next(&mut self.input, &mut self.found),
            Format::Ended => Ok(false),
        };
        found.map_err(|stop| self.stopped(stop))
    }

    /// The frame that [`Self::advance`] went to.
    #[inline]
    pub fn frame(&self) -> Frame<'_> {
        let found = &self.found;
        Frame {
            time_ns: found.time_ns,
            link: found.link,
            interface: found.interface,
            original_bytes: found.original_bytes,
            bytes: self.input.slice(found.at, found.bytes),
            offset: found.offset,
        }
    }

    /// Bytes taken from the file or pipe so far, compressed where it is: against the file's size, how far reading is.
    pub fn input_bytes_read(&self) -> u64 {
        self.input.raw_bytes_read()
    }

    /// Where other threads read ahead, if it is a file; of a pipe they could wait for ever.
    pub fn read_ahead(&self) -> Option<ReadAhead> {
        self.ahead.clone()
    }

    #[cold]
    fn stopped(&mut self, stop: Stop) -> CaptureError {
        if !matches!(stop, Stop::LinkType { .. }) {
            self.format = Format::Ended;
        }
        failed(stop, &mut self.input, &self.name)
    }
}

impl Format {
    fn sniff(input: &mut Input) -> Result<Self, Stop> {
        if !input.has(4) && input.window().is_empty() {
            return Err(Stop::damaged(0, Damage::Empty));
        }
        let Some(&magic) = input.window().first_chunk::<4>() else {
            return Err(Stop::NotACapture);
        };
        if magic == pcapng::SECTION_HEADER.to_be_bytes() {
            return Ok(Self::PcapNg(PcapNg::open(input)?));
        }
        match Classic::open(magic, input)? {
            Some(classic) => Ok(Self::Classic(classic)),
            None => Err(Stop::NotACapture),
        }
    }
}

#[cfg(test)]
mod tests;
