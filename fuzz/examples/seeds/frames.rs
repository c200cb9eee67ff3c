//! Frames of every protocol, behind what the target `packet` takes as said of them.

use std::collections::BTreeSet;
use std::error::Error;

use super::{Pairs, Seeds};

const TCP: u8 = 6;
const UDP: u8 = 17;

pub(super) fn seeds(pairs: &Pairs) -> Result<Seeds, Box<dyn Error>> {
    let mut seeds: Seeds = all().into_iter().map(|(name, frame)| (name.to_owned(), said(&frame, 0, 0))).collect();
    let train = ethernet(0x0800, &ipv4(TCP, &[], 0, &tcp(0x10, &[], &[7; 200])));
    seeds.push(("train".to_owned(), said(&train, 4, 50)));
    seeds.push(("train_of_unknown_size".to_owned(), said(&train, 3, 0)));
    // Real ones: the first of each length, short ones.
    for name in Pairs::NAMES {
        let mut lengths = BTreeSet::new();
        for frame in pairs.frames(name, 40_000)? {
            let bytes = &frame.bytes[..frame.bytes.len().min(160)];
            if lengths.len() < 12 && lengths.insert(bytes.len()) {
                seeds.push((format!("{name}_{}", bytes.len()), said(bytes, 0, 0)));
            }
        }
    }
    Ok(seeds)
}

/// Length as there are bytes, so many segments, no VLAN tag taken out.
fn said(frame: &[u8], segments: u16, segment_bytes: u16) -> Vec<u8> {
    [&[0; 4][..], &segments.to_le_bytes(), &segment_bytes.to_le_bytes(), &[0; 2], frame].concat()
}

/// Named frames.
pub(super) fn all() -> Vec<(&'static str, Vec<u8>)> {
    let syn = tcp(0x02, &[2, 4, 5, 0xb4, 1, 3, 3, 7], &[]);
    let data = tcp(0x18, &[], b"GET / HTTP/1.1\r\n\r\n");
    let dns = udp(53, &[0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1]);
    let inner = ethernet(0x0800, &ipv4(UDP, &[], 0, &dns));
    let v4 = |protocol, payload: &[u8]| ethernet(0x0800, &ipv4(protocol, &[], 0, payload));
    let v6 = |next, payload: &[u8]| ethernet(0x86dd, &ipv6(next, payload));
    vec![
        ("arp", ethernet(0x0806, &[0, 1, 8, 0, 6, 4, 0, 1, 0, 0, 0, 0, 0, 0, 198, 18, 0, 1])),
        ("tcp_syn", v4(TCP, &syn)),
        ("tcp_data", v4(TCP, &data)),
        ("tcp_fin", v4(TCP, &tcp(0x11, &[], &[]))),
        ("tcp_rst", v4(TCP, &tcp(0x04, &[], &[]))),
        ("udp_dns", v4(UDP, &dns)),
        ("icmp_echo", v4(1, &[8, 0, 0, 0, 0, 9, 0, 1, 1, 2, 3, 4])),
        ("icmp_unreachable", v4(1, &[&[3, 1, 0, 0, 0, 0, 0, 0][..], &ipv4(UDP, &[], 0, &dns)].concat())),
        (
            "sctp_init",
            v4(132, &[&[0x9c, 0x40, 0x0b, 0x59, 0, 0, 0, 0, 1, 2, 3, 4, 1, 0, 0, 20][..], &[0; 16]].concat()),
        ),
        ("options", ethernet(0x0800, &ipv4(TCP, &[0x94, 4, 0, 0, 7, 3, 4, 0], 0, &syn))),
        ("fragment_first", ethernet(0x0800, &ipv4(UDP, &[], 0x2000, &dns))),
        ("fragment_later", ethernet(0x0800, &ipv4(UDP, &[], 0x00b9, &[7; 32]))),
        ("gre", v4(47, &[&[0x20, 0, 8, 0, 0, 0, 0, 9][..], &ipv4(TCP, &[], 0, &data)].concat())),
        ("gre_ethernet", v4(47, &[&[0x20, 0, 0x65, 0x58, 0, 0, 0, 9][..], &inner].concat())),
        ("ip_in_ip", v4(4, &ipv4(TCP, &[], 0, &data))),
        ("ip6_in_ip", v4(41, &ipv6(TCP, &data))),
        ("vxlan", v4(UDP, &udp(4789, &[&[8, 0, 0, 0, 0, 0, 42, 0][..], &inner].concat()))),
        ("geneve", v4(UDP, &udp(6081, &[&[1, 0, 0x65, 0x58, 0, 0, 42, 0, 1, 2, 3, 0][..], &inner].concat()))),
        ("ipv6_tcp", v6(TCP, &syn)),
        ("ipv6_udp", v6(UDP, &dns)),
        ("icmpv6_echo", v6(58, &[128, 0, 0, 0, 0, 9, 0, 1, 1, 2])),
        ("icmpv6_neighbour", v6(58, &[&[135, 0, 0, 0, 0, 0, 0, 0][..], &[0x20; 16]].concat())),
        ("ipv6_hop_by_hop", v6(0, &[&[TCP, 0, 5, 2, 0, 0, 1, 0][..], &syn].concat())),
        (
            "ipv6_routing_destination",
            v6(43, &[&[60, 0, 4, 0, 0, 0, 0, 0, UDP, 0, 1, 4, 0, 0, 0, 0][..], &dns].concat()),
        ),
        ("ipv6_authentication", v6(51, &[&[UDP, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1][..], &[9; 12], &dns].concat())),
        ("ipv6_fragment_first", v6(44, &[&[UDP, 0, 0, 1, 0, 0, 0, 7][..], &dns].concat())),
        ("ipv6_fragment_later", v6(44, &[&[UDP, 0, 0, 0xb9, 0, 0, 0, 7][..], &[7; 32]].concat())),
        (
            "ipv6_seven_headers",
            v6(60, &[&[60, 0, 1, 4, 0, 0, 0, 0].repeat(6)[..], &[TCP, 0, 1, 4, 0, 0, 0, 0], &syn].concat()),
        ),
        ("vlan", ethernet(0x8100, &[&[0x20, 42, 8, 0][..], &ipv4(TCP, &[], 0, &data)].concat())),
        ("vlan_twice", ethernet(0x88a8, &[&[0, 7, 0x81, 0, 0, 42, 0x86, 0xdd][..], &ipv6(UDP, &dns)].concat())),
    ]
}

fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], &ether_type.to_be_bytes(), payload].concat()
}

pub(super) fn ipv4(protocol: u8, options: &[u8], fragment: u16, payload: &[u8]) -> Vec<u8> {
    let header = 20 + options.len();
    let mut ip = vec![0x40 | (header / 4) as u8, 0];
    ip.extend(((header + payload.len()) as u16).to_be_bytes());
    ip.extend([0, 7]);
    ip.extend(fragment.to_be_bytes());
    ip.extend([64, protocol, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2]);
    [&ip[..], options, payload].concat()
}

pub(super) fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x60, 0, 0, 0];
    ip.extend((payload.len() as u16).to_be_bytes());
    ip.extend([next, 64]);
    for host in [1, 2] {
        ip.extend([0x20, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
    }
    [&ip[..], payload].concat()
}

fn tcp(flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let offset = ((20 + options.len()) * 4) as u8;
    let head = [0x9c, 0x40, 0, 80, 0, 0, 1, 0, 0, 0, 2, 0, offset, flags, 0xfa, 0xf0, 0, 0, 0, 0];
    [&head[..], options, payload].concat()
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let bytes = (8 + payload.len()) as u16;
    [&[0x9c, 0x40][..], &port.to_be_bytes(), &bytes.to_be_bytes(), &[0, 0], payload].concat()
}
