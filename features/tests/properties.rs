//! Moments of random flows against a naive computation over the list of their packets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use ganglion_features::{Context, Row, index_of};
use ganglion_flow::packet::UDP;
use ganglion_flow::record::{FlowRecord, Record};
use ganglion_flow::{Addr, FlowState, Hook, Packet, Reason, RecordHeader, RecordKind, Stage, Wire};
use proptest::collection::vec;
use proptest::prelude::*;

const S: u64 = 1_000_000;

/// When, from the initiator?, payload bytes.
type Step = (u64, bool, u32);

fn packet(forward: bool, payload_bytes: u32) -> Packet {
    let (client, server) = (Addr::v4(0xc612_0002), Addr::v4(0xc612_0001));
    let (src, dst, src_port, dst_port) =
        if forward { (client, server, 40_000, 53) } else { (server, client, 53, 40_000) };
    let wire_bytes = payload_bytes + 42;
    let packet = Packet { src, dst, src_port, dst_port, protocol: UDP, header_bytes: 8, ..Packet::ZERO };
    Packet { payload_bytes, wire_bytes, segments: 1, ..packet }
}

/// Steps in order of time, the first from the initiator; silences long enough for idle periods among them.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let gap_us = prop_oneof![6 => 0..100_000u64, 2 => 0..3 * S, 1 => 4 * S..50 * S];
    let payload = prop_oneof![0..1_473u32, Just(512), 0..65_508u32];
    vec((gap_us, any::<bool>(), payload), 1..120).prop_map(|all| {
        let mut time_us = 3 * S;
        let step = |(number, (gap_us, forward, payload)): (usize, (u64, bool, u32))| {
            time_us += gap_us;
            (time_us, forward || number == 0, payload)
        };
        all.into_iter().enumerate().map(step).collect()
    })
}

fn row(steps: &[Step]) -> Row {
    let mut state = FlowState::ZERO;
    let (key, _) = packet(true, 0).key(0);
    for (time_us, forward, payload) in steps {
        let packet = packet(*forward, *payload);
        let (_, is_a) = packet.key(0);
        if state.packets() == 0 {
            state.open(&packet, is_a, false, *time_us);
        } else {
            state.update(&packet, is_a, *time_us);
        }
    }
    let header = RecordHeader::new(RecordKind::Flow, Stage::End, Reason::Idle, Hook::Offline, state.last_us);
    Context::default().observe(&Record::Flow(FlowRecord { header, key, state }))
}

/// Mean, sample deviation, largest, smallest; 0 where there are too few values.
fn naive(values: &[f64]) -> [f64; 4] {
    let n = values.len() as f64;
    let mean = if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / n };
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let deviation = if values.len() < 2 { 0.0 } else { (squares / (n - 1.0)).sqrt() };
    let least = values.iter().copied().reduce(f64::min).unwrap_or(0.0);
    [mean, deviation, values.iter().copied().fold(0.0, f64::max), least]
}

/// The features of one quantity against the values themselves. A row holds f32: seven digits, and of a deviation that
/// is small beside its mean as many as the naive way leaves.
fn check(row: &Row, names: [&str; 4], values: &[f64]) -> Result<(), TestCaseError> {
    let expected = naive(values);
    for (name, expected_one) in names.into_iter().zip(expected) {
        let at = index_of(name).unwrap_or_else(|| panic!("no feature {name}"));
        let found = f64::from(row.values[at]);
        let tolerance = 1e-6 * expected_one.abs() + 1e-9 * expected[2];
        prop_assert!((found - expected_one).abs() <= tolerance, "{name}: {found}, not {expected_one}");
    }
    Ok(())
}

fn gaps(steps: &[&Step]) -> Vec<f64> {
    steps.windows(2).map(|pair| (pair[1].0 - pair[0].0) as f64).collect()
}

proptest! {
    #[test]
    fn moments_are_those_of_a_naive_computation(steps in steps()) {
        let row = row(&steps);
        let sizes = |steps: &[&Step]| steps.iter().map(|step| f64::from(step.2)).collect::<Vec<_>>();
        let all: Vec<_> = steps.iter().collect();
        let (forward, backward): (Vec<_>, Vec<_>) = steps.iter().partition(|step| step.1);
        check(&row, ["payload_mean_bytes", "payload_std_bytes", "payload_max_bytes", "payload_min_bytes"], &sizes(&all))?;
        check(&row, ["flow_iat_mean_us", "flow_iat_std_us", "flow_iat_max_us", "flow_iat_min_us"], &gaps(&all))?;
        for (side, own) in [("fwd", &forward), ("bwd", &backward)] {
            let named = |what: &str, unit: &str| ["mean", "std", "max", "min"].map(|of| format!("{side}_{what}_{of}_{unit}"));
            let (payload, iat) = (named("payload", "bytes"), named("iat", "us"));
            check(&row, payload.each_ref().map(String::as_str), &sizes(own))?;
            check(&row, iat.each_ref().map(String::as_str), &gaps(own))?;
        }
        let silences: Vec<f64> = gaps(&all).into_iter().filter(|gap| *gap > (5 * S) as f64).collect();
        check(&row, ["idle_mean_us", "idle_std_us", "idle_max_us", "idle_min_us"], &silences)?;
    }
}
