//! Captures of several pieces: records across them, faults in a later one.

use super::compression::{gzip, zstd};
use super::{LITTLE, Owned, read, read_from, whole};
use crate::capture::{CaptureError, Damage};
use std::io::{self, Cursor, Read};

/// A capture of a few pieces, with packets up to the longest there may be: some are longer than a piece.
fn of_all_lengths() -> Vec<u8> {
    let mut file = LITTLE.pcap(0xa1b2_c3d4, 0, 1);
    for packet in 0..300_u32 {
        let bytes = if packet % 50 == 49 { 262_144 } else { packet * 97 % 9_001 };
        file.extend(LITTLE.record((packet, 0), bytes, &[], &vec![packet as u8; bytes as usize]));
    }
    file
}

/// Gives pieces of a length that fits nothing; then what it is told.
struct Pieces {
    bytes: Cursor<Vec<u8>>,
    end: fn() -> io::Result<usize>,
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = out.len().min(7_919);
        match self.bytes.read(&mut out[..bytes])? {
            0 => (self.end)(),
            read => Ok(read),
        }
    }
}

fn in_pieces(bytes: Vec<u8>, end: fn() -> io::Result<usize>) -> (Vec<Owned>, Option<CaptureError>) {
    read_from(Pieces { bytes: Cursor::new(bytes), end })
}

#[test]
fn packets_across_pieces_of_any_length() {
    let file = of_all_lengths();
    let frames = whole(&file);
    assert_eq!(frames.len(), 300);
    for packed in [file.clone(), gzip(&file), zstd(&file)] {
        assert!(whole(&packed) == frames);
        let (same, error) = in_pieces(packed, || Ok(0));
        assert!(same == frames && error.is_none(), "{error:?}");
    }
}

#[test]
fn the_longest_blocks_across_pieces() {
    let mut file = [LITTLE.section(), LITTLE.interface(1, 0, &[])].concat();
    for number in 0..8_u8 {
        file.extend(LITTLE.packet(0, number.into(), 262_144, &vec![number; 262_144]));
        // One that is not held.
        file.extend(LITTLE.block(0x0bad, &vec![number; 900_000]));
    }
    assert_eq!(whole(&file).len(), 8);
}

#[test]
fn an_error_after_a_few_pieces_comes_where_it_is() {
    let file = of_all_lengths();
    let (frames, error) = in_pieces(file.clone(), || Err(io::Error::other("the disk is gone")));
    assert_eq!(frames.len(), 300);
    let words = error.unwrap().to_string();
    assert!(words.contains(&format!("can't be read on at byte {}: the disk is gone", file.len())), "{words}");
    // In the middle of a packet.
    let (frames, error) = in_pieces(file[..file.len() - 1].to_vec(), || Err(io::Error::other("the disk is gone")));
    let last = whole(&file)[299].offset;
    assert_eq!(frames.len(), 299);
    assert!(matches!(error, Some(CaptureError::Read { offset, .. }) if offset == last), "{error:?}");
}

#[test]
fn damage_after_a_few_pieces_comes_where_it_is() {
    let file = of_all_lengths();
    let frames = whole(&file);
    for at in [100, 200, 299] {
        let offset = frames[at].offset;
        let mut broken = file.clone();
        broken[offset as usize + 8..][..4].fill(0x7f);
        let (before, error) = read(&broken);
        assert!(before == frames[..at]);
        let Some(CaptureError::Damaged { offset: said, damage, .. }) = error else { panic!("{error:?}") };
        assert!(said == offset && matches!(damage, Damage::PacketTooLong { captured: 0x7f7f_7f7f }), "{damage:?}");
        // Cut in the packet.
        let (before, error) = read(&file[..offset as usize + 16]);
        let whole = frames[at].bytes.is_empty();
        assert!(before == frames[..at + usize::from(whole)]);
        assert_eq!(
            error.map(|error| matches!(error, CaptureError::Damaged { offset: said, .. } if said == offset)),
            (!whole).then_some(true)
        );
    }
}
