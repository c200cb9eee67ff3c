use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::key::Addr;
use agreement::assert_agrees;
use core::net::IpAddr;
use frames::{ICMPS, Ip, Made, ethernet, made, transport};

mod agreement;
mod frames;
mod tunnels;

fn parse(bytes: &[u8]) -> Result<Packet, NotAFlow> {
    Packet::parse(bytes, Frame::plain(bytes.len() as u32))
}

fn tcp(payload: usize) -> Vec<u8> {
    Made { ip: Ip::v4(), protocol: TCP, ports: (1, 2), ..Made::plain(payload) }.frame()
}

#[test]
fn merged_packets_count_their_headers_and_segments() {
    let bytes = tcp(3000);
    let train = Frame { len: bytes.len() as u32, segments: 3, segment_bytes: 1448, vlan: 0 };
    let packet = Packet::parse(bytes.as_slice(), train).unwrap();
    assert_eq!(packet.payload_bytes, 3000);
    assert_eq!(packet.wire_bytes, 3000 + 3 * 54);
    assert_eq!(packet.segment_bytes, 1448);
    let lying = Frame { segment_bytes: 60_000, ..train };
    assert_eq!(Packet::parse(bytes.as_slice(), lying).unwrap().segment_bytes, 1000);
}

#[test]
fn ethernet_padding_is_no_payload() {
    let mut bytes = tcp(0);
    bytes.resize(60, 0);
    assert_eq!(parse(&bytes).unwrap().payload_bytes, 0);
}

#[test]
fn the_tag_that_the_driver_took_out_stood_before_the_one_in_the_frame() {
    let bytes = Made { vlans: 1, ..Made::plain(0) }.frame();
    let frame = Frame { vlan: 77, ..Frame::plain(bytes.len() as u32) };
    assert_eq!(Packet::parse(bytes.as_slice(), frame).unwrap().vlan, 77);
    assert_eq!(parse(&bytes).unwrap().vlan, 5);
}

#[test]
fn sctp_has_ports_and_a_header_of_twelve_bytes() {
    let packet = parse(&Made { protocol: SCTP, ports: (2905, 3868), ..Made::plain(20) }.frame()).unwrap();
    assert_eq!((packet.src_port, packet.dst_port), (2905, 3868));
    assert_eq!((packet.header_bytes, packet.payload_bytes, packet.flags), (12, 20, 0));
    assert!(!packet.has_tcp_header());
}

#[test]
fn encrypted_packets_are_a_flow_without_ports() {
    for protocol in [50, 59, 89, 2] {
        for ip in [Ip::v4(), Ip::v6()] {
            let packet = parse(&Made { ip, protocol, ..Made::plain(20) }.frame()).unwrap();
            assert_eq!((packet.src_port, packet.dst_port, packet.header_bytes), (0, 0, 0));
            assert_eq!((packet.protocol, packet.payload_bytes), (protocol, 20));
        }
    }
}

/// What the network layer says of a frame, and how its transport layer was read.
fn read(bytes: &[u8]) -> (Packet, Network, Result<(), NotAFlow>) {
    let mut packet = Packet::ZERO;
    let frame = Frame::plain(bytes.len() as u32);
    let network = packet.network(bytes, frame).unwrap();
    let read = packet.transport(bytes, frame, network);
    (packet, network, read)
}

#[test]
fn fragments_are_told_apart() {
    for ip in [Ip::v4(), Ip::v6()] {
        let part = |offset: u16, more: bool| {
            let made = Made { ip: ip.clone().fragment(0x1234, offset, more), protocol: UDP, ..Made::plain(32) };
            read(&made.frame())
        };
        let (packet, network, first) = part(0, true);
        assert_eq!((first, packet.datagram, packet.src_port), (Ok(()), 0x1234, 1000));
        assert_eq!((packet.header_bytes, packet.payload_bytes), (8, 32));
        assert!(!network.part().is_whole() && !network.part().is_later() && !network.part().is_last());
        for (more, offset) in [(true, 5), (false, 5), (false, 0x1fff)] {
            let (packet, network, later) = part(offset, more);
            assert_eq!((later, packet.datagram, packet.src_port), (Err(NotAFlow::Fragment), 0x1234, 0));
            // No header: all of it is payload.
            assert_eq!((packet.header_bytes, packet.payload_bytes, packet.flags), (0, 40, 0));
            assert!(network.part().is_later() && network.part().is_last() != more);
        }
        // A fragment header around a whole packet (RFC 6946).
        assert!(part(0, false).1.part().is_whole());
    }
}

#[test]
fn an_extension_walk_fits_into_a_word_and_out_again() {
    let network = |part, at| Network::of_word(u64::from(40u32) << 32 | u64::from(part) << 16 | at);
    for (part, at) in [(0u16, 54u64), (0x2000, 62), (0x1fff, 0x3fff), (0x8000, 1)] {
        let found = network(part, at);
        assert_eq!(found.unwrap().part().bits(), part);
        assert_eq!(Network::of_word(Network::to_word(found)), found);
    }
    for why in [NotAFlow::Truncated, NotAFlow::Malformed] {
        assert_eq!(Network::of_word(Network::to_word(Err(why))), Err(why));
    }
}

#[test]
fn echoes_have_their_identifier_as_ports() {
    for (protocol, kind) in [(ICMP, 8), (ICMP, 0), (ICMPV6, 128), (ICMPV6, 129)] {
        let payload = transport(protocol, (u16::from_be_bytes([kind, 3]), 0x0102), &[0; 4]);
        let ip = if protocol == ICMP { Ip::v4() } else { Ip::v6() };
        let packet = parse(&ethernet(0, &ip.packet(protocol, &payload), protocol == ICMPV6)).unwrap();
        assert_eq!((packet.icmp, packet.header_bytes), (u16::from_be_bytes([kind, 3]), 8));
        assert_eq!((packet.src_port, packet.dst_port), (0x0304, 0x0304));
    }
}

proptest! {
    #[test]
    fn well_formed_packets_are_read_as_they_were_made(made in made()) {
        let bytes = made.frame();
        let (packet, network, read) = read(&bytes);
        let ends = if made.ip.is_v6() {
            (Addr::from_octets([1; 16]), Addr::from_octets([2; 16]))
        } else {
            (IpAddr::from([198, 18, 0, 1]).into(), IpAddr::from([198, 18, 0, 2]).into())
        };
        prop_assert_eq!((packet.src, packet.dst), ends);
        prop_assert_eq!(packet.vlan, if made.vlans == 0 { 0 } else { 5 });
        prop_assert_eq!(packet.wire_bytes as usize, bytes.len());
        if made.ip.is_later_fragment() {
            prop_assert_eq!(read, Err(NotAFlow::Fragment));
            prop_assert!(network.part().is_later());
            return Ok(());
        }
        prop_assert_eq!(read, Ok(()));
        prop_assert_eq!(packet.protocol, made.protocol);
        prop_assert_eq!(packet.payload_bytes as usize, made.payload.len());
        let ported = [TCP, UDP, SCTP].contains(&made.protocol);
        if ported {
            prop_assert_eq!((packet.src_port, packet.dst_port), made.ports);
        }
        prop_assert_eq!(packet.has_tcp_header(), made.protocol == TCP);
        if !ICMPS.contains(&made.protocol) {
            assert_agrees(&bytes)?;
        }
    }

    #[test]
    fn agrees_with_etherparse_on_mutated_packets(
        made in made(), cut in 0usize..120, flips in prop::collection::vec((0usize..160, any::<u8>()), 0..4),
    ) {
        let mut bytes = made.frame();
        for (at, value) in flips {
            if let Some(byte) = bytes.get_mut(at) { *byte = value; }
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        assert_agrees(&bytes)?;
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), segments: u32, segment_bytes: u32) {
        assert_agrees(&bytes)?;
        let segments = segments % 70_000;
        let _ = Packet::parse(bytes.as_slice(), Frame { len: bytes.len() as u32, segments, segment_bytes: segment_bytes % 70_000, vlan: 0 });
    }

    #[test]
    fn random_ip_never_panics(v6: bool, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut frame = ethernet(0, &bytes, v6);
        if let Some(version) = frame.get_mut(14) { *version = if v6 { 0x60 } else { 0x45 } }
        assert_agrees(&frame)?;
    }
}
