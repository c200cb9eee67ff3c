use super::evidence::{Evidence, Piece};
use super::*;
use ganglion_features::{Context, Row};
use ganglion_flow::record::{FlowRecord, Record, SourceRecord};
use ganglion_flow::state::status;
use ganglion_flow::{FlowKey, FlowState, Hook, Reason, RecordHeader, RecordKind, Role, SourceState, Stage, Wire};
use ganglion_proto::v1::{Action, target};
use proptest::prelude::*;

mod forged;

const S: u64 = 1_000_000;
const OWN: u32 = 0xc612_0101;
const PEER: u32 = 0xc612_0909;

fn policy() -> Policy {
    let basis = Basis {
        playbook: Arc::new(Playbook::shipped().unwrap()),
        classes: crate::class::ALL.to_vec().into(),
        anomaly: 1.0,
        bundle: "test 1".into(),
        subjects: 64,
    };
    Policy::new(basis, [Addr::v4(OWN)])
}

fn scores(class: TrafficClass, p: f32, anomaly: f32) -> Scores {
    let mut probabilities = vec![(1.0 - p) / 9.0; 10];
    probabilities[class as usize] = p;
    Scores::of(probabilities, vec![anomaly], 10)
}

fn row(record: &Record) -> Row {
    Context::default().observe(record)
}

fn flow(from: u32, to: u32, port: u16, stage: Stage, packets: u64, time_us: u64) -> Meta {
    flow_of(from, to, port, stage, packets, time_us, status::ESTABLISHED)
}

fn flow_of(from: u32, to: u32, port: u16, stage: Stage, packets: u64, time_us: u64, bits: u8) -> Meta {
    let (key, is_a) = FlowKey::new(Addr::v4(from), Addr::v4(to), 40_000u16.wrapping_add(port), port, 6, 0);
    let mut state = FlowState::ZERO;
    state.status = if is_a { status::INITIATOR_IS_A } else { 0 } | bits;
    state.fwd.packets = packets;
    if bits & status::ESTABLISHED != 0 {
        (state.bwd.packets, state.bwd.flags[1], state.bwd.payload_bytes) = (3, 1, 500);
    }
    state.first_us = S;
    let header = RecordHeader::new(RecordKind::Flow, stage, Reason::Early, Hook::Xdp, time_us);
    row(&Record::Flow(FlowRecord { header, key, state })).meta
}

fn source(addr: u32, role: Role, new: u32, time_us: u64) -> Meta {
    let mut state = SourceState::ZERO;
    state.addr = Addr::v4(addr);
    state.role = role as u8;
    state.new_window = new;
    state.peers = if role == Role::Destination { [u64::MAX; 4] } else { [1, 0, 0, 0] };
    let header = RecordHeader::new(RecordKind::Source, Stage::Source, Reason::Level, Hook::Xdp, time_us);
    row(&Record::Source(SourceRecord { header, state })).meta
}

fn feed(policy: &mut Policy, metas: impl IntoIterator<Item = Meta>, class: TrafficClass) -> Vec<Decision> {
    metas.into_iter().flat_map(|meta| policy.judge(&meta, &scores(class, 0.99, 0.0), 0)).collect()
}

fn address(decision: &Decision) -> &str {
    match decision.alert.target.as_ref().and_then(|target| target.of.as_ref()) {
        Some(target::Of::Address(address)) => address,
        _ => "",
    }
}

#[test]
fn a_scan_seen_by_source_records_names_the_address() {
    let mut policy = policy();
    let decisions = feed(
        &mut policy,
        [8, 32].map(|new| source(PEER, Role::Source, new, S + u64::from(new))),
        TrafficClass::PortScan,
    );
    assert_eq!(decisions.len(), 1);
    let verdict = decisions[0].verdict.as_ref().unwrap();
    assert_eq!(address(&decisions[0]), "198.18.9.9");
    assert_eq!((verdict.class(), verdict.action()), (TrafficClass::PortScan, Action::Drop));
    assert!(verdict.reason.contains("32 new flows") && verdict.confidence > 0.9, "{}", verdict.reason);
}

#[test]
fn one_odd_flow_never_blocks_a_host() {
    for class in crate::class::ALL {
        let mut policy = policy();
        let stages = [Stage::Packets8, Stage::Packets32, Stage::Packets128, Stage::Age1s, Stage::Age5s, Stage::End];
        let metas = (0..60).map(|i| flow(PEER, OWN, 80, stages[i as usize % 6], 1_000, S + i * 1_000));
        for decision in feed(&mut policy, metas, class) {
            if decision.verdict.is_none() {
                continue;
            }
            assert_eq!(address(&decision), "", "{class:?}: {}", decision.alert.reason);
            let alone = [TrafficClass::Dos, TrafficClass::Ddos, TrafficClass::Heartbleed, TrafficClass::Web];
            assert!(alone.contains(&class), "{class:?}");
        }
    }
}

#[test]
fn one_odd_record_never_blocks_a_host() {
    for class in crate::class::ALL {
        let decisions = feed(&mut policy(), [source(PEER, Role::Source, 100_000, S)], class);
        assert!(decisions.is_empty(), "{class:?}");
    }
}

#[test]
fn one_flow_that_three_snapshots_agree_on_is_dropped_alone() {
    let mut policy = policy();
    let at = |stage, packets, t| flow(PEER, OWN, 80, stage, packets, S + t);
    let snapshots = [at(Stage::Packets8, 8, 1), at(Stage::Packets32, 32, 2), at(Stage::Packets128, 128, 3)];
    let decisions = feed(&mut policy, snapshots, TrafficClass::Dos);
    assert_eq!(decisions.len(), 1);
    let verdict = decisions[0].verdict.as_ref().unwrap();
    assert!(matches!(verdict.target.as_ref().unwrap().of, Some(target::Of::Flow(_))));
    assert_eq!(verdict.action(), Action::Drop);
    assert!(decisions[0].alert.community_id.starts_with("1:"));
    assert!(feed(&mut policy, [at(Stage::Age1s, 500, S)], TrafficClass::Dos).is_empty());
}

#[test]
fn a_flow_dropped_under_a_limiting_rule_carries_no_limit() {
    let mut policy = policy();
    let mut playbook = Playbook::shipped().unwrap();
    for rule in playbook.rules.iter_mut().filter(|rule| rule.single_flow) {
        (rule.action, rule.limit_per_second) = (ActionName::RateLimit, 50);
    }
    policy.basis.playbook = Arc::new(playbook);
    let snapshots = [(Stage::Packets8, 8), (Stage::Packets32, 32), (Stage::Packets128, 128)];
    let flows = snapshots.map(|(stage, packets)| flow(PEER, OWN, 80, stage, packets, S + packets));
    let verdict = feed(&mut policy, flows, TrafficClass::Dos).remove(0).verdict.unwrap();
    assert_eq!((verdict.action(), verdict.limit_per_second), (Action::Drop, 0));
}

#[test]
fn the_sensors_own_addresses_are_never_dropped() {
    for class in crate::class::ALL {
        let mut policy = policy();
        let flows = (0..40).map(|i| flow(OWN, PEER, 1_000 + i, Stage::End, 200, S + u64::from(i)));
        let sources = (0..8).map(|i| source(OWN, Role::Source, 8 << i, 2 * S + i));
        for decision in feed(&mut policy, flows.chain(sources), class) {
            if let Some(verdict) = &decision.verdict {
                assert_eq!((class, address(&decision)), (TrafficClass::Bot, "198.18.9.9"), "{}", verdict.reason);
            }
        }
    }
}

#[test]
fn of_a_bot_inside_a_person_is_told_before_its_peer_is_cut_off() {
    let mut policy = policy();
    let beacon = |i: u16| flow(OWN, PEER, 443 + i, Stage::End, 20, S + u64::from(i) * 20 * S);
    let told = feed(&mut policy, (0..4).map(beacon), TrafficClass::Bot);
    assert_eq!((told.len(), address(&told[0]), told[0].action), (1, "198.18.9.9", ActionName::Alert));
    assert!(told[0].verdict.is_none());
    let cut_off = feed(&mut policy, (4..12).map(beacon), TrafficClass::Bot);
    assert_eq!((cut_off.len(), address(&cut_off[0]), cut_off[0].action), (1, "198.18.9.9", ActionName::Drop));
    assert!(cut_off[0].verdict.is_some());
}

#[test]
fn flows_that_were_judged_benign_one_by_one_do_not_speak_against_a_busy_client_together() {
    for class in [TrafficClass::Web, TrafficClass::PortScan, TrafficClass::Dos] {
        let mut policy = policy();
        let checks = (0..200).map(|i| flow(PEER, OWN, 8_000 + i, Stage::End, 12, S + u64::from(i) * 50_000));
        assert!(feed(&mut policy, checks, TrafficClass::Benign).is_empty());
        let counted = || [8, 32, 128, 128, 128].map(|new| source(PEER, Role::Source, new, 11 * S + u64::from(new)));
        assert!(feed(&mut policy, counted(), class).is_empty(), "{class:?}");
        let many = [8, 32, 128, 512].map(|new| source(PEER, Role::Source, new, 12 * S + u64::from(new)));
        let named = feed(&mut policy, many, class);
        assert_eq!(address(&named[0]), "198.18.9.9", "{class:?}");
    }
}

#[test]
fn infiltration_only_alerts() {
    let mut policy = policy();
    let flows = (0..4).map(|i| flow(OWN, PEER, 22 + i, Stage::End, 20, S + u64::from(i)));
    let decisions = feed(&mut policy, flows, TrafficClass::Infiltration);
    assert_eq!(decisions.len(), 1);
    assert!(decisions[0].verdict.is_none());
    assert_eq!(decisions[0].action, ActionName::Alert);
}

#[test]
fn a_flood_from_many_limits_new_flows_towards_the_own_address() {
    let mut policy = policy();
    let records = [8, 32, 128, 512].map(|new| source(OWN, Role::Destination, new, S + u64::from(new)));
    let decisions = feed(&mut policy, records, TrafficClass::Ddos);
    assert_eq!(decisions.len(), 1);
    let verdict = decisions[0].verdict.as_ref().unwrap();
    assert_eq!((verdict.action(), verdict.limit_per_second), (Action::LimitNewFlows, 100));
    assert_eq!(address(&decisions[0]), "198.18.1.1");

    let mut policy = super::tests::policy();
    let flows = (0..40).map(|i| flow(PEER + i, OWN, 80, Stage::End, 2, S + u64::from(i)));
    let decisions = feed(&mut policy, flows, TrafficClass::Ddos);
    assert_eq!(decisions.len(), 1, "judged flows of many sources do it too");
    assert_eq!(address(&decisions[0]), "198.18.1.1");
}

#[test]
fn a_verdict_is_not_repeated_but_renewed_while_evidence_goes_on() {
    let mut policy = policy();
    let steady = (0..600u64).map(|i| source(PEER, Role::Source, 32, S + i * S));
    let decisions = feed(&mut policy, steady, TrafficClass::PortScan);
    // A time to live of 300 s, renewed in its last tenth.
    assert_eq!(decisions.len(), 3);
    let mut again = (0..3).map(|i| source(PEER, Role::Source, 32, 5_000 * S + i));
    assert_eq!(feed(&mut policy, again.by_ref().take(1), TrafficClass::PortScan).len(), 0, "cleared meanwhile");
    assert_eq!(feed(&mut policy, again, TrafficClass::PortScan).len(), 1);
}

#[test]
fn benign_traffic_makes_a_verdict_dearer() {
    let records = || [8, 32].map(|new| source(PEER, Role::Source, new, 2 * S + u64::from(new)));
    let mut policy = policy();
    let benign = (0..30).map(|i| flow(PEER, OWN, 8_000 + i, Stage::End, 20, S + u64::from(i)));
    assert!(feed(&mut policy, benign, TrafficClass::Benign).is_empty());
    assert!(feed(&mut policy, records(), TrafficClass::PortScan).is_empty());
    let more = [128, 512].map(|new| source(PEER, Role::Source, new, 2 * S + u64::from(new)));
    assert_eq!(feed(&mut policy, more, TrafficClass::PortScan).len(), 1);
}

#[test]
fn a_busy_client_is_not_judged_by_its_few_odd_flows() {
    let mut policy = policy();
    for i in 0..20_000u64 {
        let class = if i % 100 == 0 { TrafficClass::Dos } else { TrafficClass::Benign };
        let meta = flow(PEER, OWN, i as u16, Stage::End, 20, S + i * 1_000);
        let decisions = policy.judge(&meta, &scores(class, 0.99, 0.0), 0);
        assert!(decisions.is_empty(), "{}", decisions[0].alert.reason);
    }
    // What then turns against us is found all the same.
    let turned = (0..40_000u64).find(|i| {
        let meta = flow(PEER, OWN, *i as u16, Stage::End, 20, 21 * S + i * 1_000);
        !policy.judge(&meta, &scores(TrafficClass::Dos, 0.99, 0.0), 0).is_empty()
    });
    assert!(turned.is_some_and(|flows| flows < 10_000), "{turned:?}");
}

#[test]
fn what_is_unlike_anything_is_told_to_people() {
    let mut policy = policy();
    let decisions: Vec<_> = (0..40)
        .map(|i| flow(PEER, OWN, 8_000 + i, Stage::End, 20, S + u64::from(i)))
        .flat_map(|meta| policy.judge(&meta, &scores(TrafficClass::Benign, 0.6, 5.0), 0))
        .collect();
    assert_eq!(decisions.len(), 1);
    assert!(decisions[0].verdict.is_none() && decisions[0].class == TrafficClass::Unknown);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_below_the_thresholds_raises_a_verdict(
        rows in proptest::collection::vec((any::<u8>(), any::<u16>(), 0u64..600 * S, 0usize..10), 1..200)
    ) {
        let mut policy = policy();
        for (peer, port, time_us, class) in rows {
            let meta = flow(PEER + u32::from(peer), OWN, port, Stage::End, 20, time_us);
            // 0.69 is below every rule's confidence.
            let class = crate::class::ALL[class];
            prop_assert!(class == TrafficClass::Unknown || policy.judge(&meta, &scores(class, 0.69, 0.0), 0).is_empty());
        }
    }

    #[test]
    fn memory_is_bounded_whatever_the_time_does(
        rows in proptest::collection::vec((any::<u16>(), any::<u64>(), 0usize..10, any::<bool>(), 0u32..4096), 1..400)
    ) {
        let mut policy = policy();
        for (peer, time_us, class, is_source, new) in rows {
            let addr = PEER ^ u32::from(peer);
            let meta = if is_source {
                source(addr, Role::Source, new, time_us)
            } else {
                flow(addr, OWN, 80, Stage::End, u64::from(new), time_us)
            };
            for decision in policy.judge(&meta, &scores(crate::class::ALL[class], 0.99, 9.0), 0) {
                let drops_own = address(&decision) == "198.18.1.1" && decision.action == ActionName::Drop;
                prop_assert!(!drops_own);
                prop_assert!(decision.alert.confidence.is_finite());
            }
            prop_assert!(policy.cases.len() <= 64 && policy.flows.len() <= 64 && policy.benign.len() <= 64);
            prop_assert!(policy.proofs.len() <= 64);
        }
    }

    #[test]
    fn evidence_of_one_subject_is_bounded(times in proptest::collection::vec(any::<u64>(), 1..300)) {
        let mut evidence = Evidence::default();
        let meta = flow(PEER, OWN, 80, Stage::End, 20, S);
        for time_us in times {
            let seen = Seen { meta: &meta, class: TrafficClass::Dos, confidence: 0.9, anomaly: 0.0 };
            evidence.add(Piece::of(&seen, true, time_us), 10 * S);
            prop_assert!(evidence.len() <= 64);
            let tally = evidence.tally(time_us, 10 * S);
            prop_assert!(tally.score.is_finite() && tally.flows <= 1);
        }
    }
}

#[test]
fn a_verdict_that_did_not_arrive_is_raised_again() {
    let mut policy = policy();
    let scan = |times: u64| [8, 32].map(|new| source(PEER, Role::Source, new, S * times + u64::from(new)));
    let first = feed(&mut policy, scan(1), TrafficClass::PortScan);
    assert!(feed(&mut policy, scan(2), TrafficClass::PortScan).is_empty(), "it is in force");
    policy.withdraw(first[0].origin);
    assert_eq!(feed(&mut policy, scan(3), TrafficClass::PortScan).len(), 1);
}
