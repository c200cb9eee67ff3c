//! What can be wrong with a capture.

use super::MAX_PACKET_BYTES;
use super::input::Input;
use super::link::refused_name;
use std::io;

/// Why a capture can't be opened or read on. Every frame delivered before an error is good.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file can't be opened.
    #[error("{input}: can't be opened: {source}")]
    Open {
        /// The file.
        input: String,
        /// What the system said.
        source: io::Error,
    },
    /// The system failed to read on.
    #[error("{input}: can't be read on at byte {offset}: {source}; what came before is good")]
    Read {
        /// The file or pipe.
        input: String,
        /// Bytes of the (uncompressed) capture that were read before.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// It begins like no capture.
    #[error(
        "{input}: not a capture: it begins with {}, {}",
        hex(.first),
        looks_like(.first)
    )]
    NotACapture {
        /// The file or pipe.
        input: String,
        /// Its first bytes (uncompressed), four at most.
        first: Vec<u8>,
    },
    /// It is a capture, and broken from a byte on.
    #[error("{input}: damaged at byte {offset}: {damage}; what came before is good")]
    Damaged {
        /// The file or pipe.
        input: String,
        /// Where the broken header, record or block begins in the (uncompressed) capture: cut there, it is whole.
        offset: u64,
        /// What is broken.
        damage: Damage,
    },
    /// No flow can be read from what this interface captured.
    #[error(
        "{input}: link type {number} ({}) of interface {interface}, first needed at byte {offset}, is not read; capture \
         on an interface that gives Ethernet, raw IP, Linux cooked or loopback frames, or convert the file",
        refused_name(*.number)
    )]
    LinkType {
        /// The file or pipe.
        input: String,
        /// The number of the link type (LINKTYPE_ registry of tcpdump.org).
        number: u32,
        /// The interface, counted as in [`super::Frame::interface`].
        interface: u32,
        /// Where the file's header or the first such packet is, in bytes of the (uncompressed) capture.
        offset: u64,
    },
}

/// How a capture is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Not even a header.
    #[error("the file is empty")]
    Empty,
    /// The file ends early.
    #[error("the file ends there, {present} bytes into what takes at least {needed}")]
    Truncated {
        /// Bytes that the header, record or block takes, as far as it is known.
        needed: u64,
        /// Bytes of it that are there.
        present: u64,
    },
    /// Compressed data are broken; the offset is where they stop to give whole records.
    #[error("{0}")]
    Compression(#[from] CompressionFault),
    /// A version of the format that is not known.
    #[error("version {major}.{minor} of the format is not known")]
    Version {
        /// Number before the point.
        major: u16,
        /// Number after it.
        minor: u16,
    },
    /// A packet of more than [`MAX_PACKET_BYTES`].
    #[error("a packet of {captured} bytes is beyond the bound of {MAX_PACKET_BYTES}")]
    PacketTooLong {
        /// Bytes captured, as the record says.
        captured: u32,
    },
    /// A pcapng section that tells no byte order.
    #[error("a section whose byte-order magic is {0:#010x}")]
    ByteOrder(u32),
    /// A pcapng block whose length can't be.
    #[error("a block of type {kind:#x} with a length of {bytes} bytes, which can't be")]
    BlockLength {
        /// Type of the block.
        kind: u32,
        /// Its length, as its head says.
        bytes: u32,
    },
    /// A pcapng block whose two lengths differ.
    #[error("a block of {head} bytes by its head and of {tail} by its tail")]
    BlockTail {
        /// Length at its begin.
        head: u32,
        /// Length at its end.
        tail: u32,
    },
    /// A packet that is longer than its pcapng block.
    #[error("a packet of {captured} bytes in a block with room for {room}")]
    PacketBeyondBlock {
        /// Bytes captured, as the block says.
        captured: u32,
        /// Bytes that the block has for them.
        room: u32,
    },
    /// A packet of an interface that was not described.
    #[error("a packet of interface {interface}, where the section describes {described}")]
    UnknownInterface {
        /// Number in the section.
        interface: u32,
        /// Interfaces that the section described before.
        described: u32,
    },
    /// More interfaces than any machine has.
    #[error("more than {} interfaces in a section", super::pcapng::MAX_INTERFACES)]
    TooManyInterfaces,
}

/// How compressed data are broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompressionFault {
    /// The file ends inside a gzip member or a zstd frame.
    #[error("the compressed data end early")]
    Truncated,
    /// Something that no compressor writes.
    #[error("the compressed data are corrupt")]
    Corrupt,
    /// Checksum or length at the end of a gzip member or a zstd frame; the damage may lie anywhere in it.
    #[error("the compressed data have another checksum than they should: what came before may be wrong too")]
    Checksum,
    /// A zstd frame of a window beyond 128 MiB.
    #[error("the zstd window is larger than 128 MiB (compress without --long=28 or more)")]
    Window,
    /// Something else after the end.
    #[error("something else follows the compressed data")]
    Trailing,
}

/// Why reading stops, before the input's name is known.
#[derive(Debug)]
pub(super) enum Stop {
    /// What `at` begins ends with the input: the input says why.
    Short {
        at: u64,
        needed: u64,
        present: u64,
    },
    Damaged {
        at: u64,
        damage: Damage,
    },
    NotACapture,
    LinkType {
        number: u32,
        interface: u32,
        at: u64,
    },
}

impl Stop {
    pub(super) fn damaged(at: u64, damage: Damage) -> Self {
        Self::Damaged { at, damage }
    }
}

/// The error of a stop. What looks like an early end may be the end of what the system or a compressed stream gave.
pub(super) fn failed(stop: Stop, input: &mut Input, name: &str) -> CaptureError {
    let name = name.to_owned();
    if let Stop::Short { .. } | Stop::NotACapture | Stop::Damaged { damage: Damage::Empty, .. } = stop {
        let at = if let Stop::Short { at, .. } = stop { at } else { 0 };
        match input.take_fault() {
            Some(super::compression::Fault::Io(source)) => {
                return CaptureError::Read { input: name, offset: at, source };
            }
            Some(super::compression::Fault::Data(fault)) => {
                return CaptureError::Damaged { input: name, offset: at, damage: fault.into() };
            }
            None => {}
        }
    }
    match stop {
        Stop::Short { at, needed, present } => {
            CaptureError::Damaged { input: name, offset: at, damage: Damage::Truncated { needed, present } }
        }
        Stop::Damaged { at, damage } => CaptureError::Damaged { input: name, offset: at, damage },
        Stop::NotACapture => {
            CaptureError::NotACapture { input: name, first: input.window().iter().take(4).copied().collect() }
        }
        Stop::LinkType { number, interface, at } => {
            CaptureError::LinkType { input: name, number, interface, offset: at }
        }
    }
}

/// What a file is that is no capture, and what to do with it.
fn looks_like(first: &[u8]) -> &'static str {
    match first {
        [0xfd, b'7', b'z', b'X', ..] => "as xz does: decompress it first",
        [b'B', b'Z', b'h', ..] => "as bzip2 does: decompress it first",
        [0x04, 0x22, 0x4d, 0x18, ..] => "as lz4 does: decompress it first",
        [b'P', b'K', 3, 4, ..] => "as zip does: unpack it first",
        [0x1f, 0x8b, ..] => "as gzip does, inside the first compression: decompress it once",
        [b's', b'n', b'o', b'o', ..] => "as snoop does: convert it with editcap",
        _ => "neither pcap nor pcapng (plain, gzip or zstd)",
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.join(" ")
}
