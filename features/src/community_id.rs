//! Community ID v1 (github.com/corelight/community-id-spec): the name a flow has in every tool.

use base64::Engine;
use ganglion_flow::packet::{ICMP, ICMPV6, SCTP, TCP, UDP};
use ganglion_flow::state::endpoints;
use ganglion_flow::{Addr, FlowKey, FlowState};
use sha1::{Digest, Sha1};

/// "1:" and 20 bytes in base64.
const TEXT_LEN: usize = 30;

/// One end of a flow: an address with its port; for ICMP, the type on the sender's side and the code on the
/// receiver's.
pub type End = (Addr, u16);

/// The Community ID of a flow, seed 0. For ICMP pass type and code through [`icmp_ports`] first.
pub fn community_id(source: End, destination: End, protocol: u8) -> String {
    let mut text = String::with_capacity(TEXT_LEN);
    write(&mut text, source, destination, protocol);
    text
}

/// The Community ID of a flow as the kernel keeps it, seed 0.
pub fn of_flow(key: &FlowKey, state: &FlowState) -> String {
    let mut text = String::with_capacity(TEXT_LEN);
    write_of_flow(&mut text, key, state);
    text
}

/// Appends the Community ID of a flow as the kernel keeps it, seed 0.
pub fn write_of_flow(text: &mut String, key: &FlowKey, state: &FlowState) {
    let ((source, _), (destination, _)) = endpoints(key, state);
    let (from, to) = ports(key, state);
    write(text, (source, from), (destination, to), key.protocol);
}

/// What stands for the ports of a flow, the initiator's first: type and counterpart or code for ICMP.
pub(crate) fn ports(key: &FlowKey, state: &FlowState) -> (u16, u16) {
    let ((_, from), (_, to)) = endpoints(key, state);
    match key.protocol {
        ICMP | ICMPV6 => icmp_ports(key.protocol, state.icmp_type, state.icmp_code),
        _ => (from, to),
    }
}

fn write(text: &mut String, source: End, destination: End, protocol: u8) {
    let one_way = matches!(protocol, ICMP | ICMPV6) && is_one_way(source.1, protocol);
    let (source_octets, destination_octets) = (source.0.octets(), destination.0.octets());
    let mut first = (bytes(source.0, &source_octets), source.1);
    let mut second = (bytes(destination.0, &destination_octets), destination.1);
    if !one_way && second < first {
        (first, second) = (second, first);
    }
    let mut hash = Sha1::new();
    hash.update([0, 0]);
    hash.update(first.0);
    hash.update(second.0);
    hash.update([protocol, 0]);
    if matches!(protocol, TCP | UDP | SCTP | ICMP | ICMPV6) {
        hash.update(first.1.to_be_bytes());
        hash.update(second.1.to_be_bytes());
    }
    text.push_str("1:");
    base64::engine::general_purpose::STANDARD.encode_string(hash.finalize(), text);
}

/// What stands for ports in an ICMP flow: the type and its counterpart (echo request and reply, …), or type
/// and code where there is none.
pub fn icmp_ports(protocol: u8, icmp_type: u8, icmp_code: u8) -> (u16, u16) {
    let other = counterpart(protocol, icmp_type).unwrap_or(icmp_code);
    (icmp_type.into(), other.into())
}

fn is_one_way(icmp_type: u16, protocol: u8) -> bool {
    u8::try_from(icmp_type).ok().and_then(|kind| counterpart(protocol, kind)).is_none()
}

fn counterpart(protocol: u8, icmp_type: u8) -> Option<u8> {
    let pairs: &[(u8, u8)] = if protocol == ICMP {
        &[(0, 8), (10, 9), (13, 14), (15, 16), (17, 18)]
    } else {
        &[(128, 129), (133, 134), (135, 136), (130, 131), (144, 145), (139, 140)]
    };
    pairs.iter().find_map(|(a, b)| match icmp_type {
        t if t == *a => Some(*b),
        t if t == *b => Some(*a),
        _ => None,
    })
}

/// The address as it stands on the wire, of its 16 bytes.
fn bytes(addr: Addr, octets: &[u8; 16]) -> &[u8] {
    if addr.is_v4() { &octets[12..] } else { octets }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn addr(text: &str) -> Addr {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn vectors_of_the_specification() {
        let both = |a: &str, pa, b: &str, pb, protocol| {
            let forth = community_id((addr(a), pa), (addr(b), pb), protocol);
            assert_eq!(forth, community_id((addr(b), pb), (addr(a), pa), protocol));
            forth
        };
        assert_eq!(both("128.232.110.120", 34855, "66.35.250.204", 80, TCP), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        assert_eq!(both("192.168.1.52", 54585, "8.8.8.8", 53, UDP), "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
        assert_eq!(both("192.168.170.8", 7, "192.168.170.56", 7, SCTP), "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs=");
    }

    #[test]
    fn echo_request_and_reply_share_a_name() {
        let (a, b) = (addr("192.168.0.89"), addr("192.168.0.1"));
        let (request, reply) = (icmp_ports(ICMP, 8, 0), icmp_ports(ICMP, 0, 0));
        let forth = community_id((a, request.0), (b, request.1), ICMP);
        assert_eq!(forth, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
        assert_eq!(forth, community_id((b, reply.0), (a, reply.1), ICMP));
    }
}
