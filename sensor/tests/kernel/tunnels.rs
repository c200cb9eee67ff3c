//! Packets in tunnels, when asked: the flow is the inner one, rules on addresses go by the outer ones.

use ganglion_flow::rules::{Action, NewFlowLimit, Rule};
use ganglion_flow::settings::flag;
use ganglion_flow::{Addr, Counter, FlowKey, Wire};
use std::net::IpAddr;

use crate::frames::{GRE, UDP, datagram, ethernet, geneve, gre, ipv4, ipv6, plain, vxlan};
use crate::harness::{Kernel, TC_DROP, XDP_DROP, XDP_PASS, bytes};
use crate::packets::{CLIENT, SERVER, udp, udp6_qinq};

const A: [u8; 4] = [198, 19, 0, 1];
const B: [u8; 4] = [198, 19, 0, 2];

fn key(domain: u16) -> FlowKey {
    FlowKey::new(IpAddr::from(A).into(), IpAddr::from(B).into(), 4000, 53, UDP, domain).0
}

fn outer(protocol: u8, ports: (u16, u16)) -> FlowKey {
    FlowKey::new(IpAddr::from(CLIENT).into(), IpAddr::from(SERVER).into(), ports.0, ports.1, protocol, 0).0
}

fn inside() -> Vec<u8> {
    udp(A, B, 4000, 53, 30)
}

/// The same inner packet in every tunnel, over either network layer; its domain; the flow of the tunnel itself.
fn tunnels() -> Vec<(&'static str, Vec<u8>, u16, FlowKey)> {
    let inside = inside();
    let ip = &inside[14..];
    vec![
        ("IP in IP", ethernet(0, &plain(4, ip)), 0, outer(4, (0, 0))),
        ("GRE", ethernet(0, &plain(GRE, &gre(0x0800, None, ip))), 0, outer(GRE, (0, 0))),
        ("GRE with all fields", ethernet(1, &plain(GRE, &gre(0x0800, Some(70_000), ip))), 4464, outer(GRE, (0, 0))),
        ("GRE, bridged", ethernet(2, &plain(GRE, &gre(0x6558, Some(5), &inside))), 5, outer(GRE, (0, 0))),
        ("VXLAN", ethernet(0, &plain(UDP, &vxlan(0x01_2345, &inside))), 0x2345, outer(UDP, (50_000, 4789))),
        ("VXLAN, options", ethernet(2, &ipv4(UDP, 10, (1, 0), &vxlan(9, &inside))), 9, outer(UDP, (50_000, 4789))),
        ("Geneve", ethernet(0, &plain(UDP, &geneve(7, 0, &inside))), 7, outer(UDP, (50_000, 6081))),
        ("Geneve, options", ethernet(1, &plain(UDP, &geneve(8, 63, &inside))), 8, outer(UDP, (50_000, 6081))),
    ]
}

#[test]
fn the_flow_is_the_inner_one_when_asked_and_the_outer_one_else() {
    for asked in [true, false] {
        let mut kernel = Kernel::new();
        kernel.tunnels(asked);
        for (i, (what, frame, domain, outer)) in tunnels().into_iter().enumerate() {
            // Tunnels without a number share the outer packet's.
            kernel.set(|s| s.domain = 100 + i as u32);
            let domain = if domain == 0 { 100 + i as u16 } else { domain };
            let outer = FlowKey { domain: 100 + i as u16, ..outer };
            let before = kernel.count(Counter::Inner);
            kernel.xdp(&frame);
            kernel.tc("ganglion_ingress_tc", &frame);
            kernel.egress(&frame);
            let key = if asked { key(domain) } else { outer };
            let state = kernel.flow(&key).unwrap_or_else(|| panic!("{what}: {:?}", kernel.counters()));
            assert_eq!(state.fwd.packets, 3, "{what}");
            assert_eq!(state.fwd.wire_bytes, 3 * frame.len() as u64, "{what}");
            if asked {
                assert_eq!((state.fwd.payload_bytes, state.fwd.header_bytes), (90, 24), "{what}");
            }
            assert_eq!(kernel.count(Counter::Inner) - before, if asked { 3 } else { 0 }, "{what}");
            kernel.assert_balanced();
        }
    }
}

#[test]
fn either_ip_in_either_ip() {
    let four = inside();
    let six = udp6_qinq(4000, 53, 30);
    let expected = |v6: bool| if v6 { udp6_qinq(4000, 53, 30) } else { inside() };
    for (v6, protocol, packet) in [(false, 4, &four[14..]), (true, 41, &six[22..])] {
        for frame in [ethernet(0, &plain(protocol, packet)), ethernet(0, &ipv6(&[60], protocol, packet))] {
            let mut kernel = Kernel::new();
            kernel.tunnels(true);
            kernel.xdp(&frame);
            kernel.xdp(&frame);
            let alone = expected(v6);
            let alone = ganglion_flow::Packet::parse(&alone[..], ganglion_flow::Frame::plain(alone.len() as u32));
            let state = kernel.flow(&alone.unwrap().key(0).0).unwrap_or_else(|| panic!("{:?}", kernel.counters()));
            assert_eq!((state.fwd.packets, state.fwd.payload_bytes), (2, 60));
        }
    }
}

#[test]
fn what_can_not_be_read_inside_counts_in_the_outer_flow() {
    let mut kernel = Kernel::new();
    kernel.tunnels(true);
    let mut cut = inside();
    cut.truncate(30);
    let no_vni = {
        let mut p = vxlan(9, &inside());
        p[8] = 0;
        p
    };
    for payload in [vxlan(9, &cut), vxlan(9, &crate::packets::arp()), no_vni] {
        kernel.xdp(&ethernet(0, &plain(UDP, &payload)));
    }
    assert_eq!(kernel.flow(&outer(UDP, (50_000, 4789))).map(|s| s.packets()), Some(3), "{:?}", kernel.counters());
    assert_eq!(kernel.count(Counter::Inner), 0);
    kernel.assert_balanced();
}

#[test]
fn one_level_is_unpacked() {
    let mut kernel = Kernel::new();
    kernel.tunnels(true);
    let middle = ipv4(GRE, 0, (1, 0), &gre(0x0800, None, &inside()[14..]));
    let frame = ethernet(0, &ipv6(&[], 4, &middle));
    kernel.xdp(&frame);
    kernel.xdp(&frame);
    assert_eq!(kernel.flow(&outer(GRE, (0, 0))).map(|s| s.packets()), Some(2), "{:?}", kernel.counters());
}

#[test]
fn fragments_inside_find_their_flow() {
    let mut kernel = Kernel::new();
    kernel.tunnels(true);
    let part = |fragment: u16, payload: &[u8]| {
        let inner = ethernet(0, &ipv4(UDP, 0, (7, fragment), payload));
        ethernet(0, &plain(UDP, &vxlan(9, &inner)))
    };
    kernel.xdp(&part(6, &[7; 48]));
    assert_eq!(kernel.count(Counter::Fragment), 1, "before the first one");
    kernel.xdp(&part(0x2000, &datagram(UDP, (4000, 53), 40)));
    kernel.xdp(&part(6, &[7; 48]));
    let key = FlowKey { domain: 9, ..outer(UDP, (4000, 53)) };
    let state = kernel.flow(&key).unwrap_or_else(|| panic!("{:?}", kernel.counters()));
    assert_eq!((state.fwd.packets, state.fwd.payload_bytes), (2, 88));
    kernel.assert_balanced();
}

fn rule() -> Rule {
    let action = Action::Drop as u8;
    Rule { expires_ns: u64::MAX, slot: 5, limit: 0, action, class: 3, prefix: 0, zero: 0, proof: 0 }
}

fn addr(octets: [u8; 4]) -> Addr {
    IpAddr::from(octets).into()
}

#[test]
fn rules_on_addresses_go_by_the_tunnels_ends() {
    let frame = ethernet(0, &plain(UDP, &vxlan(9, &inside())));
    for net in [false, true] {
        for (blocked, verdict) in [(CLIENT, XDP_DROP), (A, XDP_PASS)] {
            let mut kernel = Kernel::new();
            kernel.tunnels(true);
            if net {
                let value = bytes::<_, { Rule::LEN }>(&rule());
                kernel.insert_net("BLOCK_NETS", addr(blocked), 128, value, flag::BLOCK_NETS);
            } else {
                kernel.block(addr(blocked), rule());
            }
            assert_eq!(kernel.xdp(&frame), verdict, "{blocked:?}, network {net}");
            kernel.assert_balanced();
        }
    }
}

#[test]
fn a_verdict_hits_the_inner_flow_unless_either_is_exempt() {
    let frame = ethernet(0, &plain(UDP, &vxlan(9, &inside())));
    let mut kernel = Kernel::new();
    kernel.tunnels(true);
    kernel.verdict(key(9), rule());
    assert_eq!(kernel.xdp(&frame), XDP_DROP);
    assert_eq!(kernel.egress(&frame), TC_DROP);
    let other = ethernet(0, &plain(UDP, &vxlan(10, &inside())));
    assert_eq!(kernel.xdp(&other), XDP_PASS, "another network");
    assert_eq!(kernel.count(Counter::DropVerdict), 2);
    kernel.assert_balanced();
    for exempt in [CLIENT, A] {
        let mut kernel = Kernel::new();
        kernel.tunnels(true);
        kernel.verdict(key(9), rule());
        kernel.insert_net("ALLOW_NETS", addr(exempt), 128, [1, 0, 0, 0], flag::ALLOW_NETS);
        assert_eq!(kernel.xdp(&frame), XDP_PASS, "{exempt:?}");
        assert_eq!(kernel.count(Counter::Allowed), 1);
        kernel.assert_balanced();
    }
}

#[test]
fn a_verdict_hits_the_tunnel_itself() {
    let mut kernel = Kernel::new();
    kernel.tunnels(true);
    kernel.verdict(outer(UDP, (50_000, 4789)), rule());
    assert_eq!(kernel.xdp(&ethernet(0, &plain(UDP, &vxlan(9, &inside())))), XDP_DROP);
}

#[test]
fn limits_on_new_flows_do_not_hold_inside() {
    for limited in [B, SERVER] {
        let mut kernel = Kernel::new();
        kernel.tunnels(true);
        kernel.limit_new_flows(addr(limited), NewFlowLimit { expires_ns: u64::MAX, slot: 6, limit: 1 });
        for port in 0..50 {
            let inner = udp(A, B, port, 53, 30);
            assert_eq!(kernel.xdp(&ethernet(0, &plain(UDP, &vxlan(9, &inner)))), XDP_PASS);
        }
        assert_eq!(kernel.count(Counter::DropNewFlow), 0);
        kernel.assert_balanced();
    }
}
