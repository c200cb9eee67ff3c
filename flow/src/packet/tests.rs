use std::vec::Vec;

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use proptest::prelude::*;

use super::*;
use crate::key::Addr;
use core::net::IpAddr;

fn parse(bytes: &[u8]) -> Result<Packet, NotAFlow> {
    Packet::parse(bytes, Frame::plain(bytes.len() as u32))
}

/// Two addresses, ports, a payload, as etherparse writes them.
fn frame(v6: bool, vlans: u8, tcp: bool, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let ethernet = PacketBuilder::ethernet2([2; 6], [4; 6]);
    macro_rules! rest {
        ($builder:expr) => {{
            let ip = if v6 {
                $builder.ipv6([1; 16], [2; 16], 9)
            } else {
                $builder.ipv4([198, 18, 0, 1], [198, 18, 0, 2], 9)
            };
            if tcp {
                ip.tcp(ports.0, ports.1, 77, 1024).syn().write(&mut out, payload).unwrap();
            } else {
                ip.udp(ports.0, ports.1).write(&mut out, payload).unwrap();
            }
        }};
    }
    let (a, b) = (5.try_into().unwrap(), 6.try_into().unwrap());
    match vlans {
        0 => rest!(ethernet),
        1 => rest!(ethernet.single_vlan(a)),
        _ => rest!(ethernet.double_vlan(a, b)),
    }
    out
}

#[test]
fn merged_packets_count_their_headers_and_segments() {
    let bytes = frame(false, 0, true, (1, 2), &[0; 3000]);
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
    let mut bytes = frame(false, 0, true, (1, 2), &[]);
    bytes.resize(60, 0);
    assert_eq!(parse(&bytes).unwrap().payload_bytes, 0);
}

proptest! {
    #[test]
    fn agrees_with_etherparse_on_well_formed_packets(
        v6: bool, vlans in 0u8..3, tcp: bool, ports: (u16, u16), payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let packet = parse(&frame(v6, vlans, tcp, ports, &payload)).unwrap();
        prop_assert_eq!((packet.src_port, packet.dst_port), ports);
        prop_assert_eq!(packet.payload_bytes as usize, payload.len());
        prop_assert_eq!(packet.vlan, if vlans == 0 { 0 } else { 5 });
        prop_assert_eq!(packet.protocol, if tcp { TCP } else { UDP });
        prop_assert_eq!(packet.flags, if tcp { tcp_flag::SYN } else { 0 });
        prop_assert_eq!(packet.src, if v6 { Addr::from_octets([1; 16]) } else { IpAddr::from([198, 18, 0, 1]).into() });
    }

    #[test]
    fn agrees_with_etherparse_on_mutated_packets(
        v6: bool, vlans in 0u8..3, tcp: bool, cut in 0usize..120, flips in prop::collection::vec((0usize..120, any::<u8>()), 0..4),
    ) {
        let mut bytes = frame(v6, vlans, tcp, (1000, 2000), &[9; 40]);
        for (at, value) in flips {
            if let Some(byte) = bytes.get_mut(at) { *byte = value; }
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        // Whatever both take for a packet, they must read alike; what one refuses is each one's own rule.
        if let (Ok(ours), Ok(theirs)) = (parse(&bytes), SlicedPacket::from_ethernet(&bytes)) {
            let ends = match theirs.net {
                Some(NetSlice::Ipv4(ip)) => Some((IpAddr::from(ip.header().source()), IpAddr::from(ip.header().destination()))),
                Some(NetSlice::Ipv6(ip)) => Some((IpAddr::from(ip.header().source()), IpAddr::from(ip.header().destination()))),
                _ => None,
            };
            if let Some((src, dst)) = ends {
                prop_assert_eq!((ours.src, ours.dst), (src.into(), dst.into()));
            }
            match theirs.transport {
                Some(TransportSlice::Tcp(segment)) if ours.protocol == TCP => {
                    prop_assert_eq!((ours.src_port, ours.dst_port), (segment.source_port(), segment.destination_port()));
                    prop_assert_eq!((ours.seq, ours.window), (segment.sequence_number(), segment.window_size()));
                    prop_assert_eq!(usize::from(ours.header_bytes), segment.header_slice().len());
                }
                Some(TransportSlice::Udp(datagram)) if ours.protocol == UDP => {
                    prop_assert_eq!((ours.src_port, ours.dst_port), (datagram.source_port(), datagram.destination_port()));
                }
                _ => {}
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), segments: u32, segment_bytes: u32) {
        let _ = parse(&bytes);
        let segments = segments % 70_000;
        let _ = Packet::parse(bytes.as_slice(), Frame { len: bytes.len() as u32, segments, segment_bytes: segment_bytes % 70_000, vlan: 0 });
    }
}
