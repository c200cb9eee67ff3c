//! etherparse as second opinion. The tests of `extract/` take this file too, for real packets.

use core::net::IpAddr;
use std::vec::Vec;

use etherparse::{IpPayloadSlice, LenSource, NetSlice, SlicedPacket, TransportSlice, VlanSlice};
use proptest::prelude::*;

use super::{Frame, Network, NotAFlow, Packet, SCTP, TCP, UDP};

/// Extension headers that etherparse takes for a transport protocol.
const NOT_THEIRS: [u8; 3] = [135, 139, 140];
/// Follows IPv4 too there; here it is a protocol without ports.
const AUTHENTICATION: u8 = 51;

/// Whatever both take for a packet, they must read alike; what one refuses is each one's own rule.
pub(crate) fn assert_agrees(bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut ours = Packet::ZERO;
    let frame = Frame::plain(bytes.len() as u32);
    let Ok(network) = ours.network(bytes, frame) else { return Ok(()) };
    let read = ours.transport(bytes, frame, network);
    let Ok(theirs) = SlicedPacket::from_ethernet(bytes) else { return Ok(()) };
    if let Some(VlanSlice::SingleVlan(tag)) = theirs.vlan() {
        prop_assert_eq!(ours.vlan, tag.vlan_identifier().value());
    }
    assert_same(&ours, network, read, &theirs)
}

/// The network and the transport layer of a packet as both read them.
pub(crate) fn assert_same(
    ours: &Packet,
    network: Network,
    read: Result<(), NotAFlow>,
    theirs: &SlicedPacket<'_>,
) -> Result<(), TestCaseError> {
    let (ends, payload): ((IpAddr, IpAddr), _) = match &theirs.net {
        Some(NetSlice::Ipv4(ip)) => {
            ((IpAddr::from(ip.header().source_addr()), ip.header().destination_addr().into()), ip.payload())
        }
        Some(NetSlice::Ipv6(ip)) => {
            ((IpAddr::from(ip.header().source_addr()), ip.header().destination_addr().into()), ip.payload())
        }
        _ => return Ok(()),
    };
    prop_assert_eq!((ours.src, ours.dst), (ends.0.into(), ends.1.into()));
    let theirs_stopped = NOT_THEIRS.contains(&payload.ip_number.0);
    let ours_stopped = ours.protocol == AUTHENTICATION || read == Err(NotAFlow::TooManyHeaders);
    if theirs_stopped || ours_stopped || network.part().is_later() {
        prop_assert!(theirs_stopped || ours_stopped || payload.fragmented);
        return Ok(());
    }
    prop_assert_eq!(payload.fragmented, !network.part().is_whole());
    prop_assert_eq!(ours.protocol, payload.ip_number.0);
    if read.is_ok() {
        assert_sizes(ours, payload)?;
        assert_transport(ours, theirs.transport.as_ref(), payload)?;
    }
    Ok(())
}

fn assert_sizes(ours: &Packet, payload: &IpPayloadSlice<'_>) -> Result<(), TestCaseError> {
    // A length of 0 means "as much as there is" to it (jumbograms), here it means nothing.
    if payload.len_source == LenSource::Slice {
        return Ok(());
    }
    let header = u32::from(ours.header_bytes);
    prop_assert_eq!(ours.payload_bytes, (payload.payload.len() as u32).saturating_sub(header));
    Ok(())
}

fn assert_transport(
    ours: &Packet,
    theirs: Option<&TransportSlice<'_>>,
    payload: &IpPayloadSlice<'_>,
) -> Result<(), TestCaseError> {
    match theirs {
        Some(TransportSlice::Tcp(segment)) => {
            prop_assert_eq!(ours.protocol, TCP);
            prop_assert_eq!((ours.src_port, ours.dst_port), (segment.source_port(), segment.destination_port()));
            prop_assert_eq!((ours.seq, ours.window), (segment.sequence_number(), segment.window_size()));
            prop_assert_eq!(ours.ack, segment.acknowledgment_number());
            prop_assert_eq!(usize::from(ours.header_bytes), segment.header_slice().len());
            let flags = [
                segment.fin(),
                segment.syn(),
                segment.rst(),
                segment.psh(),
                segment.ack(),
                segment.urg(),
                segment.ece(),
                segment.cwr(),
            ];
            prop_assert_eq!((0..8).map(|bit| ours.flags >> bit & 1 == 1).collect::<Vec<_>>(), flags);
        }
        Some(TransportSlice::Udp(datagram)) => {
            prop_assert_eq!(ours.protocol, UDP);
            prop_assert_eq!((ours.src_port, ours.dst_port), (datagram.source_port(), datagram.destination_port()));
        }
        Some(TransportSlice::Icmpv4(message)) => {
            prop_assert_eq!(ours.icmp, u16::from_be_bytes([message.type_u8(), message.code_u8()]));
        }
        Some(TransportSlice::Icmpv6(message)) => {
            prop_assert_eq!(ours.icmp, u16::from_be_bytes([message.type_u8(), message.code_u8()]));
        }
        // It knows no SCTP: the ports stand at the start of what it hands out.
        None if ours.protocol == SCTP => {
            let port = |at: usize| payload.payload.get(at..at + 2).map(|b| u16::from_be_bytes([b[0], b[1]]));
            prop_assert_eq!((Some(ours.src_port), Some(ours.dst_port)), (port(0), port(2)));
        }
        None => {}
    }
    Ok(())
}
