//! What must hold of the `cicflowmeter` profile for any packets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use ganglion_extract::cicflowmeter::{COLUMNS, Engine, Kind, Packet, Protocol, Row, Value};
use proptest::collection::vec;
use proptest::prelude::*;

/// A packet of conversation `number`, at a time.
type Event = (i64, Packet);

/// A few sizes, numbers and flags, so that segments repeat and flows end and begin again.
fn packet(number: u8) -> impl Strategy<Value = Packet> {
    (any::<bool>(), 0u8..64, 0u32..3, 0u32..3, 0u32..1460, 0u16..3).prop_map(
        move |(forward, flags, sequence, acknowledgement, payload_bytes, window)| {
            let (client, server) = (([10, 0, 0, number].into(), 40_000), ([10, 1, 0, number].into(), 443));
            let ((src, src_port), (dst, dst_port)) = if forward { (client, server) } else { (server, client) };
            let udp = number.is_multiple_of(3);
            Packet {
                src,
                dst,
                src_port,
                dst_port,
                protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
                flags: if udp { 0 } else { flags },
                window,
                sequence,
                acknowledgement,
                payload_bytes,
                header_bytes: if udp { 8 } else { 20 },
                icmp: None,
            }
        },
    )
}

/// The packets of one conversation in order of time, over several time-outs.
fn conversation(number: u8) -> impl Strategy<Value = Vec<Event>> {
    let gaps_us = prop_oneof![0i64..2_000, 0i64..7_000_000, 100_000_000i64..130_000_000];
    vec((gaps_us, packet(number)), 1..40).prop_map(|packets| {
        let mut time_us = 1_700_000_000_000_000;
        packets
            .into_iter()
            .map(|(gap_us, packet)| {
                time_us += gap_us;
                (time_us, packet)
            })
            .collect()
    })
}

/// All packets in an order that keeps each conversation's own: `picks` say whose turn it is.
fn interleave(conversations: &[Vec<Event>], picks: &[usize]) -> Vec<Event> {
    let mut rest: Vec<_> = conversations.iter().map(|events| events.iter()).collect();
    let mut picks = picks.iter().cycle();
    let mut all = Vec::new();
    while !rest.is_empty() {
        let turn = picks.next().map_or(0, |pick| pick % rest.len());
        match rest[turn].next() {
            Some(event) => all.push(*event),
            None => drop(rest.remove(turn)),
        }
    }
    all
}

/// All rows as lines, sorted.
fn lines(events: &[Event]) -> Vec<String> {
    let mut rows = Vec::new();
    let mut engine = Engine::new();
    events.iter().for_each(|(time_us, packet)| engine.observe(*time_us, packet, &mut |row| rows.push(row)));
    engine.finish(&mut |row| rows.push(row));
    let mut lines: Vec<_> = rows.iter().map(line).collect();
    lines.sort_unstable();
    lines
}

fn line(row: &Row) -> String {
    let mut line = Vec::new();
    row.write_csv(&mut line).unwrap();
    String::from_utf8(line).unwrap()
}

fn cell(row: &Row, name: &str) -> f64 {
    let column = COLUMNS.iter().find(|column| column.name == name).unwrap();
    (column.value)(row).as_f64().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_rows_of_any_interleaving_are_the_same(
        conversations in (conversation(1), conversation(2), conversation(3), conversation(4)),
        picks in vec(0usize..100, 1..200),
    ) {
        let conversations = [conversations.0, conversations.1, conversations.2, conversations.3];
        let mut apart: Vec<_> = conversations.iter().flat_map(|events| lines(events)).collect();
        apart.sort_unstable();
        prop_assert_eq!(lines(&interleave(&conversations, &picks)), apart);
    }

    #[test]
    fn every_packet_and_byte_is_in_one_row(events in conversation(1)) {
        let (mut packets, mut bytes, mut rows) = (0.0, 0.0, 0);
        let mut count = |row: Row| {
            packets += cell(&row, "Total Fwd Packet") + cell(&row, "Total Bwd packets");
            bytes += cell(&row, "Total Length of Fwd Packet") + cell(&row, "Total Length of Bwd Packet");
            rows += 1;
        };
        let mut engine = Engine::new();
        events.iter().for_each(|(time_us, packet)| engine.observe(*time_us, packet, &mut count));
        prop_assert_eq!(engine.tuples(), 1);
        let counts = engine.finish(&mut count);
        prop_assert_eq!(counts.rows, rows);
        prop_assert_eq!(packets, events.len() as f64);
        prop_assert_eq!(bytes, events.iter().map(|(_, packet)| f64::from(packet.payload_bytes)).sum::<f64>());
    }

    #[test]
    fn random_bytes_at_random_times_are_harmless(
        frames in vec((any::<i64>(), vec(any::<u8>(), 0..80), any::<u32>(), any::<bool>()), 0..60),
    ) {
        let mut rows = Vec::new();
        let mut engine = Engine::new();
        for (time_us, mut frame, original_bytes, likely) in frames {
            if likely && frame.len() > 24 {
                // Few addresses and protocols, so that flows have many packets.
                frame[12..16].copy_from_slice(&[8, 0, 0x45, 0]);
                frame[23] = [1, 6, 17, 132, 4][usize::from(frame[23] % 5)];
                frame.iter_mut().skip(26).take(12).for_each(|byte| *byte &= 1);
            }
            engine.packet(time_us, &frame, original_bytes, &mut |row| rows.push(row));
        }
        let counts = engine.finish(&mut |row| rows.push(row));
        prop_assert_eq!(counts.rows, rows.len() as u64);
        for row in &rows {
            for column in COLUMNS {
                check((column.value)(row), column.kind, column.name)?;
            }
            prop_assert_eq!(line(row).matches(',').count(), COLUMNS.len() - 1);
        }
    }
}

/// A cell is of its column's kind, and a number.
fn check(value: Value, kind: Kind, name: &str) -> Result<(), TestCaseError> {
    let fits = match (&value, kind) {
        (Value::Int(_), Kind::Int) | (Value::Text(_), Kind::Text) | (Value::Fixed(_), Kind::Float) => true,
        (Value::Float(number), Kind::Float) => number.is_finite(),
        _ => false,
    };
    prop_assert!(fits, "{name}: {value:?}");
    Ok(())
}

#[test]
fn names_are_unique() {
    let mut names: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 94);
}
