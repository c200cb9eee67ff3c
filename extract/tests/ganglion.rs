//! What must hold of the `ganglion` profile for any packets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use ganglion_extract::capture::{Frame, LinkType};
use ganglion_extract::ganglion::{Counts, Options, extract, fields};
use ganglion_extract::table::{Batch, Cells};
use ganglion_flow::Reason;
use proptest::collection::vec;
use proptest::prelude::*;

const S: i64 = 1_000_000_000;

/// A frame: its time in ns, and its bytes.
type Event = (i64, Vec<u8>);

/// An Ethernet frame with IPv4 and TCP, UDP or ICMP of a few hosts and ports.
fn frame(host: u8, forward: bool, protocol: u8, flags: u8, seq: u8, payload: u8) -> Vec<u8> {
    let (client, server) = ([198, 18, 0, host % 8], [198, 18, 1, 1]);
    let (src, dst) = if forward { (client, server) } else { (server, client) };
    let (from, to) = if forward { ([0x9c, 0x40], [0, 80]) } else { ([0, 80], [0x9c, 0x40]) };
    let transport = match protocol {
        6 => {
            let mut tcp = [&from[..], &to, &[0, 0, 0, seq, 0, 0, 0, seq, 0x50, flags, 1, 0, 0, 0, 0, 0]].concat();
            tcp.extend(vec![0; payload.into()]);
            tcp
        }
        17 => [&from[..], &to, &[0, 8 + payload, 0, 0], &vec![0; payload.into()]].concat(),
        _ => vec![if forward { 8 } else { 0 }, 0, 0, 0, 0, 7, 0, seq],
    };
    let total = 20 + transport.len() as u8;
    let mut bytes = vec![2; 12];
    bytes.extend([8, 0, 0x45, 0, 0, total, 0, 0, 0, 0, 64, protocol, 0, 0]);
    bytes.extend(src);
    bytes.extend(dst);
    bytes.extend(transport);
    bytes
}

/// A part of one of a few UDP datagrams of 24 bytes: the first has the ports, and may come late or never.
fn part(host: u8, datagram: u8, first: bool) -> Vec<u8> {
    let mut bytes = frame(host, true, 17, 0, 0, if first { 8 } else { 0 });
    // Identification, and the fragment's place.
    (bytes[19], bytes[20], bytes[21]) = (datagram % 3, if first { 0x20 } else { 0 }, if first { 0 } else { 2 });
    bytes
}

fn frames() -> impl Strategy<Value = Vec<Event>> {
    let gap_ns = prop_oneof![
        6 => 0..S / 100,
        3 => 0..3 * S,
        1 => 5 * S..70 * S,
        1 => -S..0,
        1 => Just(-100 * S),
    ];
    // SYN, SYN and ACK, ACK, FIN, RST, and anything.
    let flags = prop_oneof![Just(2u8), Just(0x12), Just(0x10), Just(0x18), Just(0x11), Just(4), any::<u8>()];
    let protocol = prop_oneof![4 => Just(6u8), 2 => Just(17), 1 => Just(1)];
    let good = (any::<u8>(), any::<bool>(), protocol, flags, 0..4u8, 0..100u8)
        .prop_map(|(host, forward, protocol, flags, seq, payload)| frame(host, forward, protocol, flags, seq, payload));
    let part =
        (any::<u8>(), any::<u8>(), any::<bool>()).prop_map(|(host, datagram, first)| part(host, datagram, first));
    let bytes = prop_oneof![12 => good, 3 => part, 1 => vec(any::<u8>(), 0..80)];
    vec((gap_ns, bytes), 0..300).prop_map(|events| {
        let mut time_ns = 1_700_000_000 * S;
        events
            .into_iter()
            .map(|(gap_ns, bytes)| {
                time_ns += gap_ns;
                (time_ns, bytes)
            })
            .collect()
    })
}

/// All rows, and what was counted.
fn extracted(options: &Options, jobs: usize, events: &[Event]) -> (Vec<Batch>, Counts) {
    let mut batches = Vec::new();
    let sink = |batch| {
        batches.push(batch);
        ControlFlow::Continue(())
    };
    let ((), counts) = extract(options, NonZeroUsize::new(jobs).unwrap(), std::mem::take, sink, |extraction| {
        for (time_ns, bytes) in events {
            let original_bytes = bytes.len() as u32;
            let (time_ns, link) = (*time_ns, LinkType::Ethernet);
            let _ = extraction.frame(&Frame { time_ns, link, interface: 0, original_bytes, bytes, offset: 0 });
        }
    });
    (batches, counts)
}

fn column<'a>(options: &Options, batch: &'a Batch, name: &str) -> &'a Cells {
    let at = fields(options).iter().position(|field| field.name == name).unwrap();
    &batch.columns[at]
}

fn sum(options: &Options, batches: &[Batch], name: &str) -> f64 {
    let cells = |batch| match column(options, batch, name) {
        Cells::Float(cells) => cells.iter().sum::<f64>(),
        other => panic!("{other:?}"),
    };
    batches.iter().map(cells).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Every frame is in one row, after an end, or of no flow for a reason.
    #[test]
    fn no_frame_is_lost_in_silence(events in frames()) {
        let options = Options::default();
        let (batches, counts) = extracted(&options, 1, &events);
        prop_assert_eq!(counts.frames(), events.len() as u64);
        let no_flow: u64 = counts.no_flow().map(|(_, frames)| frames).sum();
        prop_assert_eq!(counts.frames(), counts.in_rows() + no_flow + counts.after_end());
        prop_assert_eq!(sum(&options, &batches, "flow_packets"), counts.in_rows() as f64);
        prop_assert_eq!(batches.iter().map(|batch| batch.rows as u64).sum::<u64>(), counts.rows);
        let ended = [Reason::Fin, Reason::Rst, Reason::Idle, Reason::Active, Reason::HalfOpen, Reason::Reopened];
        let ended = ended.into_iter().chain([Reason::Shutdown]).map(|reason| counts.ended(reason));
        prop_assert_eq!(ended.sum::<u64>(), counts.rows);
    }

    /// Rows and counts are the same on any number of cores.
    #[test]
    fn rows_do_not_depend_on_the_number_of_cores(
        events in frames(), context in any::<bool>(), snapshots in any::<bool>(),
    ) {
        let options = Options { context, snapshots, ..Options::default() };
        let alone = extracted(&options, 1, &events);
        for jobs in [2, 5] {
            prop_assert_eq!(&extracted(&options, jobs, &events), &alone, "{} jobs", jobs);
        }
        for batch in &alone.0 {
            prop_assert_eq!(batch.columns.len(), fields(&options).len());
            prop_assert!(batch.columns.iter().all(|cells| cells.len() == batch.rows));
        }
    }
}
