//! Connections that do not go by the book.

use ganglion_flow::packet::tcp_flag::{ACK, FIN, PSH, RST, SYN};
use ganglion_flow::record::{FlowRecord, Record};
use ganglion_flow::state::status;
use ganglion_flow::{Counter, FlowKey, FlowState, Reason};
use std::net::IpAddr;

use crate::harness::Kernel;
use crate::packets::{CLIENT, SERVER, Tcp};

const SPORT: u16 = 40000;

fn key() -> FlowKey {
    FlowKey::new(IpAddr::from(CLIENT).into(), IpAddr::from(SERVER).into(), SPORT, 80, 6, 0).0
}

fn flow(kernel: &Kernel) -> FlowState {
    kernel.flow(&key()).unwrap_or_else(|| panic!("no flow: {:?}", kernel.counters()))
}

fn ended(kernel: &mut Kernel) -> Vec<FlowRecord> {
    let flow = |record| if let Record::Flow(flow) = record { Some(flow) } else { None };
    kernel.records().into_iter().filter_map(flow).filter(|record| record.header.stage == 0).collect()
}

fn to_server(flags: u8, seq: u32, payload: usize) -> Tcp {
    Tcp { seq, ..Tcp::to_server(SPORT, 80, flags) }.payload(payload)
}

fn to_client(flags: u8, seq: u32, payload: usize) -> Tcp {
    Tcp { seq, ..Tcp::to_client(SPORT, 80, flags) }.payload(payload)
}

/// SYN, SYN and ACK, ACK: the client is at 1001, the server at 9001.
fn established() -> Kernel {
    let mut kernel = Kernel::new();
    kernel.xdp(&to_server(SYN, 1000, 0).build());
    kernel.egress(&to_client(SYN | ACK, 9000, 0).build());
    kernel.xdp(&to_server(ACK, 1001, 0).build());
    assert!(flow(&kernel).has(status::ESTABLISHED));
    kernel
}

#[test]
fn a_segment_out_of_order_counts_as_sent_again() {
    let mut kernel = established();
    kernel.xdp(&to_server(ACK, 1101, 100).build());
    kernel.xdp(&to_server(ACK, 1001, 100).build());
    kernel.xdp(&to_server(ACK, 1201, 100).build());
    let state = flow(&kernel);
    assert_eq!((state.fwd.retransmissions, state.fwd.next_seq, state.fwd.payload_bytes), (1, 1301, 300));
    kernel.assert_balanced();
}

#[test]
fn a_keep_alive_with_its_old_byte_counts_as_sent_again_one_without_does_not() {
    let mut kernel = established();
    kernel.xdp(&to_server(ACK, 1001, 100).build());
    kernel.xdp(&to_server(ACK, 1100, 0).build());
    assert_eq!(flow(&kernel).fwd.retransmissions, 0);
    kernel.xdp(&to_server(ACK, 1100, 1).build());
    let state = flow(&kernel);
    assert_eq!((state.fwd.retransmissions, state.fwd.next_seq), (1, 1101));
    kernel.assert_balanced();
}

#[test]
fn a_simultaneous_open_is_one_flow_of_whoever_was_seen_first() {
    let mut kernel = Kernel::new();
    kernel.xdp(&to_server(SYN, 1000, 0).build());
    kernel.egress(&to_client(SYN, 9000, 0).build());
    kernel.xdp(&to_server(SYN | ACK, 1000, 0).build());
    kernel.egress(&to_client(SYN | ACK, 9000, 0).build());
    let state = flow(&kernel);
    assert!(state.has(status::ANSWERED) && !state.has(status::ESTABLISHED));
    kernel.xdp(&to_server(ACK | PSH, 1001, 10).build());
    let state = flow(&kernel);
    assert!(state.has(status::ESTABLISHED));
    assert_eq!((state.fwd.packets, state.bwd.packets), (3, 2));
    // The SYN was sent again, with an acknowledgement.
    assert_eq!((state.fwd.retransmissions, state.bwd.retransmissions), (1, 1));
    assert_eq!((state.fwd.flags[1], state.bwd.flags[1]), (2, 2));
    kernel.assert_balanced();
}

#[test]
fn a_half_open_connection_whose_other_end_forgot_it_is_reset_and_opened_anew() {
    let mut kernel = established();
    // The client restarted and uses the port again; the server, still in the old connection, acknowledges that.
    kernel.xdp(&to_server(SYN, 500, 0).build());
    kernel.egress(&to_client(ACK, 9001, 0).build());
    kernel.xdp(&to_server(RST, 9001, 0).build());
    kernel.xdp(&to_server(SYN, 500, 0).build());
    kernel.egress(&to_client(SYN | ACK, 70_000, 0).build());
    let reasons: Vec<_> = ended(&mut kernel).iter().map(|r| (r.header.reason, r.state.packets())).collect();
    assert_eq!(reasons, [(Reason::Reopened as u8, 3), (Reason::Rst as u8, 3)]);
    assert_eq!(flow(&kernel).packets(), 2);
    kernel.assert_balanced();
}

#[test]
fn a_storm_of_resets_is_one_flow_and_the_rest_is_counted_after_its_end() {
    let mut kernel = established();
    for i in 0..500 {
        kernel.xdp(&to_server(RST, 1001 + i, 0).build());
        kernel.egress(&to_client(RST | ACK, 9001, 0).build());
    }
    let ended = ended(&mut kernel);
    assert_eq!(
        ended.iter().map(|r| (r.header.reason, r.state.packets())).collect::<Vec<_>>(),
        [(Reason::Rst as u8, 4)]
    );
    assert_eq!(kernel.count(Counter::SkipAfterEnd), 999);
    kernel.assert_balanced();
}

#[test]
fn a_storm_of_resets_without_a_connection_is_one_flow_too() {
    let mut kernel = Kernel::new();
    for i in 0..500 {
        kernel.xdp(&to_server(RST, i, 0).build());
    }
    let ended = ended(&mut kernel);
    assert_eq!(
        ended.iter().map(|r| (r.header.reason, r.state.packets())).collect::<Vec<_>>(),
        [(Reason::Rst as u8, 2)]
    );
    assert_eq!(kernel.count(Counter::SkipAfterEnd), 498);
    kernel.assert_balanced();
}

#[test]
fn a_fin_without_an_acknowledgement_ends_its_side_alone() {
    let mut kernel = established();
    kernel.xdp(&to_server(FIN, 1001, 0).build());
    kernel.xdp(&to_server(FIN, 1001, 0).build());
    assert!(ended(&mut kernel).is_empty());
    assert!(flow(&kernel).has(status::FIN_FWD) && !flow(&kernel).has(status::FIN_BWD));
    kernel.egress(&to_client(FIN, 9001, 0).build());
    let ended = ended(&mut kernel);
    let [record] = ended.as_slice() else { panic!("{} records", ended.len()) };
    assert_eq!((record.header.reason, record.state.packets()), (Reason::Fin as u8, 6));
    // The second one was sent again: it takes a sequence number.
    assert_eq!((record.state.fwd.flags[0], record.state.fwd.retransmissions), (2, 1));
    kernel.assert_balanced();
}

#[test]
fn a_lone_fin_is_an_unanswered_packet() {
    let mut kernel = Kernel::new();
    kernel.xdp(&to_server(FIN, 1001, 0).build());
    kernel.advance_us(11_000_000);
    kernel.sweep();
    let ended = ended(&mut kernel);
    assert_eq!(ended.iter().map(|r| r.header.reason).collect::<Vec<_>>(), [Reason::HalfOpen as u8]);
    assert_eq!(ended[0].state.fwd.flags, [1, 0, 0, 0, 0, 0, 0, 0]);
    kernel.assert_balanced();
}

#[test]
fn a_port_used_again_after_a_close_is_a_new_flow() {
    let mut kernel = established();
    kernel.xdp(&to_server(FIN | ACK, 1001, 0).build());
    kernel.egress(&to_client(FIN | ACK, 9001, 0).build());
    kernel.xdp(&to_server(ACK, 1002, 0).build());
    assert_eq!(kernel.count(Counter::SkipAfterEnd), 1);
    kernel.xdp(&to_server(SYN, 500_000, 0).build());
    kernel.egress(&to_client(SYN | ACK, 700_000, 0).build());
    let state = flow(&kernel);
    assert_eq!((state.packets(), state.fwd.retransmissions, state.fwd.next_seq), (2, 0, 500_001));
    assert_eq!(kernel.count(Counter::FlowsEnded), 1);
    // After the marker is swept as well.
    kernel.xdp(&to_server(RST, 500_001, 0).build());
    kernel.advance_us(2_000_000);
    kernel.sweep();
    kernel.xdp(&to_server(SYN, 1, 0).build());
    kernel.xdp(&to_server(SYN, 1, 0).build());
    assert_eq!(flow(&kernel).packets(), 2);
    kernel.assert_balanced();
}
