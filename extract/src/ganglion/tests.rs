//! When flows begin and end, by the microsecond. That the kernel does the same is tested with the kernel.

use std::ops::ControlFlow;

use ganglion_flow::packet::tcp_flag::{ACK, FIN, RST, SYN};
use ganglion_flow::record::{FlowRecord, Record};
use ganglion_flow::{Addr, Reason, Stage};

use super::{Counts, Options, extract_records};
use crate::capture::{Frame, LinkType};

const S: u64 = 1_000_000;
/// Some time.
const T: u64 = 1_700_000_000 * S;

/// A packet of one conversation: when, whether from the client, and its TCP flags (`None` for UDP).
type Step = (u64, bool, Option<u8>);

/// An IP packet of the conversation; the server acknowledges and is acknowledged as it should be.
fn packet(forward: bool, flags: Option<u8>) -> Vec<u8> {
    let (src, dst, ports) = if forward { (1, 2, [0x9c, 0x40, 0, 80]) } else { (2, 1, [0, 80, 0x9c, 0x40]) };
    let transport = match flags {
        Some(flags) => [&ports[..], &[0, 0, 0, 7, 0, 0, 0, 8, 0x50, flags, 1, 0, 0, 0, 0, 0]].concat(),
        None => [&ports[..], &[0, 8, 0, 0]].concat(),
    };
    let protocol = if flags.is_some() { 6 } else { 17 };
    let mut ip = vec![0x45, 0, 0, 20 + transport.len() as u8, 0, 0, 0, 0, 64, protocol, 0, 0];
    ip.extend([198, 18, 0, src, 198, 18, 0, dst]);
    ip.extend(transport);
    ip
}

fn extracted(options: &Options, steps: &[Step]) -> (Vec<FlowRecord>, Counts) {
    let mut records = Vec::new();
    let keep = |some: &[Record]| {
        records.extend(some.iter().filter_map(|record| match record {
            Record::Flow(flow) => Some(*flow),
            Record::Source(_) => None,
        }));
        ControlFlow::Continue(())
    };
    let ((), counts) = extract_records(options, keep, |extraction| {
        for (time_us, forward, flags) in steps {
            let bytes = &packet(*forward, *flags);
            let (time_ns, original_bytes) = ((T + time_us) as i64 * 1_000, bytes.len() as u32);
            let frame = Frame { time_ns, link: LinkType::RawIp, interface: 0, original_bytes, bytes, offset: 0 };
            assert_eq!(extraction.frame(&frame), ControlFlow::Continue(()));
        }
    });
    (records, counts)
}

/// All records of UDP packets from one client to ports from 1 000 on, each at its time.
fn scanned(times_us: &[u64]) -> Vec<Record> {
    let mut records = Vec::new();
    let keep = |some: &[Record]| {
        records.extend_from_slice(some);
        ControlFlow::Continue(())
    };
    extract_records(&Options::default(), keep, |extraction| {
        for (time_us, port) in times_us.iter().zip(1_000_u16..) {
            let mut bytes = packet(true, UDP);
            bytes[22..24].copy_from_slice(&port.to_be_bytes());
            let (time_ns, original_bytes) = ((T + time_us) as i64 * 1_000, bytes.len() as u32);
            let link = LinkType::RawIp;
            let _ = extraction.frame(&Frame { time_ns, link, interface: 0, original_bytes, bytes: &bytes, offset: 0 });
        }
    });
    records
}

#[test]
fn addresses_that_reach_a_level_have_records_of_their_own() {
    let times_us: Vec<u64> = (0..40).map(|n| n * 100_000).collect();
    let records = scanned(&times_us);
    let sources: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::Source(of) => Some((of.header.time_us - T, of.state.role, of.state.new_window, of.state.addr)),
            Record::Flow(_) => None,
        })
        .collect();
    let (server, client) = (Addr::v4(0xc612_0002), Addr::v4(0xc612_0001));
    let reached = |flow: u64| {
        [(flow * 100_000 - 100_000, 1, flow as u32, server), (flow * 100_000 - 100_000, 0, flow as u32, client)]
    };
    assert_eq!(sources, [reached(8), reached(32)].concat());
    assert_eq!(records.len(), 40 + 4);
    // In order of time: the flows wait ten seconds for an answer, the addresses' records come at once.
    assert!(records[..4].iter().all(|record| matches!(record, Record::Source(_))));
}

#[test]
fn a_window_without_so_many_flows_has_no_record() {
    // Seven before a multiple of ten seconds, seven behind it.
    let times_us: Vec<u64> = (0..14).map(|n| (n + 3) * S).collect();
    assert_eq!(T % (10 * S), 0);
    assert!(scanned(&times_us).iter().all(|record| matches!(record, Record::Flow(_))));
    // Another capture begins: what was counted before is forgotten.
    let times_us: Vec<u64> = (0..14).map(|n| if n < 7 { 100 * S + n } else { n }).collect();
    assert!(scanned(&times_us).iter().all(|record| matches!(record, Record::Flow(_))));
}

/// Reason, time of the record and of the first packet since the start, packets.
fn ends(steps: &[Step]) -> Vec<(Reason, u64, u64, u64)> {
    let of = |record: &FlowRecord| {
        let reason = Reason::from_u8(record.header.reason).unwrap();
        (reason, record.header.time_us - T, record.state.first_us - T, record.state.packets())
    };
    extracted(&Options::default(), steps).0.iter().map(of).collect()
}

const UDP: Option<u8> = None;

const fn tcp(flags: u8) -> Option<u8> {
    Some(flags)
}

#[test]
fn one_packet_waits_ten_seconds_whatever_it_is() {
    for flags in [UDP, tcp(SYN), tcp(FIN | ACK), tcp(RST)] {
        let late = ends(&[(5, true, flags), (10 * S + 5, true, flags)]);
        assert_eq!(late[0], (Reason::HalfOpen, 10 * S + 5, 5, 1), "to the microsecond");
        let in_time = ends(&[(5, true, flags), (10 * S + 4, true, flags)]);
        assert_eq!((in_time.len(), in_time[0].3), (1, 2));
    }
}

#[test]
fn silence_ends_a_flow_a_minute_after_its_last_packet() {
    let late = ends(&[(0, true, UDP), (S, false, UDP), (61 * S, true, UDP)]);
    assert_eq!(late, [(Reason::Idle, 61 * S, 0, 2), (Reason::Shutdown, 61 * S, 61 * S, 1)]);
    assert_eq!(ends(&[(0, true, UDP), (S, false, UDP), (61 * S - 1, true, UDP)]).len(), 1);
}

#[test]
fn a_handshake_under_way_waits_ten_seconds() {
    let steps = [(0, true, tcp(SYN)), (S, false, tcp(SYN | ACK)), (11 * S, true, tcp(ACK))];
    assert_eq!(ends(&steps)[0], (Reason::HalfOpen, 11 * S, 0, 2));
}

#[test]
fn a_long_flow_is_cut_and_goes_on_with_its_initiator() {
    let steps: Vec<Step> = [0, 5, 55, 110, 120, 170].map(|s| (s * S, s == 0, UDP)).to_vec();
    let (records, _) = extracted(&Options::default(), &steps);
    // The packet at 120 s is the first of what follows, and comes from the responder.
    assert_eq!(ends(&steps), [(Reason::Active, 120 * S, 0, 4), (Reason::Shutdown, 170 * S, 120 * S, 2)]);
    assert_eq!((records[1].state.fwd.packets, records[1].state.bwd.packets), (0, 2));
}

#[test]
fn strays_after_the_end_are_counted_and_a_syn_opens_anew() {
    let open = [(0, true, tcp(SYN)), (1, false, tcp(SYN | ACK)), (2, true, tcp(ACK))];
    let mut steps = open.to_vec();
    steps.extend([(3, true, tcp(FIN | ACK)), (4, false, tcp(FIN | ACK)), (5, true, tcp(ACK)), (6, true, tcp(SYN))]);
    assert_eq!(ends(&steps), [(Reason::Fin, 4, 0, 5), (Reason::Shutdown, 6, 6, 1)]);
    assert_eq!(extracted(&Options::default(), &steps).1.after_end(), 1);
    // The marker goes after a second: then the stray is a flow of its own.
    steps[5].0 = S + 4;
    steps.truncate(6);
    assert_eq!(ends(&steps), [(Reason::Fin, 4, 0, 5), (Reason::Shutdown, S + 4, S + 4, 1)]);
}

#[test]
fn a_port_used_again_is_a_new_flow() {
    let steps = [
        (0, true, tcp(SYN)),
        (1, false, tcp(SYN | ACK)),
        (2, true, tcp(ACK)),
        (3, true, tcp(SYN)),
        (4, true, tcp(RST)),
    ];
    // The server's SYN has number 7, so 8 acknowledges it.
    assert_eq!(ends(&steps), [(Reason::Reopened, 3, 0, 3), (Reason::Rst, 4, 3, 2)]);
}

#[test]
fn time_that_runs_backwards_is_counted_and_a_minute_begins_anew() {
    let steps = [(100 * S, true, UDP), (99 * S, false, UDP), (100 * S, true, UDP), (39 * S, true, UDP)];
    let (records, counts) = extracted(&Options::default(), &steps);
    assert_eq!((counts.backwards, counts.time_resets), (2, 1));
    assert_eq!(ends(&steps), [(Reason::Shutdown, 100 * S, 100 * S, 3), (Reason::Shutdown, 39 * S, 39 * S, 1)]);
    assert_eq!(records[0].state.time_reversals, 1);
}

#[test]
fn early_rows_come_where_they_are_asked_for() {
    let steps: Vec<Step> = (0..10).map(|i| (i * S / 2, true, UDP)).collect();
    let options = Options { snapshots: true, ..Options::default() };
    let (records, counts) = extracted(&options, &steps);
    let stages: Vec<_> = records.iter().map(|r| (r.header.stage, r.header.time_us - T, r.state.packets())).collect();
    let expected = [(Stage::Age1s, S, 2), (Stage::Packets8, 7 * S / 2, 8), (Stage::End, 9 * S / 2, 10)];
    assert_eq!(stages, expected.map(|(stage, time_us, packets)| (stage as u8, time_us, packets)));
    assert_eq!((counts.rows, counts.in_rows()), (3, 10));
    assert_eq!(extracted(&Options::default(), &steps).0.len(), 1);
}

#[test]
fn the_initiator_is_who_spoke_first() {
    let (records, _) = extracted(&Options::default(), &[(0, false, UDP), (1, true, UDP)]);
    let ((initiator, port), _) = ganglion_flow::state::endpoints(&records[0].key, &records[0].state);
    assert_eq!((initiator, port), (Addr::v4(0xc612_0002), 80));
}
