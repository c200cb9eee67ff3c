//! Any frame, with anything that a hook or a capture may say of it, through the parser and into a flow.
#![no_main]

use ganglion_flow::cursor::Frame;
use ganglion_flow::fragments::{DatagramSet, Outcome};
use ganglion_flow::packet::{NotAFlow, Packet, Part};
use ganglion_flow::{FlowKey, FlowState, HalfOpen, Wire};
use libfuzzer_sys::fuzz_target;

/// Bytes before the frame: what is said of it.
const SAID_BYTES: usize = 10;

fuzz_target!(|input: &[u8]| {
    let Some((said, bytes)) = input.split_first_chunk::<SAID_BYTES>() else { return };
    let frame = frame(said, bytes.len());
    let mut packet = Packet::ZERO;
    let Ok(network) = packet.network(bytes, frame) else {
        assert!(Packet::parse(bytes, frame).is_err());
        return;
    };
    let read = packet.transport(bytes, frame, network);
    assert_eq!(Packet::parse(bytes, frame), read.map(|()| packet));
    match read {
        Ok(()) => whole(&packet, frame),
        Err(NotAFlow::Fragment) => return sizes(&packet, frame),
        Err(_) => return,
    }
    fragment(&packet, network.part());
    if let Some(inner) = packet.inner(bytes, frame, network, 0) {
        assert!(inner.packet.payload_bytes <= packet.payload_bytes, "{inner:?} is more than fits into {packet:?}");
        if inner.part.is_later() {
            return sizes(&inner.packet, frame);
        }
        whole(&inner.packet, frame);
        fragment(&inner.packet, inner.part);
    }
});

/// A packet that was read to its end.
fn whole(packet: &Packet, frame: Frame) {
    sizes(packet, frame);
    let key = key(packet, frame.vlan);
    flow(packet, &key);
}

/// A later fragment of the same datagram gets the first one's ports, and one of another datagram does not.
fn fragment(first: &Packet, part: Part) {
    if part.is_whole() {
        return;
    }
    let mut set = DatagramSet::ZERO;
    assert_eq!(set.fragment(&mut { *first }, part, 0, 1), Outcome::Known);
    let last = Part::from_bits(1);
    let mut later = Packet { src_port: 0, dst_port: 0, icmp: 0, ..*first };
    assert_eq!(set.fragment(&mut later, last, 0, 2), Outcome::Known);
    assert_eq!((later.src_port, later.dst_port, later.icmp), (first.src_port, first.dst_port, first.icmp));
    let mut other = Packet { datagram: first.datagram ^ 1, ..*first };
    assert_eq!(set.fragment(&mut other, last, 0, 2), Outcome::Unknown);
}

/// Up to 2 GiB on the wire (a capture may claim it), or a train within what `sk_buff` can say of one.
fn frame([len @ .., a, b, c, d, e, f]: &[u8; SAID_BYTES], present: usize) -> Frame {
    let said = i32::from_le_bytes(*len).unsigned_abs() / 2;
    let (segments, segment_bytes) = (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]));
    let vlan = u16::from_le_bytes([*e, *f]) & 0x0fff;
    // Mostly what is there: most frames are whole.
    let present = present as u32;
    let len = if said % 4 == 0 { present } else { said };
    if segments < 2 {
        return Frame { vlan, ..Frame::plain(len) };
    }
    // BIG TCP ends at 512 KiB.
    let len = len.min(512 * 1024).max(present);
    Frame { len, segments: segments.into(), segment_bytes: segment_bytes.into(), vlan }
}

/// What a flow counts is no more than the frame has.
fn sizes(packet: &Packet, frame: Frame) {
    assert!(packet.payload_bytes <= frame.len, "{packet:?} of {frame:?}");
    assert_eq!(packet.segments, frame.segments);
    if frame.segments == 1 {
        assert_eq!(packet.wire_bytes, frame.len);
        return;
    }
    assert!(packet.wire_bytes >= frame.len, "{packet:?} of {frame:?}");
    let all_but_last = u64::from(packet.segment_bytes) * u64::from(packet.segments - 1);
    assert!(all_but_last <= u64::from(packet.payload_bytes), "{packet:?} of {frame:?}");
}

/// A packet and its answer have one key and different senders.
fn key(packet: &Packet, domain: u16) -> (FlowKey, bool) {
    let (key, sender_is_a) = packet.key(domain);
    let answer =
        Packet { src: packet.dst, dst: packet.src, src_port: packet.dst_port, dst_port: packet.src_port, ..*packet };
    let (back, responder_is_a) = answer.key(domain);
    assert_eq!(key, back);
    let one_end = packet.src == packet.dst && packet.src_port == packet.dst_port;
    assert_eq!(sender_is_a == responder_is_a, one_end, "{packet:?}");
    assert_eq!((key.tag() & 1, key.zero), (0, 0));
    (key, sender_is_a)
}

/// Counted three times, by way of the table of first packets.
fn flow(packet: &Packet, (key, sender_is_a): &(FlowKey, bool)) {
    let mut first = HalfOpen::ZERO;
    first.note(key, packet, *sender_is_a, false, 1);
    assert_eq!(first.packet(), Packet { ack: 0, vlan: 0, datagram: 0, ..*packet });
    let mut state = FlowState::ZERO;
    first.open(&mut state);
    state.update(packet, *sender_is_a, 2);
    state.update(packet, !*sender_is_a, 10_000_000);
    assert_eq!(state.fwd.packets, 2 * u64::from(packet.segments));
    assert_eq!(state.bwd.wire_bytes, u64::from(packet.wire_bytes));
    assert_eq!(state.packets(), 3 * u64::from(packet.segments));
    let mut bytes = [0; FlowState::LEN];
    assert!(state.put(&mut bytes));
    assert_eq!(FlowState::get(&bytes), Some(state));
}
