//! Each action of each rule, its time to live, its exemptions, and that `observe` drops nothing.

use ganglion_flow::packet::tcp_flag::{ACK, SYN};
use ganglion_flow::rules::{Action, NewFlowLimit, Rule, ServiceKey};
use ganglion_flow::settings::flag;
use ganglion_flow::{Addr, Counter, Wire};
use std::net::IpAddr;
use std::time::Duration;

use crate::harness::{Kernel, TC_DROP, TC_PASS, XDP_DROP, XDP_PASS, bytes};
use crate::packets::{CLIENT, SERVER, Tcp, ping, udp};

fn addr(octets: [u8; 4]) -> Addr {
    Addr::from(IpAddr::from(octets))
}

fn rule(action: Action) -> Rule {
    Rule { expires_ns: u64::MAX, slot: 5, limit: 0, action: action as u8, class: 3, prefix: 0, zero: 0, proof: 0 }
}

fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a whole timespec.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) }, 0);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn syn(sport: u16) -> Vec<u8> {
    Tcp::to_server(sport, 80, SYN).build()
}

#[test]
fn a_blocked_address_is_dropped_both_ways_and_counted() {
    let mut kernel = Kernel::new();
    assert_eq!(kernel.xdp(&syn(1)), XDP_PASS);
    kernel.block(addr(CLIENT), rule(Action::Drop));
    assert_eq!(kernel.xdp(&syn(2)), XDP_DROP);
    assert_eq!(kernel.tc("ganglion_ingress_tc", &syn(2)), TC_DROP);
    assert_eq!(kernel.egress(&Tcp::to_client(2, 80, SYN | ACK).build()), TC_DROP);
    let hits = kernel.hits(5);
    assert_eq!((hits.packets, hits.dropped), (3, 3));
    assert!(hits.first_drop_ns > 0 && hits.bytes >= 3 * 54);
    assert_eq!(kernel.count(Counter::DropBlock), 3);
    kernel.assert_balanced();
}

#[test]
fn observe_counts_what_it_would_drop_and_drops_nothing() {
    let mut kernel = Kernel::new();
    kernel.set(|s| s.flags &= !flag::ENFORCE);
    kernel.block(addr(CLIENT), rule(Action::Drop));
    assert_eq!(kernel.xdp(&syn(1)), XDP_PASS);
    assert_eq!(kernel.count(Counter::WouldDrop), 1);
    assert_eq!((kernel.hits(5).packets, kernel.hits(5).dropped), (1, 0));
    kernel.assert_balanced();
}

#[test]
fn the_observe_action_passes_in_enforce_mode() {
    let mut kernel = Kernel::new();
    kernel.block(addr(CLIENT), rule(Action::Observe));
    assert_eq!(kernel.xdp(&syn(1)), XDP_PASS);
    assert_eq!(kernel.hits(5).packets, 1);
    assert_eq!(kernel.count(Counter::WouldDrop), 0);
}

#[test]
fn invariant_3_the_kernel_judges_the_time_to_live() {
    let mut kernel = Kernel::new();
    let expires_ns = monotonic_ns() + 300_000_000;
    kernel.block(addr(CLIENT), Rule { expires_ns, ..rule(Action::Drop) });
    assert_eq!(kernel.xdp(&syn(1)), XDP_DROP);
    std::thread::sleep(Duration::from_millis(350));
    assert_eq!(kernel.xdp(&syn(2)), XDP_PASS, "an expired entry is still in the map, and blocks nothing");
}

#[test]
fn a_network_rule_covers_its_addresses_alone() {
    let mut kernel = Kernel::new();
    let value = bytes::<_, { Rule::LEN }>(&rule(Action::Drop));
    kernel.insert_net("BLOCK_NETS", addr([198, 18, 0, 0]), 96 + 30, value, flag::BLOCK_NETS);
    assert_eq!(kernel.xdp(&syn(1)), XDP_DROP);
    assert_eq!(kernel.xdp(&udp([198, 18, 0, 4], SERVER, 1, 2, 0)), XDP_PASS);
    assert_eq!(kernel.count(Counter::DropBlockNet), 1);
    kernel.assert_balanced();
}

#[test]
fn an_expired_network_rule_does_not_hide_a_wider_one() {
    let mut kernel = Kernel::new();
    for (prefix, expires_ns) in [(96 + 16, u64::MAX), (96 + 24, 1), (96 + 30, 1), (128, 1)] {
        let value = bytes::<_, { Rule::LEN }>(&Rule { expires_ns, prefix, ..rule(Action::Drop) });
        let net = if prefix == 128 { CLIENT } else { [198, 18, 0, 0] };
        kernel.insert_net("BLOCK_NETS", addr(net), u32::from(prefix), value, flag::BLOCK_NETS);
    }
    assert_eq!(kernel.xdp(&syn(1)), XDP_DROP);
    assert_eq!(kernel.count(Counter::DropBlockNet), 1);
    // None is in force.
    let value = bytes::<_, { Rule::LEN }>(&Rule { expires_ns: 1, prefix: 96 + 16, ..rule(Action::Drop) });
    kernel.insert_net("BLOCK_NETS", addr([198, 18, 0, 0]), 96 + 16, value, flag::BLOCK_NETS);
    assert_eq!(kernel.xdp(&syn(1)), XDP_PASS);
    kernel.assert_balanced();
}

#[test]
fn a_verdict_hits_its_flow_alone() {
    let mut kernel = Kernel::new();
    let (key, _) = ganglion_flow::FlowKey::new(addr(CLIENT), addr(SERVER), 9, 9, 1, 0);
    kernel.verdict(key, rule(Action::Drop));
    assert_eq!(kernel.xdp(&ping(CLIENT, SERVER, 9, 1)), XDP_DROP);
    assert_eq!(kernel.xdp(&ping(CLIENT, SERVER, 10, 1)), XDP_PASS);
    assert_eq!(kernel.count(Counter::DropVerdict), 1);
    kernel.assert_balanced();
}

#[test]
fn a_rate_limit_lets_its_share_pass_in_a_second() {
    let mut kernel = Kernel::new();
    kernel.block(addr(CLIENT), Rule { limit: 10, ..rule(Action::RateLimit) });
    let passed = (0..200).filter(|&i| kernel.xdp(&syn(i)) == XDP_PASS).count();
    // The run may straddle the turn of a second.
    assert!((10..=20).contains(&passed), "{passed} of 200 passed");
    assert_eq!(kernel.count(Counter::DropRate), 200 - passed as u64);
    kernel.assert_balanced();
}

#[test]
fn a_limit_on_new_flows_spares_established_flows_and_known_peers() {
    let mut kernel = Kernel::new();
    // A peer completes a handshake before the flood.
    kernel.xdp(&syn(1));
    kernel.egress(&Tcp::to_client(1, 80, SYN | ACK).build());
    kernel.xdp(&Tcp::to_server(1, 80, ACK).build());
    kernel.limit_new_flows(addr(SERVER), NewFlowLimit { expires_ns: u64::MAX, slot: 6, limit: 20 });
    let passed = (0..500u16)
        .filter(|&i| kernel.xdp(&udp([198, 19, (i >> 8) as u8, i as u8], SERVER, 7, 7, 0)) == XDP_PASS)
        .count();
    assert!((20..=40).contains(&passed), "{passed} of 500 passed");
    assert_eq!(kernel.xdp(&Tcp::to_server(1, 80, ACK).payload(5).build()), XDP_PASS, "established");
    assert_eq!(kernel.xdp(&syn(2)), XDP_PASS, "a new flow of a known peer");
    assert_eq!(kernel.count(Counter::DropNewFlow), 500 - passed as u64);
    assert_eq!(kernel.hits(6).packets, 500);
    kernel.assert_balanced();
}

#[test]
fn invariant_4_exemptions_win_over_every_rule() {
    for exempt in ["net", "service", "flow"] {
        let mut kernel = Kernel::new();
        kernel.block(addr(CLIENT), rule(Action::Drop));
        let value = bytes::<_, { Rule::LEN }>(&rule(Action::Drop));
        kernel.insert_net("BLOCK_NETS", addr(CLIENT), 128, value, flag::BLOCK_NETS);
        let (key, _) = ganglion_flow::FlowKey::new(addr(CLIENT), addr(SERVER), 53, 4000, 17, 0);
        kernel.verdict(key, rule(Action::Drop));
        match exempt {
            "net" => kernel.insert_net("ALLOW_NETS", addr([198, 18, 0, 0]), 96 + 24, [1, 0, 0, 0], flag::ALLOW_NETS),
            "service" => {
                let service = ServiceKey { addr: addr(CLIENT), port: 53, protocol: 17, zero: [0; 5] };
                kernel.insert("ALLOW_SERVICES", bytes::<_, { ServiceKey::LEN }>(&service), flag::ALLOW_SERVICES);
            }
            _ => kernel.insert("ALLOW_FLOWS", bytes::<_, { ganglion_flow::FlowKey::LEN }>(&key), flag::ALLOW_FLOWS),
        }
        assert_eq!(kernel.xdp(&udp(CLIENT, SERVER, 53, 4000, 10)), XDP_PASS, "{exempt}");
        assert_eq!(kernel.egress(&udp(SERVER, CLIENT, 4000, 53, 10)), TC_PASS, "{exempt}");
        let other = kernel.xdp(&udp(CLIENT, SERVER, 54, 4001, 10));
        assert_eq!(other, if exempt == "net" { XDP_PASS } else { XDP_DROP }, "{exempt}: any other traffic");
        assert!(kernel.count(Counter::Allowed) >= 2);
        kernel.assert_balanced();
    }
}

#[test]
fn later_fragments_of_a_blocked_address_are_dropped() {
    let mut kernel = Kernel::new();
    kernel.block(addr(CLIENT), rule(Action::Drop));
    let mut fragment = syn(1);
    fragment[20..22].copy_from_slice(&[0, 0x10]);
    assert_eq!(kernel.xdp(&fragment), XDP_DROP);
    assert_eq!(kernel.count(Counter::DropBlock), 1);
    kernel.assert_balanced();
}
