//! Every protocol that is read, at every hook: counted as userspace reads it.

use ganglion_flow::{Counter, FlowKey, Frame, Packet};

use crate::frames::{GRE, SCTP, UDP, datagram, ethernet, fragment6, geneve, gre, ipv4, ipv6, plain, vxlan};
use crate::harness::{Kernel, TC_PASS, XDP_PASS};
use crate::mirror::Mirror;
use crate::packets::{CLIENT, SERVER, Tcp, arp, ping, udp, udp6_qinq};
use ganglion_flow::packet::tcp_flag::{ACK, SYN};

/// All extension headers that are followed.
const EXTENSIONS: [u8; 7] = [0, 43, 51, 60, 135, 139, 140];

/// Sends the frame past all three programs; the flow that userspace says must have it three times and nothing else.
fn assert_counted(kernel: &mut Kernel, frame: &[u8], what: &str) {
    let packet = Packet::parse(frame, Frame::plain(frame.len() as u32)).expect(what);
    let (key, _) = packet.key(0);
    assert_eq!(kernel.xdp(frame), XDP_PASS, "{what}");
    assert_eq!(kernel.tc("ganglion_ingress_tc", frame), TC_PASS, "{what}");
    assert_eq!(kernel.egress(frame), TC_PASS, "{what}");
    let state = kernel.flow(&key).unwrap_or_else(|| panic!("{what}: no flow {key:?}, {:?}", kernel.counters()));
    assert_eq!(state.fwd.packets, 3, "{what}");
    assert_eq!(state.fwd.payload_bytes, 3 * u64::from(packet.payload_bytes), "{what}");
    assert_eq!(state.fwd.header_bytes, 3 * u32::from(packet.header_bytes), "{what}");
    assert_eq!(state.fwd.wire_bytes, 3 * frame.len() as u64, "{what}");
    kernel.assert_balanced();
}

#[test]
fn sctp_has_ports() {
    let mut kernel = Kernel::new();
    for tags in 0..3 {
        let segment = datagram(SCTP, (2905 + tags, 3868), 40);
        for ip in [plain(SCTP, &segment), ipv6(&[], SCTP, &segment)] {
            let frame = ethernet(tags.into(), &ip);
            let packet = Packet::parse(frame.as_slice(), Frame::plain(frame.len() as u32)).unwrap();
            assert_eq!((packet.src_port, packet.dst_port, packet.header_bytes), (2905 + tags, 3868, 12));
            assert_counted(&mut kernel, &frame, "SCTP");
        }
    }
}

#[test]
fn ipv4_options_of_every_length() {
    let mut kernel = Kernel::new();
    for options in 0..=10 {
        let ip = ipv4(UDP, options, (1, 0x4000), &datagram(UDP, (5, options as u16), 30));
        assert_counted(&mut kernel, &ethernet(options % 3, &ip), "options");
    }
}

#[test]
fn every_extension_header_alone_and_six_together() {
    let mut kernel = Kernel::new();
    let mut port = 0;
    let mut assert_followed = |tags: usize, kinds: &[u8]| {
        port += 1;
        let frame = ethernet(tags, &ipv6(kinds, UDP, &datagram(UDP, (5, port), 30)));
        assert_counted(&mut kernel, &frame, &format!("{kinds:?} behind {tags} tags"));
    };
    for kind in EXTENSIONS {
        (0..3).for_each(|tags| assert_followed(tags, &[kind]));
    }
    for kinds in [[0, 60, 43, 51, 60, 60], [60, 135, 139, 140, 51, 43], [60; 6]] {
        assert_followed(2, &kinds);
    }
}

#[test]
fn encrypted_and_unknown_packets_are_flows_without_ports() {
    let mut kernel = Kernel::new();
    for protocol in [50, 59, 89, 103] {
        assert_counted(&mut kernel, &ethernet(0, &plain(protocol, &[7; 40])), "IPv4");
        assert_counted(&mut kernel, &ethernet(1, &ipv6(&[60], protocol, &[7; 40])), "IPv6");
    }
}

#[test]
fn three_tags_are_not_followed() {
    let mut kernel = Kernel::new();
    kernel.xdp(&ethernet(3, &plain(UDP, &datagram(UDP, (5, 6), 30))));
    assert_eq!(kernel.count(Counter::NotIp), 1);
}

/// One frame of each kind.
fn corpus() -> Vec<Vec<u8>> {
    let inside = udp(SERVER, CLIENT, 53, 5353, 40);
    let first = ethernet(0, &ipv4(UDP, 0, (77, 0x2000), &datagram(UDP, (5, 6), 40)));
    let later = ethernet(0, &ipv4(UDP, 0, (77, 6), &[7; 48]));
    let ip6 = &udp6_qinq(9, 10, 30)[22..];
    vec![
        Tcp::to_server(40000, 80, SYN | ACK).payload(10).build(),
        udp(CLIENT, SERVER, 5000, 53, 20),
        udp6_qinq(5000, 53, 20),
        ping(CLIENT, SERVER, 9, 1),
        arp(),
        ethernet(1, &ipv6(&[0, 60, 51, 43], UDP, &datagram(UDP, (5, 6), 30))),
        ethernet(0, &ipv6(&[139, 135], SCTP, &datagram(SCTP, (5, 6), 30))),
        ethernet(2, &ipv4(SCTP, 7, (1, 0), &datagram(SCTP, (5, 6), 30))),
        first.clone(),
        later.clone(),
        ethernet(0, &fragment6(UDP, 99, 0, true, &datagram(UDP, (5, 6), 40))),
        ethernet(1, &fragment6(UDP, 99, 6, false, &[7; 40])),
        ethernet(0, &plain(UDP, &vxlan(0x012345, &inside))),
        ethernet(1, &ipv6(&[60], UDP, &geneve(0x00abcd, 5, &udp6_qinq(1, 2, 10)))),
        ethernet(0, &plain(GRE, &gre(0x6558, Some(70_000), &first))),
        ethernet(0, &plain(GRE, &gre(0x6558, Some(70_000), &later))),
        ethernet(0, &plain(GRE, &gre(0x86dd, None, ip6))),
        ethernet(0, &plain(4, &inside[14..])),
        ethernet(0, &plain(41, ip6)),
    ]
}

/// Numbers that only look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Runs a frame, and compares what became of it with what userspace says.
fn assert_mirrored(kernel: &mut Kernel, mirror: &mut Mirror, frame: &[u8]) {
    let before = kernel.counters();
    assert_eq!(kernel.xdp(frame), XDP_PASS);
    let after = kernel.counters();
    let rise = |counter: Counter| after.get(counter.label()).unwrap_or(&0) - before.get(counter.label()).unwrap_or(&0);
    let expected = mirror.read(frame, 1);
    let reasons = [Counter::NotIp, Counter::Truncated, Counter::Malformed, Counter::Fragment, Counter::TooManyHeaders];
    for reason in reasons {
        assert_eq!(rise(reason), u64::from(expected == Err(reason)), "{expected:?} of {frame:x?}");
    }
    if let Ok((packet, domain)) = expected {
        let key: FlowKey = packet.key(domain).0;
        // Not there: folded just now, or the end of a flow that was never there.
        let known = kernel.flow(&key).is_some() || kernel.half_open(&key).is_some();
        assert!(known, "{key:?} of {frame:x?}: {after:?}");
    }
}

/// The shortest frame that TEST_RUN takes is an Ethernet header.
#[test]
fn frames_cut_at_any_length_are_judged_as_in_userspace() {
    for inner in [false, true] {
        let (mut kernel, mut mirror) = (Kernel::new(), Mirror::new(inner));
        kernel.tunnels(inner);
        for frame in corpus() {
            for len in 14..=frame.len() {
                assert_mirrored(&mut kernel, &mut mirror, &frame[..len]);
            }
        }
        kernel.assert_balanced();
    }
}

#[test]
fn mutated_frames_are_judged_as_in_userspace() {
    let mut dice = Dice(20_261_122);
    let corpus = corpus();
    for inner in [false, true] {
        let (mut kernel, mut mirror) = (Kernel::with_flows(8192), Mirror::new(inner));
        kernel.tunnels(inner);
        for _ in 0..4000 {
            let mut frame = corpus[dice.below(corpus.len())].clone();
            for _ in 0..dice.below(4) {
                let at = dice.below(frame.len());
                frame[at] = dice.below(256) as u8;
            }
            frame.truncate(frame.len() - dice.below(3) * dice.below(20));
            assert_mirrored(&mut kernel, &mut mirror, &frame);
        }
        assert!(kernel.count(Counter::Fragment) > 0 && kernel.count(Counter::SkipFull) == 0);
        kernel.assert_balanced();
    }
}
