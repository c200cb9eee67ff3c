use super::compression::{gzip, zstd};
use super::{LITTLE, ORDERS, Owned, read, small_pcap, small_pcapng, whole};
use crate::capture::{Capture, CaptureError, Damage};
use proptest::prelude::*;
use std::io::Cursor;

#[test]
fn an_empty_file_is_damaged_at_byte_0() {
    let words = read(&[]).1.unwrap().to_string();
    assert_eq!(words, "test: damaged at byte 0: the file is empty; what came before is good");
}

#[test]
fn another_file_is_no_capture() {
    let words = read(b"{\"not\": 1}").1.unwrap().to_string();
    assert_eq!(words, "test: not a capture: it begins with 7b 22 6e 6f, neither pcap nor pcapng (plain, gzip or zstd)");
    let words = read(b"\xfd7zXZ\0").1.unwrap().to_string();
    assert_eq!(words, "test: not a capture: it begins with fd 37 7a 58, as xz does: decompress it first");
    assert!(matches!(read(b"x").1, Some(CaptureError::NotACapture { first, .. }) if first == b"x"));
}

#[test]
fn a_file_that_is_not_there_is_said() {
    let words = Capture::open("/nowhere/at/all.pcap".as_ref()).err().unwrap().to_string();
    assert!(words.starts_with("/nowhere/at/all.pcap: can't be opened: "), "{words}");
}

/// Where each record or block of the file begins, and its end: cut there, it is whole.
fn cut_at_every_byte(file: &[u8], ends: &[usize]) {
    let frames = whole(file);
    for cut in 4..file.len() {
        let (before, error) = read(&file[..cut]);
        let expected: Vec<Owned> = frames
            .iter()
            .zip(frame_ends(file, &frames))
            .filter(|(_, end)| *end <= cut)
            .map(|(f, _)| f.clone())
            .collect();
        assert_eq!(before, expected, "cut at {cut}");
        if ends.contains(&cut) {
            assert!(error.is_none(), "cut at {cut}: {}", error.unwrap());
            continue;
        }
        let begun = ends.iter().copied().filter(|end| *end < cut).max().unwrap_or(0);
        match error {
            Some(CaptureError::Damaged { offset, damage: Damage::Truncated { needed, present }, .. }) => {
                assert_eq!((offset as usize, present as usize), (begun, cut - begun), "cut at {cut}");
                assert!(needed > present);
            }
            error => panic!("cut at {cut}: {error:?}"),
        }
    }
}

fn frame_ends(file: &[u8], frames: &[Owned]) -> Vec<usize> {
    let classic = file[0] != 0x0a;
    let end = |frame: &Owned| {
        let at = frame.offset as usize;
        if classic { at + 16 + frame.bytes.len() } else { at + block_bytes(file, at) }
    };
    frames.iter().map(end).collect()
}

fn block_bytes(file: &[u8], at: usize) -> usize {
    let four = file[at + 4..at + 8].try_into().unwrap();
    u32::from_le_bytes(four).min(u32::from_be_bytes(four)) as usize
}

#[test]
fn a_classic_file_cut_at_every_byte() {
    for order in ORDERS {
        let file = small_pcap(order);
        let mut ends = vec![24];
        ends.extend(frame_ends(&file, &whole(&file)));
        cut_at_every_byte(&file, &ends);
    }
}

#[test]
fn a_pcapng_file_cut_at_every_byte() {
    let file = small_pcapng();
    let mut ends = vec![0];
    while let Some(end) = ends.last().copied().filter(|end| *end < file.len()) {
        ends.push(end + block_bytes(&file, end));
    }
    cut_at_every_byte(&file, &ends);
}

#[test]
fn captures_can_be_read_on_another_thread() {
    fn sent<T: Send>() {}
    sent::<Capture>();
}

#[test]
fn nothing_follows_damage() {
    let mut file = small_pcap(LITTLE);
    file.push(0);
    let mut capture = Capture::from_reader(Cursor::new(file), "test").unwrap();
    for _ in 0..3 {
        assert!(capture.next().unwrap().is_some());
    }
    assert!(capture.next().is_err());
    assert!(capture.next().unwrap().is_none());
}

/// Reads to the end, whatever it is.
fn survives(bytes: &[u8]) {
    let (frames, _) = read(bytes);
    let delivered: usize = frames.iter().map(|frame| frame.bytes.len()).sum();
    // Deflate gives at most 1032 bytes for one, a zstd block 128 KiB for four.
    assert!(delivered <= bytes.len() * 32 * 1024);
    for frame in &frames {
        let borrowed = crate::capture::Frame {
            time_ns: frame.time_ns,
            link: frame.link,
            interface: frame.interface,
            original_bytes: frame.original_bytes,
            bytes: &frame.bytes,
            offset: frame.offset,
        };
        let _ = borrowed.packet();
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        survives(&bytes);
    }

    #[test]
    fn random_bytes_behind_a_header_never_panic(
        start in prop::sample::select(vec![
            small_pcap(ORDERS[0]),
            small_pcap(ORDERS[1]),
            LITTLE.pcap(0xa1b2_cd34, 100, 276),
            LITTLE.pcap(0xa1b2_cd34, 100, 0),
            [LITTLE.section(), LITTLE.interface(113, 9, &[])].concat(),
            vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0],
            vec![0x28, 0xb5, 0x2f, 0xfd],
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        survives(&[start, bytes].concat());
    }

    #[test]
    fn changed_bytes_never_panic(
        file in prop::sample::select(vec![
            small_pcap(ORDERS[0]),
            small_pcap(ORDERS[1]),
            small_pcapng(),
            gzip(&small_pcapng()),
            zstd(&small_pcapng()),
        ]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..10),
    ) {
        let mut file = file;
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        survives(&file);
    }
}
