//! Classic captures, read without the crate's own reader: this test is about the flows alone.

use std::io::Read;

use flate2::read::GzDecoder;

/// One packet.
pub(crate) struct Record<'a> {
    /// Microseconds since 1970.
    pub(crate) time_us: i64,
    /// Captured bytes.
    pub(crate) bytes: &'a [u8],
    /// Length on the wire.
    pub(crate) original_bytes: u32,
}

const FILE_HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 16;
const TAR_BLOCK_BYTES: usize = 512;

/// Unpacks gzip.
pub(crate) fn gunzip(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file of a tar archive.
pub(crate) fn member<'a>(archive: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut rest = archive;
    loop {
        let (header, behind) = rest.split_at_checked(TAR_BLOCK_BYTES)?;
        let size = std::str::from_utf8(header.get(124..136)?).ok()?;
        let size = usize::from_str_radix(size.trim_matches(['\0', ' ']), 8).ok()?;
        let stored = header.get(..100)?.split(|byte| *byte == 0).next()?;
        if stored == name.as_bytes() {
            return behind.get(..size);
        }
        rest = behind.get(size.next_multiple_of(TAR_BLOCK_BYTES)..)?;
    }
}

/// The packets of a capture of either byte order, with µs or ns.
pub(crate) fn packets(capture: &[u8]) -> Result<Vec<Record<'_>>, String> {
    let word = |at: usize, little: bool| {
        let bytes: [u8; 4] = *capture.get(at..)?.first_chunk()?;
        Some(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let (little, ns_a_tick) = match word(0, true) {
        Some(0xa1b2_c3d4) => (true, 1000),
        Some(0xa1b2_3c4d) => (true, 1),
        Some(0xd4c3_b2a1) => (false, 1000),
        Some(0x4d3c_b2a1) => (false, 1),
        other => return Err(format!("no classic capture: it begins with {other:x?}")),
    };
    let (mut all, mut at) = (Vec::new(), FILE_HEADER_BYTES);
    while at < capture.len() {
        let cut = || format!("cut at byte {at}");
        let field = |index: usize| word(at + index * 4, little).ok_or_else(cut);
        let (seconds, ticks) = (i64::from(field(0)?), i64::from(field(1)?));
        let (captured, original_bytes) = (field(2)? as usize, field(3)?);
        let begin = at + RECORD_HEADER_BYTES;
        let bytes = capture.get(begin..begin + captured).ok_or_else(cut)?;
        all.push(Record { time_us: seconds * 1_000_000 + ticks * ns_a_tick / 1000, bytes, original_bytes });
        at = begin + captured;
    }
    Ok(all)
}
