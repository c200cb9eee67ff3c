//! Real packets through the flow state, then against a naive computation.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use ganglion_features::{Context, Row, index_of};
use ganglion_flow::record::{FlowRecord, Record};
use ganglion_flow::{Addr, FlowState, Hook, Packet, Reason, RecordHeader, RecordKind, Stage, Wire};

const CLIENT: Addr = Addr::v4(0xc612_0002);
const SERVER: Addr = Addr::v4(0xc612_0001);

/// From the client?, payload bytes, flags, time in µs.
type Step = (bool, u32, u8, u64);

fn packet(from_client: bool, payload_bytes: u32, flags: u8) -> Packet {
    let (src, dst, src_port, dst_port) =
        if from_client { (CLIENT, SERVER, 40_000, 80) } else { (SERVER, CLIENT, 80, 40_000) };
    Packet {
        src,
        dst,
        src_port,
        dst_port,
        protocol: 6,
        flags,
        header_bytes: 20,
        window: if from_client { 64_240 } else { 0 },
        icmp: 0,
        seq: 1,
        ack: 2,
        payload_bytes,
        wire_bytes: 54 + payload_bytes,
        segments: 1,
        segment_bytes: 0,
        vlan: 0,
        datagram: 0,
    }
}

fn row(steps: &[Step], reason: Reason) -> Row {
    let mut state = FlowState::ZERO;
    let (key, _) = packet(true, 0, 0).key(0);
    for (at, (from_client, payload, flags, time_us)) in steps.iter().enumerate() {
        let packet = packet(*from_client, *payload, *flags);
        let (_, is_a) = packet.key(0);
        if at == 0 {
            state.open(&packet, is_a, false, *time_us);
        } else {
            state.update(&packet, is_a, *time_us);
        }
    }
    let time_us = steps.last().unwrap().3 + 250;
    let header = RecordHeader::new(RecordKind::Flow, Stage::End, reason, Hook::Xdp, time_us);
    Context::default().observe(&Record::Flow(FlowRecord { header, key, state }))
}

fn value(row: &Row, name: &str) -> f64 {
    row.values[index_of(name).unwrap_or_else(|| panic!("no feature {name}"))].into()
}

fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt())
}

#[track_caller]
fn close(row: &Row, name: &str, expected: f64) {
    let found = value(row, name);
    assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{name}: {found}, not {expected}");
}

const STEPS: [Step; 8] = [
    (true, 0, 0x02, 1_000_000),
    (false, 0, 0x12, 1_000_400),
    (true, 0, 0x10, 1_000_900),
    (true, 120, 0x18, 1_002_000),
    (false, 1_460, 0x10, 1_010_000),
    (false, 700, 0x18, 1_010_050),
    (true, 0, 0x11, 1_100_000),
    (false, 0, 0x11, 1_100_300),
];

#[test]
fn moments_equal_a_naive_computation() {
    let row = row(&STEPS, Reason::Fin);
    let sizes: Vec<f64> = STEPS.iter().map(|step| f64::from(step.1)).collect();
    let (mean, std) = moments(&sizes);
    close(&row, "payload_mean_bytes", mean);
    close(&row, "payload_std_bytes", std);
    let gaps: Vec<f64> = STEPS.windows(2).map(|pair| (pair[1].3 - pair[0].3) as f64).collect();
    let (mean, std) = moments(&gaps);
    close(&row, "flow_iat_mean_us", mean);
    close(&row, "flow_iat_std_us", std);
    for (name, is_client) in [("fwd", true), ("bwd", false)] {
        let steps: Vec<_> = STEPS.iter().filter(|step| step.0 == is_client).collect();
        let sizes: Vec<f64> = steps.iter().map(|step| f64::from(step.1)).collect();
        let gaps: Vec<f64> = steps.windows(2).map(|pair| (pair[1].3 - pair[0].3) as f64).collect();
        close(&row, &format!("{name}_packets"), steps.len() as f64);
        close(&row, &format!("{name}_payload_mean_bytes"), moments(&sizes).0);
        close(&row, &format!("{name}_payload_std_bytes"), moments(&sizes).1);
        close(&row, &format!("{name}_iat_mean_us"), moments(&gaps).0);
        close(&row, &format!("{name}_iat_std_us"), moments(&gaps).1);
        close(&row, &format!("{name}_iat_min_us"), gaps.iter().copied().fold(f64::INFINITY, f64::min));
    }
}

#[test]
fn the_rest_of_a_flow_is_as_it_was() {
    let row = row(&STEPS, Reason::Fin);
    let duration_s = 0.100_3;
    for (name, expected) in [
        ("flow_duration_us", 100_300.0),
        ("flow_bytes_per_s", 2_280.0 / duration_s),
        ("fwd_packets_per_s", 4.0 / duration_s),
        ("syn_packets", 2.0),
        ("fwd_fin_packets", 1.0),
        ("ack_packets", 7.0),
        ("down_up_ratio", 1.0),
        ("fwd_header_bytes", 80.0),
        ("fwd_window_first", 64_240.0),
        ("bwd_zero_windows", 4.0),
        ("protocol_tcp", 1.0),
        ("protocol_other", 0.0),
        ("answered", 1.0),
        ("established", 1.0),
        ("ended_fin", 1.0),
        ("unfinished", 0.0),
        ("stage_end", 1.0),
        ("first_syn", 1.0),
        ("first_null", 0.0),
        ("first_count", 8.0),
        ("first_size_4", 121f64.log2()),
        ("first_size_5", -(1_461f64.log2())),
        ("first_gap_2", 401f64.log2()),
        ("silence_us", 250.0),
        ("is_source_record", 0.0),
        ("source_new_window", 0.0),
        ("src_1s_flows_ended", 1.0),
        ("dst_60s_packets", 8.0),
    ] {
        close(&row, name, expected);
    }
}

#[test]
fn a_lone_packet_divides_by_nothing() {
    let row = row(&STEPS[..1], Reason::HalfOpen);
    for name in ["flow_bytes_per_s", "flow_iat_min_us", "fwd_iat_min_us", "bwd_iat_std_us", "down_up_ratio", "answered"]
    {
        close(&row, name, 0.0);
    }
    close(&row, "ended_half_open", 1.0);
    close(&row, "src_10s_unanswered_share", 1.0);
}
