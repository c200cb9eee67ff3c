use super::{LITTLE, read, read_from, small_pcap, small_pcapng, whole};
use crate::capture::{Capture, CaptureError, CompressionFault, Damage};
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use std::io::{self, Cursor, Read, Write};

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Packets of a capture that takes a dozen blocks of either format.
const PACKETS: u32 = 8_000;

/// `packets` packets of bytes that don't compress well, so that damage has much to lie in.
fn long_pcap(packets: u32) -> Vec<u8> {
    let mut file = LITTLE.pcap(0xa1b2_c3d4, 65_535, 1);
    let mut state = 1_u32;
    for packet in 0..packets {
        let bytes: Vec<u8> = (0..200)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 28) as u8
            })
            .collect();
        file.extend(LITTLE.record((packet, 0), 200, &[], &bytes));
    }
    file
}

fn fault(error: Option<CaptureError>) -> (u64, CompressionFault) {
    match error {
        Some(CaptureError::Damaged { offset, damage: Damage::Compression(fault), .. }) => (offset, fault),
        error => panic!("{error:?}"),
    }
}

#[test]
fn every_format_is_found_by_its_first_bytes() {
    for file in [small_pcap(LITTLE), small_pcapng(), long_pcap(PACKETS)] {
        let plain = whole(&file);
        assert_eq!(whole(&gzip(&file)), plain);
        assert_eq!(whole(&zstd(&file)), plain);
    }
}

#[test]
fn members_and_frames_back_to_back() {
    let file = long_pcap(5000);
    let plain = whole(&file);
    let (a, b) = file.split_at(12_345);
    assert_eq!(whole(&[gzip(a), gzip(&[]), gzip(b)].concat()), plain);
    assert_eq!(whole(&[gzip(a), gzip(b), vec![0; 200_000]].concat()), plain, "padding of a tape");
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 9, 9, 9, 9];
    assert_eq!(whole(&[&skippable[..], &zstd(a), &skippable, &zstd(&[]), &zstd(b)].concat()), plain);
}

#[test]
fn gzip_headers_with_everything() {
    let file = small_pcap(LITTLE);
    let mut encoder = GzBuilder::new()
        .extra(vec![7; 300])
        .filename("not-a-capture.txt")
        .comment("a comment")
        .write(Vec::new(), Compression::default());
    encoder.write_all(&file).unwrap();
    assert_eq!(whole(&encoder.finish().unwrap()), whole(&file));
}

#[test]
fn compressed_data_that_end_anywhere_give_whole_frames_and_an_error() {
    let file = small_pcapng();
    let plain = whole(&file);
    for packed in [gzip(&file), zstd(&file)] {
        for cut in 4..packed.len() {
            let (frames, error) = read(&packed[..cut]);
            assert_eq!(frames, plain[..frames.len()], "cut at {cut}");
            assert_eq!(fault(error).1, CompressionFault::Truncated, "cut at {cut} of {}", packed.len());
        }
    }
}

#[test]
fn long_compressed_data_lose_at_most_the_block_that_was_cut() {
    let file = long_pcap(PACKETS);
    for packed in [gzip(&file), zstd(&file)] {
        let mut last = 0;
        for cut in (1..8).map(|part| packed.len() * part / 8) {
            let (frames, error) = read(&packed[..cut]);
            let (offset, _) = fault(error);
            assert_eq!(offset, 24 + 216 * frames.len() as u64);
            let share = frames.len() as f64 / f64::from(PACKETS);
            assert!(frames.len() > last && share > cut as f64 / packed.len() as f64 - 0.1, "{share} of the frames");
            last = frames.len();
        }
    }
}

#[test]
fn damage_in_the_middle_keeps_what_came_before() {
    let file = long_pcap(PACKETS);
    let plain = whole(&file);
    for packed in [gzip(&file), zstd(&file)] {
        for part in 1..8 {
            let mut broken = packed.clone();
            let at = packed.len() * part / 8;
            broken[at..at + 64].fill(0xff);
            let (frames, error) = read(&broken);
            let good = frames.iter().zip(&plain).take_while(|(frame, plain)| frame == plain).count();
            assert!(error.is_some());
            // Two blocks at most.
            assert!(
                good as f64 / f64::from(PACKETS) > part as f64 / 8.0 - 0.2,
                "{good} frames before damage in part {part}"
            );
        }
    }
}

#[test]
fn wrong_checksums_and_lengths_are_said_at_the_end() {
    let file = small_pcap(LITTLE);
    for from_end in 1..=8 {
        let mut packed = gzip(&file);
        let at = packed.len() - from_end;
        packed[at] ^= 1;
        let (frames, error) = read(&packed);
        assert_eq!((frames.len(), fault(error).1), (3, CompressionFault::Checksum));
    }
    let mut packed = zstd(&file);
    let at = packed.len() - 1;
    packed[at] ^= 1;
    assert_eq!(fault(read(&packed).1).1, CompressionFault::Checksum);
}

#[test]
fn something_else_behind_compressed_data_is_said() {
    let file = small_pcap(LITTLE);
    for packed in [gzip(&file), zstd(&file)] {
        let (frames, error) = read(&[&packed[..], b"something else"].concat());
        assert_eq!((frames.len(), fault(error)), (3, (file.len() as u64, CompressionFault::Trailing)));
    }
}

#[test]
fn a_zstd_window_beyond_the_bound_is_refused() {
    // A frame header that asks for a window of 2^31 bytes.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 1, 0, 0, 0, 0, 0, 0];
    assert_eq!(fault(read(&frame).1), (0, CompressionFault::Window));
}

#[test]
fn what_is_compressed_and_no_capture_is_none() {
    for packed in [gzip(b"no capture"), zstd(b"no capture")] {
        let words = read(&packed).1.unwrap().to_string();
        assert!(words.starts_with("test: not a capture: it begins with 6e 6f 20 63, neither"), "{words}");
    }
    for packed in [gzip(b""), zstd(b"")] {
        let error = read(&packed).1;
        assert!(matches!(error, Some(CaptureError::Damaged { offset: 0, damage: Damage::Empty, .. })), "{error:?}");
    }
}

/// One byte at a time, with interruptions, as a pipe might; then an error.
struct Drip(Cursor<Vec<u8>>, bool, bool);

impl Read for Drip {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let one = out.len().min(1);
        match self.0.read(&mut out[..one])? {
            0 if self.2 => Err(io::Error::other("the disk is gone")),
            read => Ok(read),
        }
    }
}

#[test]
fn pipes_give_what_files_give() {
    for file in [small_pcap(LITTLE), small_pcapng()] {
        for packed in [file.clone(), gzip(&file), zstd(&file)] {
            let (frames, error) = read_from(Drip(Cursor::new(packed.clone()), false, false));
            assert!(error.is_none());
            assert_eq!(frames, whole(&file));
            let (frames, error) = read_from(Drip(Cursor::new(packed), false, true));
            assert_eq!(frames, whole(&file));
            let words = error.unwrap().to_string();
            let expected = format!("can't be read on at byte {}: the disk is gone", file.len());
            assert!(words.contains(&expected), "{words}");
        }
    }
}

#[test]
fn the_input_read_is_counted_as_it_lies_in_the_file() {
    for packed in [long_pcap(5000), gzip(&long_pcap(5000)), zstd(&long_pcap(5000))] {
        let mut capture = Capture::from_reader(Cursor::new(packed.clone()), "test").unwrap();
        while capture.next().unwrap().is_some() {}
        assert_eq!(capture.input_bytes_read(), packed.len() as u64);
    }
}
