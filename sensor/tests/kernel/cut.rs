//! Flows that outlive the active time-out, and entries that change hands.

use ganglion_flow::packet::tcp_flag::{ACK, FIN, PSH, SYN};
use ganglion_flow::record::{FlowRecord, Record};
use ganglion_flow::state::{endpoints, status};
use ganglion_flow::{Addr, Counter, FlowKey, FlowState, Reason, Role, SourceState, Wire};
use std::net::IpAddr;

use crate::harness::Kernel;
use crate::packets::{CLIENT, SERVER, Tcp, udp};

const SPORT: u16 = 40000;

fn key(protocol: u8) -> FlowKey {
    FlowKey::new(IpAddr::from(CLIENT).into(), IpAddr::from(SERVER).into(), SPORT, 80, protocol, 0).0
}

fn ends(kernel: &mut Kernel) -> Vec<FlowRecord> {
    let flow = |record| if let Record::Flow(flow) = record { Some(flow) } else { None };
    kernel.records().into_iter().filter_map(flow).filter(|record| record.header.stage == 0).collect()
}

fn client(kernel: &Kernel) -> SourceState {
    kernel.source(Addr::from(IpAddr::from(CLIENT)), Role::Source).expect("the client is known")
}

fn to_server(kernel: &mut Kernel, flags: u8) {
    kernel.xdp(&Tcp::to_server(SPORT, 80, flags).build());
}

fn to_client(kernel: &mut Kernel, flags: u8) {
    kernel.egress(&Tcp::to_client(SPORT, 80, flags).build());
}

/// A connection of six packets that lasted for the active timeout, cut by the sweep; its record.
fn cut_connection(kernel: &mut Kernel) -> FlowRecord {
    to_server(kernel, SYN);
    to_client(kernel, SYN | ACK);
    to_server(kernel, ACK);
    for _ in 0..3 {
        kernel.advance_us(41_000_000);
        to_client(kernel, ACK | PSH);
    }
    kernel.sweep();
    let ended = ends(kernel);
    let [record] = ended.as_slice() else { panic!("{} records", ended.len()) };
    assert_eq!((record.header.reason, record.state.packets()), (Reason::Active as u8, 6));
    *record
}

#[test]
fn an_active_timeout_cuts_a_connection_that_keeps_its_initiator() {
    let mut kernel = Kernel::new();
    let first = cut_connection(&mut kernel);
    kernel.assert_balanced();
    // The responder happens to speak first.
    to_client(&mut kernel, ACK | PSH);
    to_server(&mut kernel, ACK);
    let state = kernel.flow(&key(6)).expect("the flow goes on in its entry");
    assert_eq!((state.fwd.packets, state.bwd.packets), (1, 1));
    assert!(state.first_us > first.state.last_us && state.has(status::ESTABLISHED));
    kernel.assert_balanced();
    to_server(&mut kernel, ACK | FIN);
    to_client(&mut kernel, ACK | FIN);
    let ended = ends(&mut kernel);
    let [second] = ended.as_slice() else { panic!("{} records", ended.len()) };
    assert_eq!((second.header.reason, second.state.packets()), (Reason::Fin as u8, 4));
    assert_eq!(endpoints(&second.key, &second.state), endpoints(&first.key, &first.state));
    kernel.assert_balanced();
}

#[test]
fn a_cut_connection_is_one_flow_of_its_source() {
    let mut kernel = Kernel::new();
    cut_connection(&mut kernel);
    to_client(&mut kernel, ACK | PSH);
    to_server(&mut kernel, ACK);
    let source = client(&kernel);
    assert_eq!((source.new_total, source.answered_total, source.established_total, source.open), (1, 1, 1, 1));
    to_server(&mut kernel, ACK | FIN);
    to_client(&mut kernel, ACK | FIN);
    assert_eq!(client(&kernel).open, 0);
}

#[test]
fn a_cut_flow_without_further_packets_lapses_without_a_record() {
    let mut kernel = Kernel::new();
    cut_connection(&mut kernel);
    assert_eq!(client(&kernel).open, 1);
    kernel.advance_us(59_000_000);
    kernel.sweep();
    assert!(kernel.flow(&key(6)).is_some());
    kernel.advance_us(2_000_000);
    kernel.sweep();
    assert!(kernel.flow(&key(6)).is_none());
    assert!(ends(&mut kernel).is_empty());
    assert_eq!(client(&kernel).open, 0);
    kernel.assert_balanced();
}

#[test]
fn a_syn_opens_a_cut_connection_anew() {
    let mut kernel = Kernel::new();
    cut_connection(&mut kernel);
    to_server(&mut kernel, SYN);
    assert_eq!(client(&kernel).open, 0);
    to_client(&mut kernel, SYN | ACK);
    to_server(&mut kernel, ACK);
    assert!(ends(&mut kernel).is_empty(), "nothing was counted between the cut and the new connection");
    assert_eq!(client(&kernel).open, 1);
    assert_eq!(kernel.flow(&key(6)).map(|s| s.packets()), Some(3));
    kernel.assert_balanced();
}

#[test]
fn a_flush_finds_nothing_in_a_cut_flow() {
    let mut kernel = Kernel::new();
    cut_connection(&mut kernel);
    kernel.set(|s| s.flush_reason = Reason::Shutdown as u64);
    kernel.sweep();
    assert!(kernel.flow(&key(6)).is_none());
    assert!(ends(&mut kernel).is_empty());
    kernel.assert_balanced();
}

/// What a CPU meets that looked an entry up before the sweep deleted it and another flow took its place.
#[test]
fn a_packet_is_not_counted_in_an_entry_that_is_another_flows() {
    let mut kernel = Kernel::new();
    let mut state = FlowState::ZERO;
    (state.first_us, state.last_us, state.fwd.packets) = (1, 1, 2);
    let mut other = key(17);
    other.port_a ^= 1;
    state.lock = other.tag();
    kernel.put_flow(&key(17), &state);
    let live = kernel.live_packets();
    kernel.xdp(&udp(CLIENT, SERVER, SPORT, 80, 10));
    assert_eq!(kernel.live_packets(), live + 1, "the packet begins a flow: {:?}", kernel.counters());
    // The flow's second packet would take the entry.
    kernel.xdp(&udp(CLIENT, SERVER, SPORT, 80, 10));
    assert_eq!((kernel.live_packets(), kernel.count(Counter::SkipClosing)), (live + 1, 1), "{:?}", kernel.counters());
    assert_eq!(kernel.flow(&key(17)), Some(state), "untouched");
}

/// Both directions of a flow, each on a CPU: what the lock refuses is counted, the rest is in the flow.
#[test]
fn two_cpus_on_one_flow_lose_no_packet_in_silence() {
    let mut kernel = Kernel::new();
    let (forth, back) = (udp(CLIENT, SERVER, SPORT, 80, 10), udp(SERVER, CLIENT, 80, SPORT, 20));
    kernel.xdp(&forth);
    kernel.xdp(&back);
    kernel.xdp_on_two_cpus([&forth, &back], 300_000);
    let state = kernel.flow(&key(17)).expect("a full entry");
    let skipped = kernel.count(Counter::SkipLock);
    println!("two CPUs, 600,002 packets: {} in the flow, {skipped} skipped at the lock", state.packets());
    assert_eq!(state.packets() + skipped, 600_002);
    assert_eq!(state.fwd.payload_bytes, 10 * state.fwd.packets);
    assert_eq!(state.bwd.payload_bytes, 20 * state.bwd.packets);
    assert_eq!(state.lock, key(17).tag());
    assert!(skipped < 300_000, "{skipped} of 600,002 skipped");
    kernel.assert_balanced();
}

#[test]
fn an_entry_carries_its_tag_from_the_start() {
    let mut kernel = Kernel::new();
    kernel.xdp(&udp(CLIENT, SERVER, SPORT, 80, 10));
    kernel.xdp(&udp(CLIENT, SERVER, SPORT, 80, 10));
    let state = kernel.flow(&key(17)).expect("a full entry");
    assert_eq!((state.lock, state.packets()), (key(17).tag(), 2));
    kernel.assert_balanced();
}
