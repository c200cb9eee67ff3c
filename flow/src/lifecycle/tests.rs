use proptest::prelude::*;

use super::*;
use crate::key::Addr;
use crate::packet::UDP;
use crate::wire::Wire;

const T: Timeouts = Timeouts::GANGLION;

fn packet(protocol: u8, flags: u8) -> Packet {
    Packet { src: Addr::v4(1), dst: Addr::v4(2), protocol, flags, segments: 1, ..Packet::ZERO }
}

fn opened(protocol: u8) -> FlowState {
    let mut state = FlowState::ZERO;
    state.open(&packet(protocol, tcp_flag::SYN), true, false, US_PER_S);
    state
}

#[test]
fn what_a_packet_is_to_an_entry() {
    let syn = packet(TCP, tcp_flag::SYN);
    let ack = packet(TCP, tcp_flag::ACK);
    let mut flow = opened(TCP);
    assert_eq!(arrival(&FlowState::ZERO, &ack, true), Arrival::Opens);
    assert_eq!(arrival(&flow, &syn, true), Arrival::Continues, "a SYN sent again");
    flow.status |= status::ESTABLISHED;
    assert_eq!(arrival(&flow, &syn, true), Arrival::Reopens);
    assert_eq!(arrival(&flow, &syn, false), Arrival::Continues, "from the responder");
    assert_eq!(arrival(&flow, &packet(TCP, tcp_flag::SYN | tcp_flag::ACK), true), Arrival::Continues);
    cut(&mut flow, |flow| *flow = FlowState::ZERO);
    assert_eq!(arrival(&flow, &ack, false), Arrival::Resumes);
    assert_eq!(arrival(&flow, &syn, true), Arrival::Reopens);
    mark_ended(&mut flow, 2 * US_PER_S);
    assert_eq!(arrival(&flow, &ack, true), Arrival::AfterEnd);
    assert_eq!(arrival(&flow, &syn, false), Arrival::Opens);
    assert_eq!(arrival(&flow, &packet(TCP, tcp_flag::SYN | tcp_flag::RST), true), Arrival::AfterEnd);
    assert_eq!(arrival(&flow, &packet(UDP, 0), true), Arrival::Opens);
}

#[test]
fn a_cut_keeps_status_and_time_alone() {
    let mut flow = opened(UDP);
    let status = flow.status;
    cut(&mut flow, |flow| *flow = FlowState::ZERO);
    assert_eq!(flow, FlowState { status, last_us: US_PER_S, ..FlowState::ZERO });
}

#[test]
fn a_flush_ends_everything() {
    for (flush, reason) in [(Reason::Upgrade, Reason::Upgrade), (Reason::Shutdown, Reason::Shutdown)] {
        assert_eq!(due(&opened(TCP), TCP, T, flush as u64, US_PER_S), Some(Due::End(reason)));
        assert_eq!(half_open_due(US_PER_S, T.half_open_us, flush as u64, US_PER_S), Some(reason));
        let mut ended = opened(TCP);
        mark_ended(&mut ended, US_PER_S);
        assert_eq!(due(&ended, TCP, T, flush as u64, US_PER_S), Some(Due::Forget));
    }
}

#[test]
fn a_flow_of_one_packet_waits_for_an_answer() {
    let wait = |now_us| half_open_due(5, T.half_open_us, 0, now_us);
    assert_eq!((wait(5 + T.half_open_us - 1), wait(5 + T.half_open_us)), (None, Some(Reason::HalfOpen)));
    assert_eq!(wait(0), None, "a clock that stepped back");
}

proptest! {
    /// Nothing is due before the time that says when something is.
    #[test]
    fn the_next_time_is_the_first_at_which_anything_is_due(
        status in any::<u8>(),
        stages in 0u8..128,
        tcp in any::<bool>(),
        is_cut in any::<bool>(),
        first_us in 1u64..200_000_000,
        lasts_us in 0u64..200_000_000,
        early in any::<bool>(),
    ) {
        let protocol = if tcp { TCP } else { UDP };
        let mut flow = FlowState { status, stages, first_us, last_us: first_us, ..FlowState::ZERO };
        // A flow is asked after its last packet, so what was due before is done.
        flow.last_us += lasts_us.clamp(age_reached(stages), age_before_next(stages).min(T.active_us - 1));
        if is_cut {
            cut(&mut flow, |flow| *flow = FlowState::ZERO);
        }
        let next_us = next_due_us(&flow, protocol, T, early);
        let is_due = |now_us| match due(&flow, protocol, T, 0, now_us) {
            Some(Due::Early(_)) if !early => None,
            other => other,
        };
        prop_assert!(is_due(next_us).is_some());
        prop_assert_eq!(is_due(next_us - 1), None);
        prop_assert_eq!(is_due(flow.last_us), None);
    }
}

/// What a flow with these stages has lasted for, µs.
fn age_reached(stages: u8) -> u64 {
    let ages = [(Stage::Age1s, US_PER_S), (Stage::Age5s, 5 * US_PER_S), (Stage::Age30s, 30 * US_PER_S)];
    ages.iter().filter(|(stage, _)| stages & stage.bit() != 0).map(|(_, age_us)| *age_us).max().unwrap_or(0)
}

/// The most that a flow with these stages can have lasted for without another being due, µs.
fn age_before_next(stages: u8) -> u64 {
    Stage::next_age_us(stages).unwrap_or(T.active_us) - 1
}
