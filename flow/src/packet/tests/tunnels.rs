//! Packets in packets.

use std::vec;
use std::vec::Vec;

use etherparse::SlicedPacket;
use proptest::prelude::*;

use super::agreement::assert_same;
use super::frames::{Ip, Made, ethernet, made, transport};
use super::parse;
use crate::cursor::Frame;
use crate::packet::{Inner, NotAFlow, Packet, TCP, UDP};

const OUTER_DOMAIN: u16 = 3;

/// A way to wrap a frame, or the IP packet in it.
#[derive(Clone, Debug)]
enum Wrap {
    IpInIp,
    Gre { bridged: bool, checksum: bool, key: Option<u32>, sequence: bool },
    Vxlan { vni: u32 },
    Geneve { bridged: bool, vni: u32, options: usize },
}

impl Wrap {
    fn is_bridged(&self) -> bool {
        match self {
            Self::IpInIp => false,
            Self::Gre { bridged, .. } | Self::Geneve { bridged, .. } => *bridged,
            Self::Vxlan { .. } => true,
        }
    }

    fn domain(&self) -> u16 {
        match self {
            Self::IpInIp => OUTER_DOMAIN,
            Self::Gre { key, .. } => key.map_or(OUTER_DOMAIN, |key| key as u16),
            Self::Vxlan { vni } | Self::Geneve { vni, .. } => *vni as u16,
        }
    }

    /// The outer protocol, and what follows the outer IP header.
    fn around(&self, inner: &[u8], v6: bool) -> (u8, Vec<u8>) {
        let ether_type: [u8; 2] = match (self.is_bridged(), v6) {
            (true, _) => [0x65, 0x58],
            (false, true) => [0x86, 0xdd],
            (false, false) => [8, 0],
        };
        match *self {
            Self::IpInIp => (if v6 { 41 } else { 4 }, inner.to_vec()),
            Self::Gre { checksum, key, sequence, .. } => {
                let bits = u8::from(checksum) << 7 | u8::from(key.is_some()) << 5 | u8::from(sequence) << 4;
                let mut out = vec![bits, 0, ether_type[0], ether_type[1]];
                out.extend(if checksum { vec![0xaa; 4] } else { Vec::new() });
                out.extend(key.map(u32::to_be_bytes).iter().flatten());
                out.extend(if sequence { vec![0xbb; 4] } else { Vec::new() });
                out.extend(inner);
                (47, out)
            }
            Self::Vxlan { vni } => {
                let header = [vec![8, 0, 0, 0], (vni << 8).to_be_bytes().to_vec(), inner.to_vec()].concat();
                (UDP, transport(UDP, (50_000, 4789), &header))
            }
            Self::Geneve { vni, options, .. } => {
                let mut header = vec![options as u8, 0, ether_type[0], ether_type[1]];
                header.extend((vni << 8).to_be_bytes());
                header.extend(vec![0xcc; options * 4]);
                header.extend(inner);
                (UDP, transport(UDP, (50_000, 6081), &header))
            }
        }
    }
}

fn wrap() -> impl Strategy<Value = Wrap> {
    let vni = 0u32..1 << 24;
    prop_oneof![
        Just(Wrap::IpInIp),
        any::<(bool, bool, Option<u32>, bool)>().prop_map(|(bridged, checksum, key, sequence)| Wrap::Gre {
            bridged,
            checksum,
            key,
            sequence
        }),
        vni.clone().prop_map(|vni| Wrap::Vxlan { vni }),
        (any::<bool>(), vni, 0usize..64).prop_map(|(bridged, vni, options)| Wrap::Geneve { bridged, vni, options }),
    ]
}

/// The inner frame in an outer one; where the inner packet begins.
fn wrapped(outer: &Ip, inner: &Made, wrap: &Wrap) -> (Vec<u8>, usize) {
    let frame = inner.frame();
    let link = 14 + 4 * usize::from(inner.vlans);
    let inside = if wrap.is_bridged() { &frame[..] } else { &frame[link..] };
    let (protocol, rest) = wrap.around(inside, inner.ip.is_v6());
    let out = ethernet(1, &outer.packet(protocol, &rest), outer.is_v6());
    let at = out.len() - inside.len();
    (out, at)
}

fn inside(bytes: &[u8]) -> Option<Inner> {
    let mut outer = Packet::ZERO;
    let frame = Frame::plain(bytes.len() as u32);
    let network = outer.network(bytes, frame).ok()?;
    outer.transport(bytes, frame, network).ok()?;
    outer.inner(bytes, frame, network, OUTER_DOMAIN)
}

#[test]
fn a_tunnel_in_a_tunnel_is_left_as_it_is() {
    let innermost = Made::plain(10).ip.packet(UDP, &transport(UDP, (1, 2), &[0; 10]));
    let gre = Wrap::Gre { bridged: false, checksum: false, key: None, sequence: false };
    let (protocol, rest) = gre.around(&innermost, false);
    let middle = Ip::v4().packet(protocol, &rest);
    let frame = ethernet(0, &Ip::v6().packet(4, &middle), true);
    let inner = inside(&frame).unwrap();
    assert_eq!((inner.packet.protocol, inner.domain, inner.packet.wire_bytes), (47, OUTER_DOMAIN, frame.len() as u32));
}

#[test]
fn what_is_no_tunnel_of_a_known_kind_counts_itself() {
    let geneve = |first: u8, second: u8| [first, second, 0x65, 0x58, 0, 0, 1, 0];
    let cases: [(u8, u16, &[u8]); 9] = [
        // Without a network identifier, with another version, a control packet, another payload.
        (UDP, 4789, &[0, 0, 0, 0, 0, 0, 1, 0]),
        (UDP, 6081, &geneve(0x40, 0)),
        (UDP, 6081, &geneve(0, 0x80)),
        (UDP, 6081, &[0, 0, 0x88, 0x47, 0, 0, 1, 0]),
        // Source routing, PPTP, MPLS.
        (47, 0, &[0x40, 0, 8, 0]),
        (47, 0, &[0x30, 1, 0x88, 0x0b]),
        (47, 0, &[0, 0, 0x88, 0x47]),
        // Other ports.
        (UDP, 4790, &[8, 0, 0, 0, 0, 0, 1, 0]),
        (TCP, 4789, &[8, 0, 0, 0, 0, 0, 1, 0]),
    ];
    for (protocol, port, header) in cases {
        let payload = [header, &Made::plain(10).frame()].concat();
        let rest = if protocol == 47 { payload } else { transport(protocol, (9, port), &payload) };
        let frame = ethernet(0, &Ip::v4().packet(protocol, &rest), false);
        assert_eq!(inside(&frame), None, "{protocol} {port} {header:x?}");
        assert!(parse(&frame).is_ok());
    }
}

#[test]
fn a_fragmented_outer_packet_is_not_looked_into() {
    let (frame, _) = wrapped(&Ip::v4().fragment(1, 0, true), &Made::plain(10), &Wrap::IpInIp);
    assert_eq!(inside(&frame), None);
}

#[test]
fn an_inner_packet_that_ends_early_or_reaches_beyond_the_outer_one_is_not_believed() {
    let (mut frame, at) = wrapped(&Ip::v4(), &Made::plain(10), &Wrap::IpInIp);
    // Padding behind the outer packet is not the inner one's.
    frame[at + 2..at + 4].copy_from_slice(&60u16.to_be_bytes());
    frame.resize(frame.len() + 40, 0);
    assert_eq!(inside(&frame), None);
    assert_eq!(parse(&frame).unwrap().protocol, 4);
}

proptest! {
    #[test]
    fn the_inner_packet_is_read_as_it_would_be_alone(outer_v6: bool, inner in made(), wrap in wrap()) {
        let outer = if outer_v6 { Ip::v6() } else { Ip::v4() };
        let (frame, _) = wrapped(&outer, &inner, &wrap);
        let found = inside(&frame).unwrap();
        prop_assert_eq!(found.domain, wrap.domain());
        prop_assert_eq!(found.packet.wire_bytes as usize, frame.len());
        prop_assert_eq!(found.part.is_later(), inner.ip.is_later_fragment());
        let alone = parse(&inner.frame());
        if found.part.is_later() {
            prop_assert_eq!(alone, Err(NotAFlow::Fragment));
        } else {
            let vlan = if wrap.is_bridged() && inner.vlans > 0 { 5 } else { 0 };
            let same = Packet { wire_bytes: found.packet.wire_bytes, vlan, ..alone.unwrap() };
            prop_assert_eq!(found.packet, same);
        }
    }

    #[test]
    fn agrees_with_etherparse_on_mutated_tunnels(
        outer_v6: bool, inner in made(), wrap in wrap(), cut in 0usize..60,
        flips in prop::collection::vec((0usize..400, any::<u8>()), 0..4),
    ) {
        let outer = if outer_v6 { Ip::v6() } else { Ip::v4() };
        let (mut bytes, _) = wrapped(&outer, &inner, &wrap);
        for (at, value) in flips {
            if let Some(byte) = bytes.get_mut(at) { *byte = value; }
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        let frame = Frame::plain(bytes.len() as u32);
        let mut outer = Packet::ZERO;
        let Ok(network) = outer.network(bytes.as_slice(), frame) else { return Ok(()) };
        if outer.transport(bytes.as_slice(), frame, network).is_err() || !network.part().is_whole() {
            return Ok(());
        }
        let Some(tunnel) = outer.tunnel(bytes.as_slice(), network.at()) else { return Ok(()) };
        let end = outer.end(network.at());
        let mut ours = Packet::ZERO;
        let Ok(network) = ours.inside(bytes.as_slice(), frame, end, tunnel) else { return Ok(()) };
        let read = ours.transport(bytes.as_slice(), frame, network);
        let rest = &bytes[tunnel.at..(end as usize).min(bytes.len())];
        let theirs = if tunnel.is_bridged() { SlicedPacket::from_ethernet(rest) } else { SlicedPacket::from_ip(rest) };
        if let Ok(theirs) = theirs {
            assert_same(&ours, network, read, &theirs)?;
        }
    }
}
