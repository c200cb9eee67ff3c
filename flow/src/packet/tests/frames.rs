//! Frames by hand: every layer that is read, with whatever may stand in it.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use crate::packet::{ICMP, ICMPV6, SCTP, TCP, UDP};

/// Protocols whose first bytes are no ports.
pub(super) const ICMPS: [u8; 2] = [ICMP, ICMPV6];

/// An IP header with all that may follow it before the transport header.
#[derive(Clone, Debug)]
pub(super) enum Ip {
    /// Words of options; identification and fragment field.
    V4 { options: usize, identification: u16, fragment: u16 },
    /// Extension headers: kind, length field, and for a fragment header identification and field.
    V6 { extensions: Vec<Extension> },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Extension {
    kind: u8,
    length: u8,
    identification: u32,
    fragment: u16,
}

impl Ip {
    pub(super) fn v4() -> Self {
        Self::V4 { options: 0, identification: 9, fragment: 0x4000 }
    }

    pub(super) fn v6() -> Self {
        Self::V6 { extensions: Vec::new() }
    }

    pub(super) fn is_v6(&self) -> bool {
        matches!(self, Self::V6 { .. })
    }

    /// As a fragment, its offset in units of eight bytes.
    pub(super) fn fragment(self, identification: u16, offset: u16, more: bool) -> Self {
        match self {
            Self::V4 { options, .. } => Self::V4 { options, identification, fragment: u16::from(more) << 13 | offset },
            Self::V6 { mut extensions } => {
                let fragment = offset << 3 | u16::from(more);
                extensions.push(Extension { kind: 44, length: 0, identification: identification.into(), fragment });
                Self::V6 { extensions }
            }
        }
    }

    pub(super) fn is_later_fragment(&self) -> bool {
        match self {
            Self::V4 { fragment, .. } => fragment & 0x1fff != 0,
            Self::V6 { extensions } => extensions.iter().any(|e| e.kind == 44 && e.fragment & 0xfff8 != 0),
        }
    }

    /// Header and payload.
    pub(super) fn packet(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        match self {
            Self::V4 { options, identification, fragment } => {
                let header = 20 + 4 * options;
                let mut out = vec![0x40 | (header / 4) as u8, 0];
                out.extend(((header + payload.len()) as u16).to_be_bytes());
                out.extend(identification.to_be_bytes());
                out.extend(fragment.to_be_bytes());
                out.extend([64, protocol, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2]);
                // No operation.
                out.extend(vec![1; 4 * options]);
                out.extend(payload);
                out
            }
            Self::V6 { extensions } => {
                let mut rest = Vec::new();
                for (i, extension) in extensions.iter().enumerate() {
                    rest.extend(extension.bytes(extensions.get(i + 1).map_or(protocol, |next| next.kind)));
                }
                rest.extend(payload);
                let mut out = vec![0x60, 0, 0, 0];
                out.extend((rest.len() as u16).to_be_bytes());
                out.extend([extensions.first().map_or(protocol, |first| first.kind), 64]);
                out.extend([[1; 16], [2; 16]].concat());
                out.extend(rest);
                out
            }
        }
    }
}

impl Extension {
    fn bytes(&self, next: u8) -> Vec<u8> {
        let length = match self.kind {
            44 => 8,
            51 => (usize::from(self.length) + 2) * 4,
            _ => (usize::from(self.length) + 1) * 8,
        };
        let mut out = vec![0; length];
        (out[0], out[1]) = (next, self.length);
        if self.kind == 44 {
            out[1] = 0;
            out[2..4].copy_from_slice(&self.fragment.to_be_bytes());
            out[4..8].copy_from_slice(&self.identification.to_be_bytes());
        }
        out
    }
}

/// A transport header with its first four bytes given, and a payload.
pub(super) fn transport(protocol: u8, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut out = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
    match protocol {
        TCP => out.extend([0, 0, 0, 77, 0, 0, 0, 88, 0x50, 0x02, 4, 0, 0, 0, 0, 0]),
        UDP => out.extend([(8 + payload.len()) as u16, 0].map(u16::to_be_bytes).concat()),
        SCTP => out.extend([0, 0, 0, 1, 0, 0, 0, 0]),
        ICMP | ICMPV6 => out = [ports.0.to_be_bytes(), [0, 0], [3, 4], [0, 1]].concat(),
        _ => out.clear(),
    }
    out.extend(payload);
    out
}

/// An Ethernet frame with so many tags, the outer one 5.
pub(super) fn ethernet(vlans: u8, ip: &[u8], v6: bool) -> Vec<u8> {
    let mut out = [[2; 6], [4; 6]].concat();
    for i in 0..vlans {
        out.extend(if i == 0 && vlans > 1 { [0x88, 0xa8] } else { [0x81, 0x00] });
        out.extend([0x60, 5 + i]);
    }
    out.extend(if v6 { [0x86, 0xdd] } else { [8, 0] });
    out.extend(ip);
    out
}

/// A frame to be built.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) vlans: u8,
    pub(super) ip: Ip,
    pub(super) protocol: u8,
    pub(super) ports: (u16, u16),
    pub(super) payload: Vec<u8>,
}

impl Made {
    /// UDP over IPv4.
    pub(super) fn plain(payload: usize) -> Self {
        Self { vlans: 0, ip: Ip::v4(), protocol: UDP, ports: (1000, 2000), payload: vec![9; payload] }
    }

    pub(super) fn frame(&self) -> Vec<u8> {
        let ip = self.ip.packet(self.protocol, &transport(self.protocol, self.ports, &self.payload));
        ethernet(self.vlans, &ip, self.ip.is_v6())
    }
}

fn ip() -> impl Strategy<Value = Ip> {
    let fragment =
        prop_oneof![4 => Just(0u16), 1 => Just(0x4000), 1 => Just(0x2000), 1 => any::<u16>().prop_map(|f| f & 0x7fff)];
    let v4 = (0usize..=10, any::<u16>(), fragment).prop_map(|(options, identification, fragment)| Ip::V4 {
        options,
        identification,
        fragment,
    });
    let kind = prop::sample::select(vec![0u8, 43, 44, 51, 60, 135, 139, 140]);
    let field = prop_oneof![3 => Just(0u16), 1 => Just(1), 1 => any::<u16>().prop_map(|f| f & !6)];
    let extension =
        (kind, 0u8..4, any::<u32>(), field).prop_map(|(kind, length, identification, fragment)| Extension {
            kind,
            // Shorter ones are none (RFC 4302, 2.2).
            length: if kind == 51 { length + 1 } else { length },
            identification,
            fragment,
        });
    let v6 = prop::collection::vec(extension, 0..=6).prop_map(|extensions| Ip::V6 { extensions });
    prop_oneof![v4, v6]
}

/// Any frame that has a flow.
pub(super) fn made() -> impl Strategy<Value = Made> {
    let protocol = prop::sample::select(vec![TCP, UDP, SCTP, ICMP, ICMPV6, 2, 50, 59, 89]);
    (0u8..3, ip(), protocol, any::<(u16, u16)>(), prop::collection::vec(any::<u8>(), 0..200))
        .prop_map(|(vlans, ip, protocol, ports, payload)| Made { vlans, ip, protocol, ports, payload })
}
