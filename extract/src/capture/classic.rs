//! Classic pcap: a header of 24 bytes, then records of 16 (or 24) bytes and a packet each.

use super::error::{Damage, Stop};
use super::input::Input;
use super::link::LinkType;
use super::{Found, MAX_PACKET_BYTES};

const HEADER_BYTES: usize = 24;
const RECORD_BYTES: usize = 16;
/// Records of the patched libpcap of the nineties: interface, protocol and packet type follow the lengths.
const MODIFIED_RECORD_BYTES: usize = 24;

const MAGIC_MICROSECONDS: u32 = 0xa1b2_c3d4;
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
const MAGIC_MODIFIED: u32 = 0xa1b2_cd34;

/// How the records of an open file are read.
pub(super) struct Classic {
    big_endian: bool,
    link: LinkType,
    /// Bytes of a record before its packet.
    record_bytes: usize,
    /// Nanoseconds in a unit of the second time field.
    unit_ns: i64,
    /// Bytes of a packet that are delivered; libpcap cuts there too.
    snap_bytes: u32,
    /// Before version 2.4 some wrote the lengths in the other order.
    lengths_may_be_swapped: bool,
}

impl Classic {
    /// Reads the file's header; `None` when `magic` is not of this format.
    pub(super) fn open(magic: [u8; 4], input: &mut Input) -> Result<Option<Self>, Stop> {
        let known = |magic| matches!(magic, MAGIC_MICROSECONDS | MAGIC_NANOSECONDS | MAGIC_MODIFIED);
        let (big, little) = (u32::from_be_bytes(magic), u32::from_le_bytes(magic));
        let (magic, big_endian) = match (known(big), known(little)) {
            (true, _) => (big, true),
            (_, true) => (little, false),
            _ => return Ok(None),
        };
        if !input.has(HEADER_BYTES) {
            return Err(input.short(HEADER_BYTES));
        }
        let Some(header) = input.window().first_chunk::<HEADER_BYTES>() else {
            return Err(input.short(HEADER_BYTES));
        };
        let (major, minor) = (half(header, 4, big_endian), half(header, 6, big_endian));
        let (snap, network) = (word(header, 16, big_endian), word(header, 20, big_endian));
        if major != 2 {
            return Err(Stop::damaged(0, Damage::Version { major, minor }));
        }
        // The high bits tell of a frame check sequence, which IP lengths leave out by themselves.
        let number = network & 0x03ff_ffff;
        let link = LinkType::new(number).ok_or(Stop::LinkType { number, interface: 0, at: 0 })?;
        input.consume(HEADER_BYTES);
        Ok(Some(Self {
            big_endian,
            link,
            record_bytes: if magic == MAGIC_MODIFIED { MODIFIED_RECORD_BYTES } else { RECORD_BYTES },
            unit_ns: if magic == MAGIC_NANOSECONDS { 1 } else { 1_000 },
            snap_bytes: snap_bytes(snap),
            lengths_may_be_swapped: minor < 4,
        }))
    }

    /// Puts the next packet's place in `found`, and says whether there is one.
    #[inline]
    pub(super) fn next(&mut self, input: &mut Input, found: &mut Found) -> Result<bool, Stop> {
        if !input.has(self.record_bytes) {
            return if input.is_over() { Ok(false) } else { Err(input.short(self.record_bytes)) };
        }
        let Some(record) = input.window().first_chunk::<RECORD_BYTES>() else {
            return Err(input.short(self.record_bytes));
        };
        let [seconds, fraction, mut captured, mut original] = words(record, self.big_endian);
        if self.lengths_may_be_swapped && captured > original {
            (captured, original) = (original, captured);
        }
        let offset = input.offset();
        if captured > MAX_PACKET_BYTES {
            return Err(Stop::damaged(offset, Damage::PacketTooLong { captured }));
        }
        let whole = self.record_bytes + captured as usize;
        if !input.has(whole) {
            return Err(input.short(whole));
        }
        *found = Found {
            // Both are below 2^32: it fits.
            time_ns: i64::from(seconds) * 1_000_000_000 + i64::from(fraction) * self.unit_ns,
            link: self.link,
            interface: 0,
            original_bytes: original,
            at: input.consume(whole) + self.record_bytes,
            bytes: captured.min(self.snap_bytes) as usize,
            offset,
        };
        Ok(true)
    }
}

/// Bytes of a packet to deliver under a snap length of `snap`; 0 stands for none.
pub(super) fn snap_bytes(snap: u32) -> u32 {
    if snap == 0 { MAX_PACKET_BYTES } else { snap.min(MAX_PACKET_BYTES) }
}

#[inline]
fn words(record: &[u8; RECORD_BYTES], big_endian: bool) -> [u32; 4] {
    // Not by `map`: that becomes a call for each.
    let at = |at| word(record, at, big_endian);
    [at(0), at(4), at(8), at(12)]
}

/// The 32-bit number at `at`, which must lie within `bytes`.
#[inline(always)]
pub(super) fn word<const N: usize>(bytes: &[u8; N], at: usize, big_endian: bool) -> u32 {
    let four = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    if big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
}

/// The 16-bit number at `at`, which must lie within `bytes`.
#[inline(always)]
pub(super) fn half<const N: usize>(bytes: &[u8; N], at: usize, big_endian: bool) -> u16 {
    let two = [bytes[at], bytes[at + 1]];
    if big_endian { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) }
}
