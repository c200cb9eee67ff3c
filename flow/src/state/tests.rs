use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::key::Addr;
use crate::packet::UDP;
use crate::wire::Wire;

mod oddities;

fn packet(protocol: u8, flags: u8, payload_bytes: u32, seq: u32) -> Packet {
    Packet {
        src: Addr::v4(1),
        dst: Addr::v4(2),
        src_port: 1,
        dst_port: 2,
        protocol,
        flags,
        header_bytes: if protocol == TCP { 20 } else { 8 },
        window: 100,
        icmp: 0,
        seq,
        ack: 0,
        payload_bytes,
        wire_bytes: payload_bytes + 54,
        segments: 1,
        segment_bytes: 0,
        vlan: 0,
        datagram: 0,
    }
}

/// Feeds (gap, forward, packet) triples; the first opens the flow.
fn fed(packets: &[(u64, bool, Packet)]) -> (FlowState, Vec<Change>) {
    let mut state = FlowState::ZERO;
    let mut now_us = 1_000;
    let mut changes = Vec::new();
    for (i, (gap, forward, packet)) in packets.iter().enumerate() {
        now_us += gap;
        changes.push(if i == 0 {
            state.open(packet, true, false, now_us)
        } else {
            state.update(packet, *forward, now_us)
        });
    }
    (state, changes)
}

#[test]
fn answer_and_establishment_are_told_once() {
    let p = packet(UDP, 0, 1, 0);
    let (_, changes) = fed(&[(0, true, p), (1, false, p), (1, true, p), (1, false, p), (1, true, p)]);
    assert_eq!(changes.iter().map(|c| c.answered).collect::<Vec<_>>(), [false, true, false, false, false]);
    assert_eq!(changes.iter().map(|c| c.established).collect::<Vec<_>>(), [false, false, true, false, false]);
}

#[test]
fn a_cut_flow_goes_on_with_its_initiator_and_tells_nothing_twice() {
    let (before, changes) =
        fed(&[(0, true, packet(UDP, 0, 10, 0)), (10, false, packet(UDP, 0, 10, 0)), (10, true, packet(UDP, 0, 10, 0))]);
    assert!(changes[1].answered && changes[2].established);
    let mut state = FlowState { status: before.status, last_us: before.last_us, ..FlowState::ZERO };
    assert!(state.is_cut() && !before.is_cut());
    assert_eq!(state.resume(&packet(UDP, 0, 10, 0), false, 2_000), Change::default());
    assert_eq!(state.update(&packet(UDP, 0, 10, 0), true, 2_010), Change::default());
    assert_eq!((state.fwd.packets, state.bwd.packets, state.first_us), (1, 1, 2_000));
    assert!(state.is_forward(true) && !state.is_cut());
}

#[test]
fn a_fin_from_each_side_ends_a_flow_one_does_not() {
    let fin = packet(TCP, tcp_flag::FIN | tcp_flag::ACK, 0, 0);
    let (_, changes) = fed(&[(0, true, fin), (1, true, fin), (1, false, fin)]);
    assert_eq!(changes.iter().map(|c| c.end).collect::<Vec<_>>(), [None, None, Some(End::Fin)]);
}

#[test]
fn retransmissions_are_told_from_progress_across_the_wrap() {
    let at = |seq| packet(TCP, tcp_flag::ACK, 100, seq);
    let start = u32::MAX - 149;
    let (state, _) = fed(&[(0, true, at(start)), (1, true, at(start + 100)), (1, true, at(start)), (1, true, at(50))]);
    assert_eq!(state.fwd.retransmissions, 1);
    assert_eq!(state.fwd.next_seq, 150);
}

#[test]
fn a_clock_that_steps_back_is_counted_and_changes_no_sum() {
    let p = packet(UDP, 0, 1, 0);
    let mut state = FlowState::ZERO;
    state.open(&p, true, false, 1_000_000);
    state.update(&p, true, 400_000);
    assert_eq!((state.time_reversals, state.last_us, state.iat_sq_us2), (1, 1_000_000, 0));
}

#[test]
fn long_silences_make_active_and_idle_periods() {
    let p = packet(UDP, 0, 1, 0);
    let s = crate::US_PER_S;
    let (state, _) = fed(&[(0, true, p), (s, true, p), (6 * s, true, p), (s / 2, true, p), (9 * s, true, p)]);
    assert_eq!((state.active_count, state.active_sum_us), (2, s + s / 2));
    assert_eq!((state.idle_count, state.idle_sum_us, state.idle_min_us), (2, 15 * s, 6_000_000));
    assert_eq!(state.subflow_gaps, 2);
}

#[test]
fn four_packets_in_a_row_are_a_bulk() {
    let p = packet(UDP, 0, 10, 0);
    let row: Vec<_> = (0..6).map(|_| (1_000, true, p)).collect();
    let (state, _) = fed(&row);
    assert_eq!((state.fwd.bulks, state.fwd.bulk_packets, state.fwd.bulk_bytes), (1, 6, 60));
    assert_eq!(state.fwd.bulk_duration_us, 5_000);
    let (state, _) = fed(&[(0, true, p), (1, true, p), (1, true, p), (1, false, p), (1, true, p), (1, true, p)]);
    assert_eq!(state.fwd.bulks, 0);
}

#[test]
fn a_train_counts_its_packets_once_each() {
    let mut train = packet(TCP, tcp_flag::ACK, 2500, 0);
    (train.segments, train.segment_bytes, train.wire_bytes) = (3, 1000, 2500 + 3 * 54);
    let (state, _) = fed(&[(0, true, train)]);
    assert_eq!((state.fwd.packets, state.fwd.arrivals, state.merged_packets), (3, 1, 3));
    assert_eq!(state.fwd.payload_sq_bytes2, 2 * 1_000_000 + 250_000);
    assert_eq!((state.fwd.payload_min, state.fwd.payload_max), (500, 1000));
    assert_eq!(state.first_sizes[0], 2500);
}

proptest! {
    /// The integer sums give the moments that a naive computation gives.
    #[test]
    fn moments_match_a_naive_computation(
        packets in prop::collection::vec((0u64..3_000_000, any::<bool>(), 0u32..1500), 1..80),
    ) {
        let fed_packets: Vec<_> = packets.iter().map(|&(gap, forward, size)| (gap, forward, packet(UDP, 0, size, 0))).collect();
        let (state, _) = fed(&fed_packets);
        let forward: Vec<(u64, u64)> = packets
            .iter()
            .enumerate()
            .scan(0u64, |t, (i, &(gap, f, size))| {
                *t += gap;
                Some((i, *t, f, u64::from(size)))
            })
            .filter(|&(i, _, f, _)| i == 0 || f)
            .map(|(_, t, _, size)| (t, size))
            .collect();
        prop_assert_eq!(state.fwd.packets, forward.len() as u64);
        prop_assert_eq!(state.packets(), packets.len() as u64);
        prop_assert_eq!(state.fwd.payload_bytes, forward.iter().map(|p| p.1).sum::<u64>());
        prop_assert_eq!(state.fwd.payload_sq_bytes2, forward.iter().map(|p| p.1 * p.1).sum::<u64>());
        let gaps: Vec<u64> = forward.windows(2).map(|w| w[1].0 - w[0].0).collect();
        prop_assert_eq!(state.fwd.iat_sq_us2, gaps.iter().map(|g| g * g).sum::<u64>());
        prop_assert_eq!(u64::from(state.fwd.iat_max_us), gaps.iter().copied().max().unwrap_or(0));
        let smallest = gaps.iter().copied().min().unwrap_or(u64::from(u32::MAX));
        prop_assert_eq!(u64::from(state.fwd.iat_min_us), smallest);
    }

    #[test]
    fn a_state_survives_encoding(bytes in prop::collection::vec(any::<u8>(), FlowState::LEN)) {
        let state = FlowState::get(&bytes).unwrap();
        let mut out = [0; FlowState::LEN];
        prop_assert!(state.put(&mut out));
        prop_assert_eq!(bytes, out);
    }
}

/// A connection up to the initiator's third packet, which acknowledges `ack`.
fn after_third(flags: u8, ack: u32) -> bool {
    let third = Packet { ack, ..packet(TCP, flags, 0, 101) };
    let (state, changes) = fed(&[
        (0, true, packet(TCP, tcp_flag::SYN, 0, 100)),
        (1, false, packet(TCP, tcp_flag::SYN | tcp_flag::ACK, 0, 9_000)),
        (1, true, third),
    ]);
    assert_eq!(state.has(status::ESTABLISHED), changes[2].established);
    changes[2].established
}

#[test]
fn a_handshake_takes_an_acknowledgement_of_the_responders_syn() {
    assert!(after_third(tcp_flag::ACK, 9_001));
    for ack in [0, 8_999, 9_000, 9_002, u32::MAX] {
        assert!(!after_third(tcp_flag::ACK, ack), "{ack}");
    }
    assert!(!after_third(tcp_flag::SYN, 9_001), "a SYN sent again");
    assert!(!after_third(tcp_flag::RST | tcp_flag::ACK, 9_001), "a reset");
    assert!(!after_third(0, 9_001), "no acknowledgement at all");
}

#[test]
fn a_connection_met_midway_is_established_by_any_acknowledgement_of_what_came() {
    for (ack, established) in [(500, true), (1_000, true), (499, false), (1_001, false)] {
        let answer = Packet { ack, ..packet(TCP, tcp_flag::ACK, 10, 50) };
        let (state, _) = fed(&[
            (0, true, packet(TCP, tcp_flag::ACK, 10, 40)),
            (1, false, packet(TCP, tcp_flag::ACK, 500, 500)),
            (1, true, answer),
        ]);
        assert_eq!(state.has(status::ESTABLISHED), established, "{ack}");
    }
}
