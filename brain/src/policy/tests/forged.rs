//! What an attacker who sends with another's address brings about, and what not.

use super::*;

/// A flow that an attacker elsewhere can forge: the handshake never ended.
fn forged(from: u32, port: u16, time_us: u64) -> Meta {
    flow_of(from, OWN, port, Stage::End, 1, time_us, 0)
}

fn prove_benign(policy: &mut Policy) {
    let benign = (0..5).map(|i| flow(PEER, OWN, 8_000 + i, Stage::End, 20, S + u64::from(i)));
    assert!(feed(policy, benign, TrafficClass::Benign).is_empty());
}

fn scanned(time_us: u64) -> impl Iterator<Item = Meta> {
    [8, 32, 128, 512].into_iter().map(move |new| source(PEER, Role::Source, new, time_us + u64::from(new)))
}

#[test]
fn forged_packets_do_not_get_a_benign_client_dropped() {
    for class in [TrafficClass::PortScan, TrafficClass::Dos] {
        let mut policy = policy();
        prove_benign(&mut policy);
        let stray = (0..40).map(|port| forged(PEER, port, 2 * S + u64::from(port)));
        let decisions = feed(&mut policy, stray.chain(scanned(3 * S)), class);
        assert_eq!(decisions.len(), 1, "{class:?}");
        let verdict = decisions[0].verdict.as_ref().unwrap();
        assert_eq!((verdict.action(), verdict.limit_per_second), (Action::RateLimit, 1_000));
        assert_eq!(decisions[0].action, ActionName::RateLimit);
        assert!(verdict.reason.contains("limited, not dropped: 5 benign flows"), "{}", verdict.reason);
        assert_eq!(address(&decisions[0]), "198.18.9.9");
    }
}

#[test]
fn a_forged_acknowledgement_completes_no_handshake() {
    let mut policy = policy();
    prove_benign(&mut policy);
    // SYN, its answer, a guessed acknowledgement that the responder resets. The kernel takes no such flow for
    // established by now; recordings from before say otherwise.
    let reset = |port: u16| Meta { confirmed: false, ..flow(PEER, OWN, port, Stage::End, 2, 2 * S + u64::from(port)) };
    let decisions = feed(&mut policy, (0..40).map(reset), TrafficClass::Dos);
    assert_eq!(decisions[0].verdict.as_ref().unwrap().action(), Action::RateLimit);
}

#[test]
fn who_never_proved_benign_is_dropped_at_once() {
    for benign in [0, 2] {
        let mut policy = policy();
        // Too few flows, unanswered ones and datagrams prove nothing.
        feed(
            &mut policy,
            (0..benign).map(|i| flow(PEER, OWN, 8_000 + i, Stage::End, 20, S + u64::from(i))),
            TrafficClass::Benign,
        );
        feed(&mut policy, (0..9).map(|i| forged(PEER, i, S + u64::from(i))), TrafficClass::Benign);
        let datagrams = (0..9).map(|i| Meta { protocol: 17, answered: true, ..flow(PEER, OWN, i, Stage::End, 9, S) });
        feed(&mut policy, datagrams, TrafficClass::Benign);
        let decisions = feed(&mut policy, scanned(3 * S), TrafficClass::PortScan);
        assert_eq!(decisions[0].verdict.as_ref().unwrap().action(), Action::Drop);
    }
}

#[test]
fn benign_flows_amid_the_evidence_prove_nothing() {
    let mut policy = policy();
    feed(&mut policy, scanned(2 * S).take(1), TrafficClass::PortScan);
    let open_ports = (0..5).map(|i| flow(PEER, OWN, 9_000 + i, Stage::End, 20, 3 * S + u64::from(i)));
    feed(&mut policy, open_ports, TrafficClass::Benign);
    let decisions = feed(&mut policy, scanned(4 * S).skip(1), TrafficClass::PortScan);
    assert_eq!(decisions[0].verdict.as_ref().unwrap().action(), Action::Drop);
}

#[test]
fn an_old_proof_is_worth_nothing() {
    let mut policy = policy();
    prove_benign(&mut policy);
    let decisions = feed(&mut policy, scanned(700 * S), TrafficClass::PortScan);
    assert_eq!(decisions[0].verdict.as_ref().unwrap().action(), Action::Drop);
}

#[test]
fn a_benign_client_that_turns_is_dropped_once_its_own_connections_say_so() {
    let mut policy = policy();
    prove_benign(&mut policy);
    let limited = feed(&mut policy, scanned(2 * S), TrafficClass::Dos);
    assert_eq!(limited[0].action, ActionName::RateLimit);
    let own = (0..20).map(|port| flow(PEER, OWN, port, Stage::End, 20, 3 * S + u64::from(port)));
    let dropped = feed(&mut policy, own, TrafficClass::Dos);
    assert_eq!(dropped.len(), 1, "without waiting for the limit to end");
    let verdict = dropped[0].verdict.as_ref().unwrap();
    assert_eq!((verdict.action(), verdict.limit_per_second), (Action::Drop, 0));
    assert!(!verdict.reason.contains("not dropped"), "{}", verdict.reason);
}

#[test]
fn a_beacon_without_a_handshake_is_our_own_and_not_forged() {
    let mut policy = policy();
    let to_peer = |i: u16, time_us| flow(OWN, PEER, 8_000 + i, Stage::End, 20, time_us + u64::from(i));
    feed(&mut policy, (0..5).map(|i| to_peer(i, S)), TrafficClass::Benign);
    let beacons = (0..20).map(|i| Meta { protocol: 17, ..to_peer(i, 2 * S) });
    let decisions = feed(&mut policy, beacons, TrafficClass::Bot);
    let verdict = decisions.iter().find_map(|decision| decision.verdict.as_ref()).unwrap();
    assert_eq!(verdict.action(), Action::Drop);
}
