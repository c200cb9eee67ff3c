//! TCP that does not go by the book, and fragments.

use super::*;
use crate::lifecycle::reopens;

const DATA: u8 = tcp_flag::ACK | tcp_flag::PSH;

fn tcp(flags: u8, seq: u32, payload_bytes: u32) -> Packet {
    packet(TCP, flags, payload_bytes, seq)
}

#[test]
fn a_segment_that_arrives_late_counts_as_sent_again() {
    let (state, _) = fed(&[(0, true, tcp(DATA, 1, 10)), (1, true, tcp(DATA, 21, 10)), (1, true, tcp(DATA, 11, 10))]);
    assert_eq!((state.fwd.retransmissions, state.fwd.next_seq, state.fwd.payload_bytes), (1, 31, 30));
}

#[test]
fn a_keep_alive_counts_as_sent_again_where_it_carries_its_old_byte() {
    let alive = |payload| fed(&[(0, true, tcp(DATA, 1, 10)), (1, true, tcp(tcp_flag::ACK, 10, payload))]).0.fwd;
    assert_eq!((alive(0).retransmissions, alive(0).next_seq), (0, 11));
    assert_eq!((alive(1).retransmissions, alive(1).next_seq), (1, 11));
}

#[test]
fn a_simultaneous_open_is_established_by_the_first_acknowledgement_without_a_syn() {
    let both = tcp_flag::SYN | tcp_flag::ACK;
    let (state, changes) = fed(&[
        (0, true, tcp(tcp_flag::SYN, 100, 0)),
        (1, false, tcp(tcp_flag::SYN, 900, 0)),
        (1, true, Packet { ack: 901, ..tcp(both, 100, 0) }),
        (1, false, Packet { ack: 101, ..tcp(both, 900, 0) }),
        (1, true, Packet { ack: 901, ..tcp(tcp_flag::ACK, 101, 0) }),
    ]);
    assert_eq!(changes.iter().map(|c| c.established).collect::<Vec<_>>(), [false, false, false, false, true]);
    assert_eq!((state.fwd.packets, state.bwd.packets), (3, 2));
}

#[test]
fn each_reset_says_that_the_flow_is_over() {
    let (_, changes) = fed(&[(0, true, tcp(tcp_flag::RST, 1, 0)), (1, false, tcp(tcp_flag::RST, 2, 0))]);
    assert!(changes.iter().all(|change| change.end == Some(End::Rst)));
    assert!(!reopens(&tcp(tcp_flag::RST, 3, 0)) && !reopens(&tcp(tcp_flag::FIN, 3, 0)));
}

#[test]
fn a_fin_needs_no_acknowledgement_and_ends_its_side_alone() {
    let fin = tcp(tcp_flag::FIN, 1, 0);
    let (state, changes) = fed(&[(0, true, fin), (1, true, fin), (1, false, fin)]);
    assert_eq!(changes.iter().map(|c| c.end).collect::<Vec<_>>(), [None, None, Some(End::Fin)]);
    assert_eq!((state.fwd.retransmissions, state.bwd.retransmissions), (1, 0));
}

#[test]
fn a_port_used_again_after_a_close_opens_a_flow() {
    assert!(reopens(&tcp(tcp_flag::SYN, 7, 0)) && !reopens(&tcp(tcp_flag::ACK, 7, 0)));
    assert!(!reopens(&tcp(tcp_flag::SYN | tcp_flag::RST, 7, 0)) && !reopens(&tcp(tcp_flag::SYN | tcp_flag::FIN, 7, 0)));
}

/// It has no TCP header, so neither sequence numbers nor a window.
#[test]
fn a_later_fragment_counts_its_bytes_alone() {
    let (before, _) = fed(&[(0, true, tcp(DATA, 1, 10))]);
    let later = Packet { header_bytes: 0, window: 0, ..tcp(0, 0, 500) };
    let (after, changes) = fed(&[(0, true, tcp(DATA, 1, 10)), (1, true, later)]);
    assert_eq!((after.fwd.packets, after.fwd.payload_bytes, after.fwd.header_bytes), (2, 510, 20));
    assert_eq!((after.fwd.next_seq, after.fwd.window_last), (before.fwd.next_seq, before.fwd.window_last));
    assert_eq!((after.fwd.retransmissions, after.fwd.zero_windows, after.fwd.flags), (0, 0, before.fwd.flags));
    assert_eq!(changes[1], Change::default());
}
