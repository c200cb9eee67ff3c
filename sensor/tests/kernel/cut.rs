//! Entries that change hands.

use ganglion_flow::{Counter, FlowKey, FlowState, Wire};
use std::net::IpAddr;

use crate::harness::Kernel;
use crate::packets::{CLIENT, SERVER, udp};

const SPORT: u16 = 40000;

fn key(protocol: u8) -> FlowKey {
    FlowKey::new(IpAddr::from(CLIENT).into(), IpAddr::from(SERVER).into(), SPORT, 80, protocol, 0).0
}

/// What a CPU meets that looked an entry up before the sweep deleted it and another flow took its place.
#[test]
fn a_packet_is_not_counted_in_an_entry_that_is_another_flows() {
    let mut kernel = Kernel::new();
    let mut state = FlowState::ZERO;
    (state.first_us, state.last_us, state.fwd.packets) = (1, 1, 2);
    let mut other = key(17);
    other.port_a ^= 1;
    state.lock = other.tag();
    kernel.put_flow(&key(17), &state);
    kernel.xdp(&udp(CLIENT, SERVER, SPORT, 80, 10));
    assert_eq!(kernel.count(Counter::SkipClosing), 1, "{:?}", kernel.counters());
    assert_eq!(kernel.flow(&key(17)), Some(state), "untouched");
}

#[test]
fn an_entry_carries_its_tag_from_the_start() {
    let mut kernel = Kernel::new();
    kernel.xdp(&udp(CLIENT, SERVER, SPORT, 80, 10));
    kernel.xdp(&udp(CLIENT, SERVER, SPORT, 80, 10));
    let state = kernel.flow(&key(17)).expect("a full entry");
    assert_eq!((state.lock, state.packets()), (key(17).tag(), 2));
    kernel.assert_balanced();
}
