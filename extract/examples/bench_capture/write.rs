//! A timeline as a classic pcap file of Ethernet frames.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use ganglion_flow::cursor::Frame;
use ganglion_flow::packet::Packet;

use super::pool::Pool;
use super::rewrite::{mask, rewrite};
use super::timeline::Timeline;

/// 2020-01-01, in seconds since 1970.
const BEGIN_S: u64 = 1_577_836_800;
/// Between two repetitions of the whole: every flow is over by then.
const PAUSE_US: u64 = 300_000_000;
const US_PER_S: u64 = 1_000_000;

/// What a file holds.
pub(crate) struct Written {
    /// Real captures that they come from.
    pub(crate) captures: usize,
    pub(crate) packets: usize,
    /// Distinct 5-tuples, either direction.
    pub(crate) flows: usize,
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
}

/// Writes the timeline, `repeats` times one after the other, at most `most` packets.
pub(crate) fn write(path: &Path, pool: &Pool, timeline: &Timeline, repeats: u32, most: usize) -> io::Result<Written> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(&header())?;
    let (mut captures, mut flows) = (HashSet::new(), HashSet::new());
    let (mut packets, mut last_us) = (0, 0);
    let mut frame = Vec::new();
    for repeat in 0..repeats {
        let begin_us = u64::from(repeat) * (timeline.length_us() + PAUSE_US);
        for slot in timeline.slots.iter().take(most) {
            let content = pool.captures.get(slot.capture as usize).and_then(|c| c.get(slot.packet as usize));
            let Some(packet) = content else { continue };
            frame.clear();
            frame.extend_from_slice(&packet.bytes);
            rewrite(&mut frame, mask(slot.instance));
            last_us = begin_us + slot.at_us;
            file.write_all(&record(last_us, frame.len(), packet.original_bytes))?;
            file.write_all(&frame)?;
            packets += 1;
            captures.insert(slot.capture);
            if let Ok(parsed) = Packet::parse(frame.as_slice(), Frame::plain(packet.original_bytes)) {
                flows.insert(parsed.key(0).0);
            }
        }
    }
    file.into_inner()?.sync_all()?;
    let bytes = path.metadata()?.len();
    Ok(Written {
        captures: captures.len(),
        packets,
        flows: flows.len(),
        bytes,
        seconds: last_us as f64 / US_PER_S as f64,
    })
}

fn header() -> [u8; 24] {
    let mut header = [0; 24];
    header[..4].copy_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
    header[4..8].copy_from_slice(&[2, 0, 4, 0]);
    header[16..20].copy_from_slice(&262_144_u32.to_le_bytes());
    header[20..].copy_from_slice(&1_u32.to_le_bytes());
    header
}

fn record(at_us: u64, captured: usize, original: u32) -> [u8; 16] {
    let fields = [(BEGIN_S + at_us / US_PER_S) as u32, (at_us % US_PER_S) as u32, captured as u32, original];
    let mut record = [0; 16];
    for (to, field) in record.chunks_mut(4).zip(fields) {
        to.copy_from_slice(&field.to_le_bytes());
    }
    record
}

#[cfg(test)]
mod tests {
    use super::super::pool::{Packet, Pool};
    use super::*;
    use ganglion_extract::capture::Capture;

    #[test]
    fn the_reader_reads_it_and_repetitions_are_other_flows() {
        let udp = [
            &[2; 12][..],
            &[8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2],
            &[0, 7, 0, 9, 0, 8, 0, 0],
        ];
        let packet = |after_us| Packet { after_us, original_bytes: 60, bytes: udp.concat() };
        let pool = Pool { captures: vec![vec![packet(0), packet(5)]] };
        let folder = std::env::temp_dir().join(format!("ganglion-bench-capture-{}", std::process::id()));
        let written = write(&folder, &pool, &Timeline::new(&pool, 6), 2, usize::MAX).expect("written");
        assert_eq!((written.captures, written.packets, written.flows), (1, 12, 3));
        let mut capture = Capture::open(&folder).expect("opened");
        let (mut count, mut last_ns) = (0, 0);
        while let Some(frame) = capture.next().expect("read") {
            assert!(frame.time_ns >= last_ns && frame.original_bytes == 60 && frame.bytes.len() == 42);
            (count, last_ns) = (count + 1, frame.time_ns);
        }
        assert_eq!(count, 12);
        std::fs::remove_file(&folder).expect("removed");
    }
}
