use super::{LITTLE, LinkType, read, whole};
use crate::capture::{CaptureError, Frame, Network};
use ganglion_flow::cursor::{self, Cursor};
use ganglion_flow::packet::{NotAFlow, Packet};

const ACCEPTED: [u32; 10] = [0, 1, 12, 14, 101, 108, 113, 228, 229, 276];

fn frame(link: LinkType, bytes: &[u8]) -> Frame<'_> {
    Frame { time_ns: 0, link, interface: 0, original_bytes: bytes.len() as u32, bytes, offset: 0 }
}

/// IPv4 and UDP from 192.0.2.1:53 to 192.0.2.2:4660 with 4 bytes of payload.
fn udp4() -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    ip.extend([0, 53, 0x12, 0x34, 0, 12, 0, 0, 1, 2, 3, 4]);
    ip
}

/// IPv6 and TCP.
fn tcp6() -> Vec<u8> {
    let mut ip = vec![0x60, 0, 0, 0, 0, 20, 6, 64];
    ip.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    ip.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    ip.extend([0, 80, 0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x12, 0x10, 0, 0, 0, 0, 0]);
    ip
}

fn ethernet(ether_type: u16, rest: &[u8]) -> Vec<u8> {
    [&[0; 12][..], &ether_type.to_be_bytes(), rest].concat()
}

fn cooked1(hardware: u16, protocol: u16, rest: &[u8]) -> Vec<u8> {
    [&[0, 4][..], &hardware.to_be_bytes(), &[0, 6, 1, 2, 3, 4, 5, 6, 0, 0], &protocol.to_be_bytes(), rest].concat()
}

fn cooked2(hardware: u16, protocol: u16, rest: &[u8]) -> Vec<u8> {
    let after = [4, 6, 1, 2, 3, 4, 5, 6, 0, 0];
    [&protocol.to_be_bytes()[..], &[0, 0, 0, 0, 0, 3], &hardware.to_be_bytes(), &after, rest].concat()
}

#[test]
fn an_ip_packet_is_the_same_on_every_link_type() {
    for (ether_type, ip, families) in [(0x0800, udp4(), &[2_u32][..]), (0x86dd, tcp6(), &[10, 23, 24, 28, 30])] {
        let expected = frame(LinkType::Ethernet, &ethernet(ether_type, &ip)).packet().unwrap();
        assert_eq!(expected.wire_bytes, 14 + ip.len() as u32);
        let mut frames = vec![
            (LinkType::RawIp, ip.clone()),
            (LinkType::LinuxCooked1, cooked1(1, ether_type, &ip)),
            (LinkType::LinuxCooked2, cooked2(1, ether_type, &ip)),
        ];
        for family in families {
            frames.push((LinkType::Loopback, [&family.to_le_bytes()[..], &ip].concat()));
            frames.push((LinkType::Loopback, [&family.to_be_bytes()[..], &ip].concat()));
        }
        for (link, bytes) in frames {
            assert_eq!(frame(link, &bytes).packet(), Ok(expected), "{link:?} {ether_type:#x}");
            // Cut anywhere it is no packet, and no panic.
            for cut in 0..bytes.len() - ip.len() + 20 {
                assert!(frame(link, &bytes[..cut]).packet().is_err(), "{link:?} cut at {cut}");
            }
        }
    }
}

#[test]
fn the_length_on_the_wire_counts_where_the_snap_length_cut() {
    let (mut ip, wire) = (udp4(), 1500_u32);
    ip[2..4].copy_from_slice(&1484_u16.to_be_bytes());
    let bytes = cooked1(1, 0x0800, &ip);
    let cut = Frame { original_bytes: wire, ..frame(LinkType::LinuxCooked1, &bytes) };
    let packet = cut.packet().unwrap();
    assert_eq!((packet.payload_bytes, packet.wire_bytes), (1484 - 28, 1484 + 14));
}

#[test]
fn vlan_tags_in_cooked_frames_are_read_as_in_ethernet_frames() {
    let tagged = [&[0x60, 100, 0x08, 0][..], &udp4()].concat();
    let expected = frame(LinkType::Ethernet, &ethernet(0x8100, &tagged)).packet().unwrap();
    assert_eq!(expected.vlan, 100);
    let bytes = cooked1(1, 0x8100, &tagged);
    assert_eq!(frame(LinkType::LinuxCooked1, &bytes).network(), Some(Network { ether_type: 0x8100, offset: 16 }));
    assert_eq!(frame(LinkType::LinuxCooked1, &bytes).packet(), Ok(expected));
}

#[test]
fn what_is_no_ip_is_none() {
    for (link, bytes) in [
        (LinkType::Loopback, vec![0, 0, 0, 7, 0x45]),
        (LinkType::RawIp, vec![0x55; 40]),
        // Netlink, radiotap, frame relay.
        (LinkType::LinuxCooked1, cooked1(824, 0x0800, &udp4())),
        (LinkType::LinuxCooked2, cooked2(803, 0x0800, &udp4())),
        (LinkType::LinuxCooked1, cooked1(770, 0x0800, &udp4())),
    ] {
        assert_eq!(frame(link, &bytes).network(), None);
        assert_eq!(frame(link, &bytes).packet(), Err(NotAFlow::NotIp));
    }
    let arp = cooked1(1, 0x0806, &[0; 28]);
    assert_eq!(frame(LinkType::LinuxCooked1, &arp).packet(), Err(NotAFlow::NotIp));
}

#[test]
fn an_ethernet_header_that_is_not_there_reads_as_one_that_is() {
    let ip = tcp6();
    let there = ethernet(0x86dd, &ip);
    let (view, length) = frame(LinkType::RawIp, &ip).as_ethernet().map(|(view, frame)| (view, frame.len)).unwrap();
    assert_eq!(length as usize, there.len());
    for at in (0..there.len() + 2).chain([usize::MAX - 8, usize::MAX]) {
        assert_eq!(view.u8(at), there[..].u8(at));
        assert_eq!(view.be16(at), there[..].be16(at), "{at}");
        assert_eq!(view.be32(at), there[..].be32(at));
        assert_eq!(view.ne64(at), there[..].ne64(at));
    }
    let plain = cursor::Frame::plain(length);
    assert_eq!(Packet::parse(&view, plain), Packet::parse(&there[..], plain));
}

#[test]
fn accepted_and_refused_numbers() {
    for number in 0..1000 {
        let file = LITTLE.pcap(0xa1b2_c3d4, 100, number);
        if ACCEPTED.contains(&number) {
            assert_eq!(whole(&file), []);
            continue;
        }
        match read(&file).1 {
            Some(CaptureError::LinkType { number: said, .. }) => assert_eq!(said, number),
            other => panic!("{number}: {other:?}"),
        }
    }
    let words = read(&LITTLE.pcap(0xa1b2_c3d4, 100, 105)).1.unwrap().to_string();
    assert!(words.starts_with("test: link type 105 (802.11, wireless in monitor mode) of interface 0"), "{words}");
}
