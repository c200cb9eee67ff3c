//! Frames by hand, one quirk of the reference each.

use proptest::prelude::*;

use super::*;
use crate::capture::LinkType;

const TCP: [u8; 20] = [0, 80, 1, 187, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x12, 0x20, 0, 0, 0, 0, 0];

fn ethernet(tags: usize, packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; ETHERTYPE_AT];
    for _ in 0..tags {
        frame.extend([0x81, 0, 0, 7]);
    }
    frame.extend([8, 0]);
    frame.extend(packet);
    frame
}

/// IPv4 from 10.0.0.1 to 10.0.0.2.
fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let total = (20 + payload.len() as u16).to_be_bytes();
    let mut packet = vec![0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet.extend(payload);
    packet
}

fn tcp(data: &[u8]) -> Vec<u8> {
    [&TCP, data].concat()
}

fn read(tags: usize, packet: &[u8]) -> Packet {
    Packet::of_ethernet(&ethernet(tags, packet)).unwrap()
}

#[test]
fn tcp_fields() {
    let packet = read(0, &ipv4(6, &tcp(b"data")));
    assert_eq!((packet.src, packet.src_port), ([10, 0, 0, 1].into(), 80));
    assert_eq!((packet.dst, packet.dst_port), ([10, 0, 0, 2].into(), 443));
    assert_eq!((packet.protocol, packet.flags, packet.window), (Protocol::Tcp, 0x12, 0x2000));
    assert_eq!((packet.sequence, packet.acknowledgement), (1, 2));
    assert_eq!((packet.header_bytes, packet.payload_bytes), (20, 4));
    assert!(packet.is_syn_ack());
}

#[test]
fn padding_counts_behind_a_tag_alone() {
    let padded = [ipv4(6, &tcp(b"")), vec![0; 6]].concat();
    assert_eq!([0, 1, 2].map(|tags| read(tags, &padded).payload_bytes), [0, 6, 6]);
}

#[test]
fn a_cut_packet_has_the_payload_that_was_captured() {
    let whole = ethernet(0, &ipv4(17, &[0; 108]));
    assert_eq!(Packet::of_ethernet(&whole).unwrap().payload_bytes, 100);
    assert_eq!(Packet::of_ethernet(&whole[..whole.len() - 30]).unwrap().payload_bytes, 70);
}

#[test]
fn a_tcp_header_is_no_longer_than_its_packet() {
    let mut odd = tcp(b"data");
    odd[12] = 0xf0;
    let packet = read(0, &ipv4(6, &odd));
    assert_eq!((packet.header_bytes, packet.payload_bytes), (24, 0));
}

#[test]
fn later_fragments_and_offloaded_packets_have_no_protocol() {
    let mut first = ipv4(17, &[0, 53, 0, 54, 0, 0, 0, 0, 1, 2]);
    first[6] = 0x20;
    let first = read(0, &first);
    assert_eq!((first.protocol, first.src_port, first.payload_bytes), (Protocol::Udp, 53, 2));
    let mut later = ipv4(17, &[1; 16]);
    later[7] = 1;
    let mut offloaded = ipv4(6, &tcp(b"data"));
    offloaded[2..4].fill(0);
    for packet in [read(0, &later), read(0, &offloaded)] {
        assert_eq!((packet.protocol, packet.src_port, packet.dst_port), (Protocol::Other, 0, 0));
        assert_eq!((packet.payload_bytes, packet.header_bytes), (0, 0));
    }
}

#[test]
fn protocols_by_number() {
    let of = |number| Packet::of_ethernet(&ethernet(0, &ipv4(number, &[0; 24]))).map(|packet| packet.protocol);
    let known = [(1, Protocol::Icmp), (2, Protocol::Igmp), (6, Protocol::Tcp), (17, Protocol::Udp)];
    for (number, protocol) in known.into_iter().chain([(132, Protocol::Sctp)]) {
        assert_eq!(of(number), Some(protocol));
    }
    for number in [0, 41, 47, 50, 51, 103] {
        assert_eq!(of(number), Some(Protocol::Other));
    }
    assert_eq!([of(113), of(255)], [None, None]);
}

#[test]
fn sctp_udp_and_icmp_headers() {
    let sctp = read(0, &ipv4(132, &[0; 20]));
    assert_eq!((sctp.header_bytes, sctp.payload_bytes), (12, 8));
    let icmp = read(0, &ipv4(1, &[8, 3, 0, 0, 1, 2]));
    assert_eq!((icmp.header_bytes, icmp.payload_bytes, icmp.icmp), (0, 0, Some((8, 3))));
}

#[test]
fn ipv4_in_ipv4_has_outer_addresses_and_inner_ports() {
    let mut inner = ipv4(6, &tcp(b"data"));
    inner[12..20].fill(9);
    let packet = read(0, &ipv4(4, &inner));
    assert_eq!((packet.src, packet.src_port), ([10, 0, 0, 1].into(), 80));
    assert_eq!((packet.protocol, packet.payload_bytes), (Protocol::Tcp, 4));
    assert_eq!(read(0, &ipv4(4, b"no header")).protocol, Protocol::Other);
}

#[test]
fn what_is_not_ipv4_is_nothing() {
    for ethertype in [[8, 6], [0x86, 0xdd], [0x88, 0xa8]] {
        let mut frame = ethernet(0, &ipv4(6, &TCP));
        frame[12..14].copy_from_slice(&ethertype);
        assert_eq!(Packet::of_ethernet(&frame), None);
    }
    assert_eq!(Packet::of_ethernet(&ethernet(3, &[])), None);
}

#[test]
fn every_link_type_carries_the_same_packet() {
    let packet = ipv4(6, &tcp(b"data"));
    let ethernet = ethernet(0, &packet);
    let cooked = [&[0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0], packet.as_slice()].concat();
    let links = [(LinkType::Ethernet, &ethernet), (LinkType::RawIp, &packet), (LinkType::LinuxCooked1, &cooked)];
    for (link, bytes) in links {
        let frame = Frame { time_ns: 0, link, interface: 0, original_bytes: 0, bytes, offset: 0 };
        assert_eq!(Packet::of_frame(&frame), Packet::of_ethernet(&ethernet), "{link:?}");
    }
}

#[test]
fn both_directions_are_one_conversation() {
    let packet = read(0, &ipv4(6, &TCP));
    let Packet { src, src_port, dst, dst_port, .. } = packet;
    let answer = Packet { src: dst, src_port: dst_port, dst: src, dst_port: src_port, ..packet };
    assert_eq!(packet.conversation(), answer.conversation());
    let crossed = Packet { src_port: dst_port, dst_port: src_port, ..packet };
    assert_ne!(packet.conversation(), crossed.conversation());
}

proptest! {
    #[test]
    fn no_payload_is_longer_than_its_frame(tags in 0usize..3, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let frame = ethernet(tags, &bytes);
        if let Some(packet) = Packet::of_ethernet(&frame) {
            prop_assert!((packet.payload_bytes + packet.header_bytes) as usize <= frame.len());
        }
    }
}
