use super::*;
use crate::packet::{TCP, UDP};
use crate::wire::Wire;

const FIRST: Part = Part::from_bits(0x2000);
const MIDDLE: Part = Part::from_bits(0x2005);
const LAST: Part = Part::from_bits(0x000a);

fn fragment(identification: u32) -> Packet {
    Packet { src: Addr::v4(1), dst: Addr::v4(2), protocol: UDP, datagram: identification, ..Packet::ZERO }
}

fn first(identification: u32) -> Packet {
    Packet { src_port: 1000 + identification as u16, dst_port: 53, ..fragment(identification) }
}

/// Ports that a later fragment gets, and the outcome.
fn later(set: &mut DatagramSet, mut packet: Packet, part: Part, now_us: u64) -> (Outcome, u16, u16) {
    let outcome = set.fragment(&mut packet, part, 0, now_us);
    (outcome, packet.src_port, packet.dst_port)
}

#[test]
fn later_fragments_get_the_ports_of_the_first() {
    let mut set = DatagramSet::ZERO;
    assert_eq!(later(&mut set, fragment(7), MIDDLE, 1), (Outcome::Unknown, 0, 0));
    assert_eq!(set.fragment(&mut first(7), FIRST, 0, 2), Outcome::Known);
    assert_eq!(later(&mut set, fragment(7), MIDDLE, 3), (Outcome::Known, 1007, 53));
    assert_eq!(later(&mut set, fragment(7), LAST, 4), (Outcome::Known, 1007, 53));
    // The last one may overtake others.
    assert_eq!(later(&mut set, fragment(7), MIDDLE, 5), (Outcome::Known, 1007, 53));
}

#[test]
fn addresses_protocol_identification_and_network_tell_datagrams_apart() {
    let mut set = DatagramSet::ZERO;
    set.fragment(&mut first(7), FIRST, 0, 1);
    let same = fragment(7);
    let others = [
        Packet { src: Addr::v4(3), ..same },
        Packet { dst: Addr::v4(3), ..same },
        Packet { protocol: TCP, ..same },
        Packet { datagram: 8, ..same },
        Packet { src: same.dst, dst: same.src, ..same },
    ];
    for other in others {
        assert_eq!(later(&mut set, other, LAST, 2), (Outcome::Unknown, 0, 0), "{other:?}");
    }
    assert_eq!(set.fragment(&mut same.clone(), LAST, 9, 2), Outcome::Unknown, "another network");
    assert_eq!(later(&mut set, same, LAST, 2).0, Outcome::Known);
}

#[test]
fn in_ipv6_the_first_fragment_says_the_protocol() {
    let mut set = DatagramSet::ZERO;
    let v6 = |protocol| Packet { src: Addr { hi: 1, lo: 1 }, dst: Addr { hi: 1, lo: 2 }, protocol, ..first(9) };
    set.fragment(&mut v6(TCP), FIRST, 0, 1);
    // Where options come before the transport header, a later fragment names those.
    let mut packet = Packet { src_port: 0, dst_port: 0, ..v6(60) };
    assert_eq!(set.fragment(&mut packet, LAST, 0, 2), Outcome::Known);
    assert_eq!((packet.protocol, packet.src_port), (TCP, 1009));
}

#[test]
fn a_datagram_is_forgotten_after_thirty_seconds() {
    let mut set = DatagramSet::ZERO;
    set.fragment(&mut first(7), FIRST, 0, 1);
    assert_eq!(later(&mut set, fragment(7), MIDDLE, LIFE_US).0, Outcome::Known);
    assert_eq!(later(&mut set, fragment(7), MIDDLE, LIFE_US + 1).0, Outcome::Unknown);
    // And its place is free: nobody is pushed out.
    for identification in 10..14 {
        assert_eq!(set.fragment(&mut first(identification), FIRST, 0, LIFE_US + 2), Outcome::Known);
    }
}

#[test]
fn whoever_is_complete_goes_first_then_the_oldest_and_that_is_told() {
    let mut set = DatagramSet::ZERO;
    for (i, now_us) in (1..).zip([10, 20, 30, 40]) {
        set.fragment(&mut first(i), FIRST, 0, now_us);
    }
    later(&mut set, fragment(3), LAST, 50);
    assert_eq!(set.fragment(&mut first(5), FIRST, 0, 60), Outcome::Known, "in the place of a complete one");
    assert_eq!(later(&mut set, fragment(3), MIDDLE, 61).0, Outcome::Unknown);
    assert_eq!(set.fragment(&mut first(6), FIRST, 0, 70), Outcome::Replaced);
    let known: [bool; 6] =
        core::array::from_fn(|i| later(&mut set, fragment(i as u32 + 1), MIDDLE, 80).0 == Outcome::Known);
    assert_eq!(known, [false, true, false, true, true, true]);
}

#[test]
fn an_identification_used_again_takes_its_own_place() {
    let mut set = DatagramSet::ZERO;
    set.fragment(&mut first(7), FIRST, 0, 1);
    let mut again = Packet { src_port: 4, ..first(7) };
    assert_eq!(set.fragment(&mut again, FIRST, 0, 2), Outcome::Known);
    assert_eq!(later(&mut set, fragment(7), LAST, 3), (Outcome::Known, 4, 53));
    assert_eq!(set.ways.iter().filter(|way| way.seen_us != 0).count(), 1);
}
