//! A flow's life: half-open, full, early records, its end, its marker, its expiry.

use ganglion_flow::packet::tcp_flag::{ACK, FIN, PSH, RST, SYN};
use ganglion_flow::record::{FlowRecord, Record};
use ganglion_flow::{Addr, Counter, FlowKey, Hook, Reason, Stage};
use std::net::IpAddr;

use crate::harness::{Kernel, TC_PASS, XDP_PASS};
use crate::packets::{CLIENT, SERVER, Tcp, ping, udp};

fn key(sport: u16, dport: u16, protocol: u8) -> FlowKey {
    FlowKey::new(IpAddr::from(CLIENT).into(), IpAddr::from(SERVER).into(), sport, dport, protocol, 0).0
}

fn flows(records: Vec<Record>) -> Vec<FlowRecord> {
    records
        .into_iter()
        .filter_map(|record| match record {
            Record::Flow(flow) => Some(flow),
            Record::Source(_) => None,
        })
        .collect()
}

fn handshake(kernel: &mut Kernel, sport: u16) {
    assert_eq!(kernel.xdp(&Tcp::to_server(sport, 80, SYN).build()), XDP_PASS);
    assert_eq!(kernel.egress(&Tcp::to_client(sport, 80, SYN | ACK).build()), TC_PASS);
    assert_eq!(kernel.xdp(&Tcp::to_server(sport, 80, ACK).build()), XDP_PASS);
}

#[test]
fn a_connection_is_one_record_with_both_directions() {
    let mut kernel = Kernel::new();
    handshake(&mut kernel, 40000);
    kernel.xdp(&Tcp::to_server(40000, 80, ACK | PSH).payload(100).build());
    kernel.egress(&Tcp::to_client(40000, 80, ACK | PSH).payload(1000).build());
    kernel.egress(&Tcp::to_client(40000, 80, ACK | FIN).build());
    kernel.xdp(&Tcp::to_server(40000, 80, ACK | FIN).build());
    let records = flows(kernel.records());
    let [record] = records.as_slice() else { panic!("{} records", records.len()) };
    assert_eq!(record.header.reason, Reason::Fin as u8);
    assert_eq!(record.header.stage, Stage::End as u8);
    assert_eq!(record.header.hook, Hook::Xdp as u8);
    assert_eq!(record.key, key(40000, 80, 6));
    let state = &record.state;
    assert_eq!((state.fwd.packets, state.bwd.packets), (4, 3));
    assert_eq!((state.fwd.payload_bytes, state.bwd.payload_bytes), (100, 1000));
    assert_eq!(state.fwd.flags, [1, 1, 0, 1, 3, 0, 0, 0]);
    assert_eq!(state.lock, 0);
    let ((from, sport), (to, dport)) = ganglion_flow::state::endpoints(&record.key, state);
    assert_eq!((IpAddr::from(from), sport), (CLIENT.into(), 40000));
    assert_eq!((IpAddr::from(to), dport), (SERVER.into(), 80));
    // The last ACK finds the marker.
    kernel.egress(&Tcp::to_client(40000, 80, ACK).build());
    assert_eq!(kernel.count(Counter::SkipAfterEnd), 1);
    kernel.assert_balanced();
    // A sweep after the linger time removes it.
    kernel.advance_us(2_000_000);
    kernel.sweep();
    assert!(kernel.flow(&key(40000, 80, 6)).is_none());
    kernel.assert_balanced();
}

#[test]
fn a_reset_ends_a_flow_and_a_syn_opens_it_anew() {
    let mut kernel = Kernel::new();
    handshake(&mut kernel, 40000);
    kernel.xdp(&Tcp::to_server(40000, 80, RST).build());
    let ended = flows(kernel.records());
    assert_eq!(ended.last().map(|r| r.header.reason), Some(Reason::Rst as u8));
    handshake(&mut kernel, 40000);
    let state = kernel.flow(&key(40000, 80, 6)).expect("a flow of its own");
    assert_eq!(state.packets(), 3);
    kernel.assert_balanced();
}

#[test]
fn a_syn_on_an_established_flow_ends_it_and_starts_another() {
    let mut kernel = Kernel::new();
    handshake(&mut kernel, 40000);
    handshake(&mut kernel, 40000);
    let records = flows(kernel.records());
    assert_eq!(records.iter().map(|r| r.header.reason).collect::<Vec<_>>(), [Reason::Reopened as u8]);
    assert_eq!(kernel.flow(&key(40000, 80, 6)).map(|s| s.packets()), Some(3));
    kernel.assert_balanced();
}

#[test]
fn early_records_come_at_8_32_and_128_packets() {
    let mut kernel = Kernel::new();
    for i in 0..200 {
        kernel.xdp(&ping(CLIENT, SERVER, 9, i));
    }
    let records = flows(kernel.records());
    let seen: Vec<_> = records.iter().map(|r| (r.header.stage, r.state.packets())).collect();
    let expected = [(Stage::Packets8, 8), (Stage::Packets32, 32), (Stage::Packets128, 128)].map(|(s, n)| (s as u8, n));
    assert_eq!(seen, expected);
    assert!(records.iter().all(|r| r.header.reason == Reason::Early as u8));
    kernel.assert_balanced();
}

#[test]
fn the_sweep_exports_old_flows_once_per_age() {
    let mut kernel = Kernel::new();
    kernel.xdp(&udp(CLIENT, SERVER, 5000, 53, 10));
    kernel.egress(&udp(SERVER, CLIENT, 53, 5000, 10));
    let mut stages = Vec::new();
    for step_us in [500_000, 1_000_000, 100_000, 4_000_000, 25_000_000] {
        kernel.advance_us(step_us);
        kernel.sweep();
        stages.extend(flows(kernel.records()).iter().map(|r| r.header.stage));
    }
    assert_eq!(stages, [Stage::Age1s, Stage::Age5s, Stage::Age30s].map(|s| s as u8));
    kernel.assert_balanced();
}

#[test]
fn silence_and_age_end_flows() {
    for (gap_us, steps, reason) in [(61_000_000, 1, Reason::Idle), (31_000_000, 4, Reason::Active)] {
        let mut kernel = Kernel::new();
        for step in 0..=steps {
            kernel.xdp(&udp(CLIENT, SERVER, 5000, 53, 10));
            kernel.egress(&udp(SERVER, CLIENT, 53, 5000, 10));
            if step < steps {
                kernel.advance_us(gap_us);
            } else {
                kernel.advance_us(if steps == 1 { gap_us } else { 0 });
            }
        }
        kernel.sweep();
        let ends: Vec<_> =
            flows(kernel.records()).iter().filter(|r| r.header.stage == 0).map(|r| r.header.reason).collect();
        assert_eq!(ends, [reason as u8]);
        // The active time-out cuts a flow that goes on.
        let left = kernel.flow(&key(5000, 53, 17)).map(|state| state.packets());
        assert_eq!(left, if reason == Reason::Active { Some(0) } else { None });
        kernel.assert_balanced();
    }
}

#[test]
fn an_unanswered_packet_is_exported_after_the_half_open_timeout() {
    let mut kernel = Kernel::new();
    kernel.xdp(&Tcp::to_server(40000, 81, SYN).build());
    assert!(kernel.flow(&key(40000, 81, 6)).is_none(), "one packet takes no full entry");
    kernel.advance_us(9_000_000);
    kernel.sweep();
    assert!(kernel.records().is_empty());
    kernel.advance_us(2_000_000);
    kernel.sweep();
    let records = flows(kernel.records());
    let [record] = records.as_slice() else { panic!("{} records", records.len()) };
    assert_eq!((record.header.reason, record.state.packets()), (Reason::HalfOpen as u8, 1));
    assert_eq!(record.state.fwd.flags[1], 1);
    kernel.assert_balanced();
}

#[test]
fn shutdown_and_upgrade_export_everything() {
    for reason in [Reason::Shutdown, Reason::Upgrade] {
        let mut kernel = Kernel::new();
        handshake(&mut kernel, 40000);
        kernel.xdp(&Tcp::to_server(40001, 80, SYN).build());
        kernel.set(|s| s.flush_reason = reason as u64);
        kernel.sweep();
        let records = flows(kernel.records());
        assert_eq!(records.iter().map(|r| r.header.reason).collect::<Vec<_>>(), [reason as u8; 2]);
        assert_eq!(kernel.live_packets(), 0);
        kernel.assert_balanced();
    }
}

#[test]
fn a_full_flow_table_is_counted_and_harms_no_flow() {
    let mut kernel = Kernel::with_flows(4);
    for sport in 1..=40 {
        kernel.xdp(&udp(CLIENT, SERVER, sport, 53, 1));
        kernel.xdp(&udp(CLIENT, SERVER, sport, 53, 1));
    }
    assert!(kernel.count(Counter::SkipFull) >= 30, "{:?}", kernel.counters());
    assert_eq!(kernel.flow(&key(1, 53, 17)).map(|s| s.packets()), Some(2));
    kernel.assert_balanced();
}

#[test]
fn a_full_ring_is_counted() {
    let mut kernel = Kernel::with_flows(4096);
    let mut sport = 0;
    while kernel.count(Counter::RecordsLost) == 0 {
        sport += 1;
        handshake(&mut kernel, sport);
        kernel.xdp(&Tcp::to_server(sport, 80, RST).build());
        assert!(sport < 4000, "a ring of 1 MiB holds under 1,700 records");
    }
    assert!(kernel.count(Counter::ExportLost) > 0);
    kernel.assert_balanced();
}

#[test]
fn a_router_counts_where_packets_arrive() {
    let mut kernel = Kernel::new();
    kernel.set(|s| s.role = ganglion_flow::settings::InterfaceRole::Router as u32);
    kernel.egress(&udp(SERVER, CLIENT, 53, 5000, 10));
    assert_eq!(kernel.count(Counter::SkipRole), 1);
    assert_eq!(kernel.live_packets(), 0);
    kernel.assert_balanced();
    let _ = Addr::v4(0);
}

#[test]
fn a_handshake_that_is_never_completed_ends_after_the_half_open_timeout() {
    let mut kernel = Kernel::new();
    kernel.xdp(&Tcp::to_server(40000, 80, SYN).build());
    kernel.egress(&Tcp::to_client(40000, 80, SYN | ACK).build());
    kernel.advance_us(11_000_000);
    kernel.sweep();
    let records = flows(kernel.records());
    assert_eq!(records.iter().map(|r| r.header.reason).collect::<Vec<_>>(), [Reason::HalfOpen as u8]);
    kernel.assert_balanced();
}
