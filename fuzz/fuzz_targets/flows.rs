//! Any row of packets of a few hosts, at any times, through the `ganglion` profile: no packet is lost in silence, and
//! cells are numbers.
#![no_main]

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use ganglion_extract::capture::{Frame, LinkType};
use ganglion_extract::ganglion::{Counts, Extraction, Options, extract, fields};
use ganglion_extract::table::{Batch, Cells};
use ganglion_flow::Timeouts;
use libfuzzer_sys::fuzz_target;

/// Bytes that say what the next packet is.
const SAID_BYTES: usize = 6;
/// An arbitrary point in time, ns since 1970.
const BEGIN_NS: i64 = 1_700_000_000_000_000_000;

/// The column of packets, which no option moves.
static PACKETS: LazyLock<usize> = LazyLock::new(|| {
    let fields = fields(&Options::default());
    fields.iter().position(|field| field.name == "flow_packets").expect("a feature")
});

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first() else { return };
    let options = options(*first);
    let (mut in_rows, mut rows) = (0.0, 0);
    let sink = |batch: Batch| {
        rows += batch.rows as u64;
        in_rows += check(&batch);
        ControlFlow::Continue(())
    };
    let one = NonZeroUsize::MIN;
    let (frames, counts) = extract(&options, one, std::mem::take, sink, |extraction| feed(extraction, rest));
    equation(&counts, frames);
    assert_eq!(counts.rows, rows);
    if !options.snapshots {
        assert_eq!(in_rows, counts.in_rows() as f64);
    }
});

/// Gives what the input says; how many frames that were.
fn feed(extraction: &mut Extraction<'_>, mut rest: &[u8]) -> u64 {
    let (mut frames, mut time_ns) = (0, BEGIN_NS);
    while let Some((said, after)) = rest.split_first_chunk() {
        let (bytes, after) = frame(said, after);
        rest = after;
        let (link, original_bytes, bytes) = (LinkType::Ethernet, bytes.len() as u32, bytes.as_slice());
        for _ in 0..repeats(said) {
            time_ns = later(time_ns, said);
            frames += 1;
            let frame = Frame { time_ns, link, interface: 0, original_bytes, bytes, offset: 0 };
            assert!(extraction.frame(&frame).is_continue());
        }
    }
    frames
}

fn options(said: u8) -> Options {
    let timeouts = Timeouts::GANGLION;
    Options {
        // Such that flows are cut by the active time-out before they are silent for long, too.
        timeouts: if said & 4 == 0 { timeouts } else { Timeouts { active_us: timeouts.half_open_us / 2, ..timeouts } },
        domain: said.into(),
        context: said & 1 != 0,
        snapshots: said & 2 != 0,
        inner: said & 8 != 0,
        vlan_domain: said & 16 != 0,
    }
}

/// Flows of many packets take few bytes.
fn repeats([shift, ..]: &[u8; SAID_BYTES]) -> u32 {
    match shift >> 5 {
        5 => 8,
        6 => 32,
        _ => 1,
    }
}

/// Up to half an hour later, or a little or much earlier.
fn later(time_ns: i64, [shift, gap, ..]: &[u8; SAID_BYTES]) -> i64 {
    let gap_ns = i64::from(*gap) << (shift & 0x1f) << 2;
    if shift & 0xe0 == 0xe0 { time_ns.saturating_sub(gap_ns) } else { time_ns.saturating_add(gap_ns) }
}

/// IPv4 with TCP, UDP or ICMP of a few hosts and ports; or the next bytes as they are. Behind it the rest.
fn frame<'a>([_, _, who, flags, seq, payload]: &[u8; SAID_BYTES], rest: &'a [u8]) -> (Vec<u8>, &'a [u8]) {
    let protocol = match who >> 6 {
        0 => 6,
        1 => 17,
        2 => 1,
        _ => {
            let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*payload)));
            return (bytes.to_vec(), rest);
        }
    };
    let forward = who & 1 == 0;
    let (client, server) = ([198, 18, 0, who >> 3 & 7], [198, 18, 1, who >> 1 & 3]);
    let (src, dst) = if forward { (client, server) } else { (server, client) };
    let [from, to] = if forward { [[0x9c, 0x40], [0, 80]] } else { [[0, 80], [0x9c, 0x40]] };
    let payload_bytes = usize::from(*payload);
    let transport = match protocol {
        6 => [&from[..], &to, &[0, 0, 0, *seq, 0, 0, 0, *seq, 0x50, *flags, *seq, 0, 0, 0, 0, 0]].concat(),
        17 => [from, to, [0, 0], [0, 0]].concat(),
        _ => vec![if forward { 8 } else { 0 }, 0, 0, 0, 0, *seq, 0, 0],
    };
    let total = (20 + transport.len() + payload_bytes) as u16;
    let mut bytes = vec![2; 12];
    bytes.extend([8, 0, 0x45, 0]);
    bytes.extend(total.to_be_bytes());
    bytes.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
    bytes.extend([src, dst].concat());
    bytes.extend(transport);
    bytes.resize(bytes.len() + payload_bytes, 7);
    (bytes, rest)
}

/// Every cell is a number; the sum of the column of packets.
fn check(batch: &Batch) -> f64 {
    let mut sum = 0.0;
    for (at, cells) in batch.columns.iter().enumerate() {
        assert_eq!(cells.len(), batch.rows);
        if let Cells::Float(cells) = cells {
            assert!(cells.iter().all(|cell| cell.is_finite()), "column {at}");
            if at == *PACKETS {
                sum = cells.iter().sum();
            }
        }
    }
    sum
}

/// Invariant 1: frames seen = in rows + of no flow + after their flow's end.
fn equation(counts: &Counts, frames: u64) {
    let no_flow: u64 = counts.no_flow().map(|(_, frames)| frames).sum();
    assert_eq!(counts.frames(), frames);
    assert_eq!(frames, counts.in_rows() + no_flow + counts.after_end(), "{counts:?}");
}
