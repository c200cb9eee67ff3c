use super::*;
use crate::index_of;
use ganglion_flow::state::status;
use ganglion_flow::{FlowKey, Hook, Reason, RecordHeader, RecordKind, Stage};
use proptest::prelude::*;

const S: u64 = 1_000_000;

fn flow(client: u32, port: u16, time_us: u64) -> Record {
    let (key, is_a) = FlowKey::new(Addr::v4(client), Addr::v4(0xc612_ff01), 40_000, port, 6, 0);
    let mut state = FlowState::ZERO;
    state.status = if is_a { status::INITIATOR_IS_A } else { 0 };
    state.fwd.packets = 1;
    state.fwd.arrivals = 1;
    state.first_us = time_us;
    state.last_us = time_us;
    let header = RecordHeader::new(RecordKind::Flow, Stage::End, Reason::HalfOpen, Hook::Sweep, time_us);
    Record::Flow(FlowRecord { header, key, state })
}

fn source(role: Role, new: u32, time_us: u64) -> Record {
    let mut state = SourceState::ZERO;
    state.addr = Addr::v4(0xc612_0001);
    state.role = role as u8;
    state.first_us = 1;
    state.new_total = new;
    state.new_window = new;
    let header = RecordHeader::new(RecordKind::Source, Stage::Source, Reason::Level, Hook::Xdp, time_us);
    Record::Source(SourceRecord { header, state })
}

fn value(row: &Row, name: &str) -> f32 {
    row.values[index_of(name).unwrap_or_else(|| panic!("no feature {name}"))]
}

#[test]
fn windows_follow_event_time() {
    let mut context = Context::default();
    let mut row = context.observe(&flow(1, 1, 100 * S));
    for port in 2..=50u16 {
        row = context.observe(&flow(1, port, 100 * S + u64::from(port) * 1_000));
    }
    assert_eq!(value(&row, "src_1s_flows_started"), 50.0);
    assert_eq!(value(&row, "src_10s_flows_ended"), 50.0);
    assert!((value(&row, "src_10s_ports") - 50.0).abs() < 8.0);
    assert!((value(&row, "src_10s_peers") - 1.0).abs() < 0.1);
    assert_eq!(value(&row, "src_10s_unanswered_share"), 1.0);
    assert!((value(&row, "dst_10s_peers") - 1.0).abs() < 0.1);
    let later = context.observe(&flow(1, 99, 105 * S));
    assert_eq!(value(&later, "src_1s_flows_started"), 1.0);
    assert_eq!(value(&later, "src_10s_flows_started"), 51.0);
    let much_later = context.observe(&flow(1, 99, 300 * S));
    assert_eq!(value(&much_later, "src_60s_flows_started"), 1.0);
}

#[test]
fn same_service_tells_a_brute_force_from_a_scan() {
    let mut context = Context::default();
    for i in 0..32 {
        context.observe(&flow(1, 22, 100 * S + i));
        context.observe(&flow(2, 1000 + i as u16, 100 * S + i));
    }
    let force = context.observe(&flow(1, 22, 100 * S + 99));
    let scan = context.observe(&flow(2, 5000, 100 * S + 99));
    assert_eq!(value(&force, "src_10s_same_service_share"), 1.0);
    assert!(value(&scan, "src_10s_same_service_share") < 0.3);
    assert_eq!(value(&force, "dst_10s_flows_started"), 65.0);
}

#[test]
fn source_records_count_what_is_new_since_the_last() {
    let mut context = Context::default();
    context.observe(&source(Role::Source, 8, 100 * S));
    let row = context.observe(&source(Role::Source, 32, 100 * S + 1));
    assert_eq!(value(&row, "src_10s_new_flows"), 32.0);
    assert_eq!(value(&row, "source_new_window"), 32.0);
    assert_eq!(value(&row, "is_source_record"), 1.0);
    assert_eq!(value(&row, "dst_10s_new_flows"), 0.0);
    assert_eq!(value(&row, "protocol_other"), 0.0);
    let row = context.observe(&source(Role::Destination, 128, 100 * S + 2));
    assert_eq!(value(&row, "dst_10s_new_flows"), 128.0);
    assert_eq!(value(&row, "role_destination"), 1.0);
}

#[test]
fn pairs_tell_beats_to_one_service() {
    let mut context = Context::default();
    for beat in 0..20 {
        context.observe(&flow(1, 443, 100 * S + beat * 2 * S));
        context.observe(&flow(1, 80, 100 * S + beat * beat * S));
    }
    let even = context.observe(&flow(1, 443, 140 * S));
    assert_eq!(value(&even, "pair_flows"), 8.0);
    assert_eq!(value(&even, "pair_gap_mean_us"), 2e6);
    assert_eq!(value(&even, "pair_gap_even_share"), 1.0);
    let uneven = context.observe(&flow(1, 80, 900 * S));
    assert_eq!(value(&uneven, "pair_flows"), 8.0);
    assert!(value(&uneven, "pair_gap_even_share") < 0.5);
    let other = context.observe(&flow(2, 443, 901 * S));
    assert_eq!((value(&other, "pair_flows"), value(&other, "pair_gap_mean_us")), (1.0, 0.0));
    let source = context.observe(&source(Role::Source, 8, 902 * S));
    assert_eq!(value(&source, "pair_flows"), 0.0);
}

#[test]
fn time_that_runs_backwards_is_counted() {
    let mut context = Context::default();
    context.observe(&flow(1, 1, 100 * S));
    context.observe(&flow(1, 2, 99 * S));
    assert_eq!(context.stats().time_reversals, 1);
    let row = context.observe(&flow(1, 3, S));
    assert_eq!(context.stats().time_resets, 1);
    assert_eq!(value(&row, "src_60s_flows_started"), 1.0);
    context.observe(&flow(1, 3, u64::MAX));
    let row = context.observe(&flow(1, 3, 2 * S));
    assert_eq!(value(&row, "src_60s_flows_started"), 1.0);
}

#[test]
fn memory_is_bounded() {
    let mut context = Context::new(ContextLimits { actors: 64, targets: 16, pairs: 32 });
    for i in 0..10_000u32 {
        context.observe(&flow(i, 80, 100 * S + u64::from(i) * 10_000));
    }
    let stats = context.stats();
    assert_eq!((stats.actors, stats.targets), (64, 1));
    assert_eq!((stats.actors_evicted, stats.pairs_evicted), (10_000 - 64, 10_000 - 32));
    let track = context.targets.get(&(Addr::v4(0xc612_ff01), 0)).unwrap();
    assert!(track.parts() <= 15);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_bytes_never_give_a_nan(
        seeds in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 700), any::<bool>(), 0u8..8), 1..20)
    ) {
        let mut context = Context::new(ContextLimits { actors: 4, targets: 4, pairs: 4 });
        for (mut bytes, is_flow, stage) in seeds {
            bytes[0] = if is_flow { 1 } else { 2 };
            bytes[1] = ganglion_flow::record::VERSION;
            bytes[2] = stage;
            bytes[3] %= 10;
            bytes[4] %= 5;
            let kind = if is_flow { RecordKind::Flow } else { RecordKind::Source };
            bytes.resize(kind.len(), 7);
            bytes[16 + 16] %= if is_flow { 255 } else { 2 };
            let Ok(record) = Record::decode(&bytes) else { continue };
            let row = context.observe(&record);
            prop_assert!(row.values.iter().all(|v| v.is_finite()));
        }
    }
}
