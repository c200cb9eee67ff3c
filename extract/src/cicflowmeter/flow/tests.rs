//! The rules by which flows end and go on, one test each.

use super::super::{COLUMNS, Engine};
use super::*;

const S: i64 = 1_000_000;
const CLIENT: u8 = 1;
const SERVER: u8 = 2;

fn packet(from: u8, protocol: Protocol, flags: u8, sequence: u32) -> Packet {
    let to = if from == CLIENT { SERVER } else { CLIENT };
    let port = |end: u8| if protocol == Protocol::Icmp { 0 } else { u16::from(end) };
    Packet {
        src: [10, 0, 0, from].into(),
        dst: [10, 0, 0, to].into(),
        src_port: port(from),
        dst_port: port(to),
        protocol,
        flags,
        window: 0,
        sequence,
        acknowledgement: 0,
        payload_bytes: 0,
        header_bytes: 20,
        icmp: None,
    }
}

fn tcp(from: u8, flags: u8) -> Packet {
    packet(from, Protocol::Tcp, flags, 0)
}

fn icmp(from: u8, kind: u8, code: u8) -> Packet {
    Packet { icmp: Some((kind, code)), ..packet(from, Protocol::Icmp, 0, 0) }
}

fn rows(packets: &[(i64, Packet)]) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut engine = Engine::new();
    packets.iter().for_each(|(time_us, packet)| engine.observe(*time_us, packet, &mut |row| rows.push(row)));
    engine.finish(&mut |row| rows.push(row));
    rows
}

/// One column of all rows.
fn column(rows: &[Row], name: &str) -> Vec<String> {
    let column = COLUMNS.iter().find(|column| column.name == name).unwrap();
    rows.iter().map(|row| (column.value)(row).to_string()).collect()
}

#[test]
fn the_timeout_counts_from_the_first_packet() {
    let at = |seconds: &[i64]| {
        let packets: Vec<_> = seconds.iter().map(|second| (S * second, tcp(CLIENT, flag::ACK))).collect();
        column(&rows(&packets), "Total Fwd Packet")
    };
    assert_eq!(at(&[1, 60, 121]), ["3"]);
    assert_eq!(at(&[1, 60, 122]), ["2", "1"]);
}

#[test]
fn a_continuation_keeps_direction_chain_and_segments() {
    let rows = rows(&[(S, tcp(CLIENT, flag::ACK)), (2 * S, tcp(SERVER, flag::ACK)), (400 * S, tcp(SERVER, flag::ACK))]);
    assert_eq!(column(&rows, "Src IP"), ["10.0.0.1", "10.0.0.1"]);
    assert_eq!(column(&rows, "Total Bwd packets"), ["1", "1"]);
    assert_eq!(column(&rows, "Bwd TCP Retrans. Count"), ["0", "1"]);
    assert_eq!(column(&rows, "Total Connection Flow Time"), ["1000000", "399000000"]);
}

#[test]
fn udp_keeps_its_direction_unless_it_was_silent() {
    let source = |silence_s: i64| {
        let udp = |from| packet(from, Protocol::Udp, 0, 0);
        let last = S + 100 * S;
        let rows = rows(&[(S, udp(CLIENT)), (last, udp(CLIENT)), (last + silence_s * S, udp(SERVER))]);
        (column(&rows, "Src IP"), column(&rows, "Total Connection Flow Time"))
    };
    let texts = |a: [&str; 2]| a.map(str::to_owned).to_vec();
    assert_eq!(source(120), (texts(["10.0.0.1", "10.0.0.1"]), texts(["100000000", "220000000"])));
    assert_eq!(source(121), (texts(["10.0.0.1", "10.0.0.2"]), texts(["100000000", "0"])));
}

#[test]
fn other_protocols_continue_nothing() {
    let rows = rows(&[(S, packet(CLIENT, Protocol::Sctp, 0, 0)), (200 * S, packet(SERVER, Protocol::Sctp, 0, 0))]);
    assert_eq!(column(&rows, "Src IP"), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(column(&rows, "Total Connection Flow Time"), ["0", "0"]);
}

#[test]
fn a_syn_after_the_close_begins_a_flow_under_the_old_name() {
    let open = [(S, tcp(CLIENT, flag::SYN)), (S, tcp(SERVER, flag::SYN | flag::ACK))];
    let by_fins = [tcp(CLIENT, flag::FIN | flag::ACK), tcp(SERVER, flag::FIN | flag::ACK), tcp(CLIENT, flag::ACK)];
    let by_rst = [tcp(SERVER, flag::RST)];
    for close in [by_fins.as_slice(), &by_rst] {
        let mut packets = open.to_vec();
        packets.extend(close.iter().map(|packet| (2 * S, *packet)));
        // Neither FIN nor RST ends the row: only the SYN does, from whichever side.
        packets.extend([(3 * S, tcp(CLIENT, flag::ACK)), (4 * S, tcp(SERVER, flag::SYN)), (5 * S, tcp(CLIENT, 0))]);
        let rows = rows(&packets);
        assert_eq!(column(&rows, "Src IP"), ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(column(&rows, "Flow ID"), ["10.0.0.1-10.0.0.2-1-2-6", "10.0.0.1-10.0.0.2-1-2-6"]);
        assert_eq!(column(&rows, "Flow Duration"), ["2000000", "1000000"]);
    }
}

#[test]
fn two_fins_of_one_side_close_nothing() {
    let fin = tcp(CLIENT, flag::FIN);
    let packets = [tcp(CLIENT, flag::SYN), fin, fin, tcp(SERVER, flag::ACK), tcp(CLIENT, flag::SYN)];
    assert_eq!(rows(&packets.map(|packet| (S, packet))).len(), 1);
}

#[test]
fn the_first_packets_flags_do_not_close() {
    let packets = [tcp(CLIENT, flag::RST), tcp(CLIENT, flag::SYN)];
    assert_eq!(rows(&packets.map(|packet| (S, packet))).len(), 1);
}

#[test]
fn a_flow_that_begins_with_the_answer_is_turned_round() {
    let rows = rows(&[(S, tcp(SERVER, flag::SYN | flag::ACK)), (S, tcp(CLIENT, flag::ACK))]);
    assert_eq!(column(&rows, "Flow ID"), ["10.0.0.1-10.0.0.2-1-2-6"]);
    assert_eq!(
        (column(&rows, "Total Fwd Packet"), column(&rows, "Total Bwd packets")),
        (vec!["1".into()], vec!["1".into()])
    );
    // Of the direction of the first packet alone.
    assert_eq!(
        (column(&rows, "Fwd Seg Size Min"), column(&rows, "Bwd Seg Size Min")),
        (vec!["0".into()], vec!["20".into()])
    );
}

#[test]
fn icmp_is_split_where_type_and_code_differ() {
    let of = |kind, code| rows(&[(S, icmp(CLIENT, 8, 0)), (S, icmp(SERVER, kind, code))]).len();
    assert_eq!([of(8, 0), of(0, 0), of(8, 1), of(3, 1)], [1, 1, 1, 2]);
}

#[test]
fn between_equal_addresses_everything_is_forward() {
    let loopback = |from: u16, to| Packet {
        dst: [10, 0, 0, CLIENT].into(),
        src_port: from,
        dst_port: to,
        ..tcp(CLIENT, flag::ACK)
    };
    assert_eq!(column(&rows(&[(S, loopback(1, 2)), (S, loopback(2, 1))]), "Total Fwd Packet"), ["2"]);
}

#[test]
fn a_backward_window_of_0_gives_way() {
    let window = |from, window| Packet { window, ..tcp(from, flag::ACK) };
    let rows = rows(
        &[window(CLIENT, 0), window(CLIENT, 7), window(SERVER, 0), window(SERVER, 5), window(SERVER, 9)]
            .map(|packet| (S, packet)),
    );
    assert_eq!(
        (column(&rows, "FWD Init Win Bytes"), column(&rows, "Bwd Init Win Bytes")),
        (vec!["0".into()], vec!["5".into()])
    );
}

#[test]
fn equal_segments_are_retransmissions_whatever_their_flags() {
    let segment = |flags, sequence| packet(CLIENT, Protocol::Tcp, flags, sequence);
    let packets = [segment(flag::SYN, 1), segment(flag::SYN | flag::ECE, 1), segment(flag::ACK, 2)];
    assert_eq!(column(&rows(&packets.map(|packet| (S, packet))), "Fwd TCP Retrans. Count"), ["1"]);
}

#[test]
fn subflow_boundaries_are_gaps_above_a_second() {
    let at = |times_us: &[i64]| {
        let packets: Vec<_> = times_us.iter().map(|time_us| (*time_us, tcp(CLIENT, flag::ACK))).collect();
        column(&rows(&packets), "Subflow Fwd Packets")
    };
    assert_eq!([at(&[S, 2 * S]), at(&[S, 2 * S + 1]), at(&[S, 3 * S, 5 * S])], [["0.0"], ["2.0"], ["1.5"]]);
}
