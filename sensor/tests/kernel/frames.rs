//! Frames that etherparse does not build: options, extension headers, fragments, tunnels.

use crate::packets::{CLIENT, SERVER};

pub(crate) const SCTP: u8 = 132;
pub(crate) const UDP: u8 = 17;
pub(crate) const GRE: u8 = 47;

/// An IPv6 address of the client's network.
pub(crate) const fn v6(host: u8) -> [u8; 16] {
    [0x20, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]
}

/// An Ethernet frame around an IP packet, with so many tags.
pub(crate) fn ethernet(tags: usize, ip: &[u8]) -> Vec<u8> {
    let mut out = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    for i in 0..tags {
        out.extend(if i + 1 < tags { [0x88, 0xa8] } else { [0x81, 0] });
        out.extend([0, 100 + i as u8]);
    }
    out.extend(if ip[0] >> 4 == 6 { [0x86, 0xdd] } else { [8, 0] });
    out.extend(ip);
    out
}

/// An IPv4 packet from client to server: words of options, identification and fragment field.
pub(crate) fn ipv4(protocol: u8, options: usize, (identification, fragment): (u16, u16), payload: &[u8]) -> Vec<u8> {
    let header = 20 + 4 * options;
    let mut out = vec![0x40 | (header / 4) as u8, 0];
    out.extend(((header + payload.len()) as u16).to_be_bytes());
    out.extend([identification.to_be_bytes(), fragment.to_be_bytes(), [64, protocol], [0, 0]].concat());
    out.extend([CLIENT, SERVER].concat());
    // No operation.
    out.extend(vec![1; 4 * options]);
    out.extend(payload);
    out
}

/// A whole IPv4 packet without options.
pub(crate) fn plain(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4(protocol, 0, (1, 0), payload)
}

/// An IPv6 packet with these extension headers, each empty and as short as its kind can be.
pub(crate) fn ipv6(extensions: &[u8], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut rest = Vec::new();
    for (i, kind) in extensions.iter().enumerate() {
        let next = extensions.get(i + 1).unwrap_or(&protocol);
        rest.extend(match kind {
            51 => vec![*next, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            _ => vec![*next, 0, 0, 0, 0, 0, 0, 0],
        });
    }
    rest.extend(payload);
    around6(*extensions.first().unwrap_or(&protocol), &rest)
}

/// An IPv6 fragment: the offset in units of eight bytes.
pub(crate) fn fragment6(protocol: u8, identification: u32, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let field = (offset << 3 | u16::from(more)).to_be_bytes();
    let header = [vec![protocol, 0, field[0], field[1]], identification.to_be_bytes().to_vec()].concat();
    around6(44, &[&header, payload].concat())
}

fn around6(next: u8, rest: &[u8]) -> Vec<u8> {
    let mut out = vec![0x60, 0, 0, 0];
    out.extend((rest.len() as u16).to_be_bytes());
    out.extend([next, 64]);
    out.extend([v6(1), v6(2)].concat());
    out.extend(rest);
    out
}

/// A transport header of UDP or SCTP with a payload of so many bytes.
pub(crate) fn datagram(protocol: u8, ports: (u16, u16), payload: usize) -> Vec<u8> {
    with_ports(protocol, ports, &vec![7; payload])
}

/// As [`datagram`], with this payload.
pub(crate) fn with_ports(protocol: u8, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut out = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
    if protocol == SCTP {
        out.extend([0, 0, 0, 1, 0, 0, 0, 0]);
    } else {
        out.extend(((8 + payload.len()) as u16).to_be_bytes());
        out.extend([0, 0]);
    }
    out.extend(payload);
    out
}

/// A VXLAN header, in UDP.
pub(crate) fn vxlan(vni: u32, inner: &[u8]) -> Vec<u8> {
    let header = [vec![8, 0, 0, 0], (vni << 8).to_be_bytes().to_vec(), inner.to_vec()].concat();
    with_ports(UDP, (50_000, 4789), &header)
}

/// A Geneve header with words of options, in UDP.
pub(crate) fn geneve(vni: u32, options: usize, inner: &[u8]) -> Vec<u8> {
    let mut header = vec![options as u8, 0, 0x65, 0x58];
    header.extend((vni << 8).to_be_bytes());
    header.extend(vec![0xcc; 4 * options]);
    header.extend(inner);
    with_ports(UDP, (50_000, 6081), &header)
}

/// A GRE header with every optional field there is, or with none.
pub(crate) fn gre(ether_type: u16, key: Option<u32>, inner: &[u8]) -> Vec<u8> {
    let mut out = vec![if key.is_some() { 0xb0 } else { 0 }, 0];
    out.extend(ether_type.to_be_bytes());
    if let Some(key) = key {
        out.extend([[1; 4], key.to_be_bytes(), [2; 4]].concat());
    }
    out.extend(inner);
    out
}
