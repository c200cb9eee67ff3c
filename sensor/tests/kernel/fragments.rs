//! Later fragments are counted in the flow that the first one named.

use ganglion_flow::rules::{Action, Rule};
use ganglion_flow::settings::flag;
use ganglion_flow::{Addr, Counter, FlowKey, FlowState, Wire};
use std::net::IpAddr;

use crate::frames::{SCTP, UDP, datagram, ethernet, fragment6, ipv4, ipv6, v6};
use crate::harness::{Kernel, TC_DROP, XDP_DROP, XDP_PASS, bytes};
use crate::packets::{CLIENT, SERVER, Tcp};
use ganglion_flow::packet::tcp_flag::{ACK, PSH, SYN};

const MORE: u16 = 0x2000;

fn key(protocol: u8, sport: u16, dport: u16) -> FlowKey {
    FlowKey::new(IpAddr::from(CLIENT).into(), IpAddr::from(SERVER).into(), sport, dport, protocol, 0).0
}

fn key6(protocol: u8, sport: u16, dport: u16) -> FlowKey {
    FlowKey::new(Addr::from_octets(v6(1)), Addr::from_octets(v6(2)), sport, dport, protocol, 0).0
}

fn first(identification: u16, protocol: u8) -> Vec<u8> {
    ethernet(0, &ipv4(protocol, 0, (identification, MORE), &datagram(protocol, (5000, 53), 1472)))
}

fn later(identification: u16, protocol: u8, field: u16, bytes: usize) -> Vec<u8> {
    ethernet(0, &ipv4(protocol, 0, (identification, field), &vec![7; bytes]))
}

fn flow(kernel: &Kernel, key: &FlowKey) -> FlowState {
    kernel.flow(key).unwrap_or_else(|| panic!("no flow {key:?}: {:?}", kernel.counters()))
}

#[test]
fn a_datagram_in_three_fragments_is_counted_in_one_flow() {
    for protocol in [UDP, SCTP] {
        let mut kernel = Kernel::new();
        kernel.xdp(&first(7, protocol));
        kernel.xdp(&later(7, protocol, MORE | 185, 1480));
        kernel.xdp(&later(7, protocol, 370, 100));
        let state = flow(&kernel, &key(protocol, 5000, 53));
        let header = if protocol == SCTP { 12 } else { 8 };
        assert_eq!((state.fwd.packets, state.fwd.header_bytes), (3, header));
        assert_eq!(state.fwd.payload_bytes, 1472 + 1480 + 100);
        assert_eq!(kernel.count(Counter::Fragment), 0);
        kernel.assert_balanced();
    }
}

#[test]
fn ipv6_fragments_behind_other_headers_too() {
    let mut kernel = Kernel::new();
    // Destination options before and after the fragment header.
    let inner = [vec![UDP, 0, 0, 0, 0, 0, 0, 0], datagram(UDP, (5000, 53), 40)].concat();
    for (tags, extra) in [(0, 0u32), (2, 1)] {
        kernel.xdp(&ethernet(tags, &fragment6(60, 0xdead_0000 + extra, 0, true, &inner)));
        kernel.xdp(&ethernet(tags, &fragment6(60, 0xdead_0000 + extra, 7, true, &[7; 48])));
        kernel.xdp(&ethernet(tags, &fragment6(17, 0xdead_0000 + extra, 13, false, &[7; 8])));
    }
    let state = flow(&kernel, &key6(UDP, 5000, 53));
    assert_eq!((state.fwd.packets, state.fwd.payload_bytes, state.fwd.header_bytes), (6, 2 * 96, 16));
    kernel.assert_balanced();
}

#[test]
fn a_fragment_of_a_segment_changes_nothing_that_the_tcp_header_says() {
    let mut kernel = Kernel::new();
    kernel.xdp(&Tcp::to_server(5000, 80, SYN).build());
    kernel.egress(&Tcp::to_client(5000, 80, SYN | ACK).build());
    kernel.xdp(&Tcp { seq: 1001, ..Tcp::to_server(5000, 80, ACK) }.build());
    let mut part = Tcp { seq: 1001, ..Tcp::to_server(5000, 80, ACK | PSH).payload(40) }.build();
    part[18..22].copy_from_slice(&[0, 9, 0x20, 0]);
    kernel.xdp(&part);
    let before = flow(&kernel, &key(6, 5000, 80));
    kernel.xdp(&later(9, 6, 10, 500));
    let after = flow(&kernel, &key(6, 5000, 80));
    assert_eq!(after.fwd.packets, before.fwd.packets + 1);
    assert_eq!(after.fwd.payload_bytes, before.fwd.payload_bytes + 500);
    assert_eq!((after.fwd.flags, after.fwd.header_bytes), (before.fwd.flags, before.fwd.header_bytes));
    assert_eq!((after.fwd.next_seq, after.fwd.retransmissions), (before.fwd.next_seq, 0));
    assert_eq!((after.fwd.window_last, after.fwd.zero_windows), (before.fwd.window_last, 0));
    kernel.assert_balanced();
}

#[test]
fn a_fragment_whose_first_one_was_not_seen_or_is_too_old_is_counted_as_such() {
    let mut kernel = Kernel::new();
    kernel.xdp(&later(7, UDP, 185, 100));
    assert_eq!(kernel.count(Counter::Fragment), 1);
    kernel.xdp(&first(7, UDP));
    kernel.xdp(&later(8, UDP, 185, 100));
    assert_eq!(kernel.count(Counter::Fragment), 2, "another datagram");
    kernel.advance_us(29_000_000);
    kernel.xdp(&later(7, UDP, MORE | 185, 100));
    assert_eq!(kernel.count(Counter::Fragment), 2);
    kernel.advance_us(2_000_000);
    kernel.xdp(&later(7, UDP, 400, 100));
    assert_eq!(kernel.count(Counter::Fragment), 3, "after 31 s");
    kernel.assert_balanced();
}

#[test]
fn each_network_has_its_own_identifications() {
    let mut kernel = Kernel::new();
    kernel.set(|s| s.flags |= flag::VLAN_DOMAIN);
    kernel.xdp(&ethernet(1, &ipv4(UDP, 0, (7, MORE), &datagram(UDP, (5000, 53), 80))));
    kernel.xdp(&later(7, UDP, 11, 100));
    assert_eq!(kernel.count(Counter::Fragment), 1);
    kernel.xdp(&ethernet(1, &ipv4(UDP, 0, (7, 11), &[7; 10])));
    let key = FlowKey { domain: 100, ..key(UDP, 5000, 53) };
    assert_eq!(flow(&kernel, &key).packets(), 2);
    kernel.assert_balanced();
}

#[test]
fn a_flood_of_first_fragments_is_counted_and_takes_no_memory() {
    let mut kernel = Kernel::new();
    let other = |i: u16| {
        let mut frame = first(i, UDP);
        frame[26..30].copy_from_slice(&[198, 19, (i >> 8) as u8, i as u8]);
        frame
    };
    for i in 0..10_000 {
        kernel.xdp(&other(i));
    }
    let replaced = kernel.count(Counter::FragmentsReplaced);
    assert!((5_900..=6_100).contains(&replaced), "{replaced} of 10,000 in 4,096 places");
    let mut late = later(9_999, UDP, 185, 100);
    late[26..30].copy_from_slice(&[198, 19, (9_999u16 >> 8) as u8, 9_999u16 as u8]);
    kernel.xdp(&late);
    assert_eq!(kernel.count(Counter::Fragment), 0, "the last one is known");
    kernel.assert_balanced();
}

fn rule() -> Rule {
    let action = Action::Drop as u8;
    Rule { expires_ns: u64::MAX, slot: 5, limit: 0, action, class: 3, prefix: 0, zero: 0, proof: 0 }
}

#[test]
fn a_verdict_on_the_flow_drops_all_fragments() {
    let mut kernel = Kernel::new();
    kernel.verdict(key(UDP, 5000, 53), rule());
    assert_eq!(kernel.xdp(&first(7, UDP)), XDP_DROP);
    assert_eq!(kernel.xdp(&later(7, UDP, MORE | 185, 100)), XDP_DROP);
    assert_eq!(kernel.xdp(&later(8, UDP, 185, 100)), XDP_PASS, "whose flow is unknown");
    assert_eq!(kernel.count(Counter::DropVerdict), 2);
    kernel.assert_balanced();
}

#[test]
fn fragments_do_not_evade_rules_on_addresses() {
    let mut kernel = Kernel::new();
    let value = bytes::<_, { Rule::LEN }>(&rule());
    kernel.insert_net("BLOCK_NETS", IpAddr::from([198, 18, 0, 0]).into(), 96 + 24, value, flag::BLOCK_NETS);
    // Network rules wait for the ports, because a service may be exempt.
    assert_eq!(kernel.xdp(&first(7, UDP)), XDP_DROP);
    assert_eq!(kernel.xdp(&later(7, UDP, MORE | 185, 100)), XDP_DROP);
    assert_eq!(kernel.egress(&later(7, UDP, 370, 100)), TC_DROP);
    kernel.assert_balanced();
}

#[test]
fn fragments_at_every_hook_and_of_whole_packets() {
    let mut kernel = Kernel::new();
    kernel.tc("ganglion_ingress_tc", &first(7, UDP));
    kernel.tc("ganglion_ingress_tc", &later(7, UDP, MORE | 185, 10));
    kernel.egress(&later(7, UDP, 370, 10));
    assert_eq!(flow(&kernel, &key(UDP, 5000, 53)).packets(), 3);
    // A fragment header around a whole packet.
    kernel.xdp(&ethernet(0, &fragment6(UDP, 5, 0, false, &datagram(UDP, (5000, 53), 40))));
    kernel.xdp(&ethernet(0, &ipv6(&[44], UDP, &datagram(UDP, (5000, 53), 40))));
    assert_eq!(flow(&kernel, &key6(UDP, 5000, 53)).packets(), 2);
    assert_eq!(kernel.count(Counter::Fragment), 0);
    kernel.assert_balanced();
}
