//! The flow as a whole.

use crate::feature::{Feature, flow};
use crate::moments::{per_second, ratio};
use crate::view::minimum;

pub(super) const TABLE: &[Feature] = &[
    flow("flow_duration_us", "µs", "first_us, last_us", "last − first", Some("Flow Duration"), &|v| {
        v.duration_us() as f64
    }),
    flow("flow_packets", "packets", "fwd.packets, bwd.packets", "fwd + bwd", None, &|v| v.packets()),
    flow("flow_payload_bytes", "bytes", "*.payload_bytes", "fwd + bwd", None, &|v| v.payload_bytes()),
    flow("flow_wire_bytes", "bytes", "*.wire_bytes", "fwd + bwd", None, &|v| v.wire_bytes()),
    flow(
        "flow_bytes_per_s",
        "bytes/s",
        "*.payload_bytes, first_us, last_us",
        "payload bytes / duration; 0 without duration",
        Some("Flow Bytes/s"),
        &|v| per_second(v.payload_bytes(), v.duration_us()),
    ),
    flow(
        "flow_packets_per_s",
        "packets/s",
        "*.packets, first_us, last_us",
        "packets / duration; 0 without duration",
        Some("Flow Packets/s"),
        &|v| per_second(v.packets(), v.duration_us()),
    ),
    flow("flow_iat_mean_us", "µs", "first_us, last_us, *.arrivals", "duration / gaps", Some("Flow IAT Mean"), &|v| {
        v.gaps().mean()
    }),
    flow("flow_iat_std_us", "µs", "iat_sq_us2, *.arrivals", "sample deviation of gaps", Some("Flow IAT Std"), &|v| {
        v.gaps().deviation()
    }),
    flow("flow_iat_max_us", "µs", "iat_max_us", "longest gap", Some("Flow IAT Max"), &|v| v.flow.iat_max_us.into()),
    flow("flow_iat_min_us", "µs", "iat_min_us", "shortest gap, 0 without gaps", Some("Flow IAT Min"), &|v| {
        minimum(v.flow.iat_min_us, u64::from(v.flow.fwd.arrivals) + u64::from(v.flow.bwd.arrivals))
    }),
    flow("payload_min_bytes", "bytes", "*.payload_min", "smallest payload", Some("Packet Length Min"), &|v| {
        v.payload_min()
    }),
    flow("payload_max_bytes", "bytes", "*.payload_max", "largest payload", Some("Packet Length Max"), &|v| {
        v.flow.fwd.payload_max.max(v.flow.bwd.payload_max).into()
    }),
    flow(
        "payload_mean_bytes",
        "bytes",
        "*.payload_bytes, *.packets",
        "payload bytes / packets",
        Some("Packet Length Mean; Average Packet Size"),
        &|v| v.payloads().mean(),
    ),
    flow(
        "payload_std_bytes",
        "bytes",
        "*.payload_sq_bytes2, *.payload_bytes, *.packets",
        "sample deviation of payloads",
        Some("Packet Length Std"),
        &|v| v.payloads().deviation(),
    ),
    flow(
        "payload_variance_bytes2",
        "bytes²",
        "*.payload_sq_bytes2, *.payload_bytes, *.packets",
        "sample variance of payloads",
        Some("Packet Length Variance"),
        &|v| v.payloads().variance(),
    ),
    flow("fin_packets", "packets", "*.flags[0]", "fwd + bwd", Some("FIN Flag Count"), &|v| v.flags(0)),
    flow("syn_packets", "packets", "*.flags[1]", "fwd + bwd", Some("SYN Flag Count"), &|v| v.flags(1)),
    flow("rst_packets", "packets", "*.flags[2]", "fwd + bwd", Some("RST Flag Count"), &|v| v.flags(2)),
    flow("psh_packets", "packets", "*.flags[3]", "fwd + bwd", Some("PSH Flag Count"), &|v| v.flags(3)),
    flow("ack_packets", "packets", "*.flags[4]", "fwd + bwd", Some("ACK Flag Count"), &|v| v.flags(4)),
    flow("urg_packets", "packets", "*.flags[5]", "fwd + bwd", Some("URG Flag Count"), &|v| v.flags(5)),
    flow("ece_packets", "packets", "*.flags[6]", "fwd + bwd", Some("ECE Flag Count"), &|v| v.flags(6)),
    flow("cwr_packets", "packets", "*.flags[7]", "fwd + bwd", Some("CWR Flag Count"), &|v| v.flags(7)),
    flow(
        "down_up_ratio",
        "",
        "bwd.packets, fwd.packets",
        "bwd / fwd packets, 0 without fwd",
        Some("Down/Up Ratio"),
        &|v| ratio(v.flow.bwd.packets as f64, v.flow.fwd.packets as f64),
    ),
    flow("fwd_packet_share", "", "*.packets", "fwd packets / packets", None, &|v| {
        ratio(v.flow.fwd.packets as f64, v.packets())
    }),
    flow("fwd_payload_share", "", "*.payload_bytes", "fwd payload bytes / payload bytes", None, &|v| {
        ratio(v.flow.fwd.payload_bytes as f64, v.payload_bytes())
    }),
    flow("payload_share", "", "*.payload_bytes, *.wire_bytes", "payload bytes / wire bytes", None, &|v| {
        ratio(v.payload_bytes(), v.wire_bytes())
    }),
    flow("syn_share", "", "*.flags[1], *.packets", "SYN packets / packets", None, &|v| ratio(v.flags(1), v.packets())),
    flow("rst_share", "", "*.flags[2], *.packets", "RST packets / packets", None, &|v| ratio(v.flags(2), v.packets())),
    flow("subflow_gaps", "", "subflow_gaps", "gaps above 1 s", None, &|v| v.flow.subflow_gaps.into()),
    flow("active_count", "", "active_count", "active periods that ended", None, &|v| v.flow.active_count.into()),
    flow("active_mean_us", "µs", "active_sum_us, active_count", "sum / count", Some("Active Mean"), &|v| {
        active(v.flow).mean()
    }),
    flow("active_std_us", "µs", "active_sq_us2, …", "sample deviation", Some("Active Std"), &|v| {
        active(v.flow).deviation()
    }),
    flow("active_max_us", "µs", "active_max_us", "longest", Some("Active Max"), &|v| v.flow.active_max_us.into()),
    flow("active_min_us", "µs", "active_min_us", "shortest", Some("Active Min"), &|v| v.flow.active_min_us.into()),
    flow("idle_count", "", "idle_count", "silences above 5 s", None, &|v| v.flow.idle_count.into()),
    flow("idle_mean_us", "µs", "idle_sum_us, idle_count", "sum / count", Some("Idle Mean"), &|v| idle(v.flow).mean()),
    flow("idle_std_us", "µs", "idle_sq_us2, …", "sample deviation", Some("Idle Std"), &|v| idle(v.flow).deviation()),
    flow("idle_max_us", "µs", "idle_max_us", "longest", Some("Idle Max"), &|v| v.flow.idle_max_us.into()),
    flow("idle_min_us", "µs", "idle_min_us", "shortest", Some("Idle Min"), &|v| v.flow.idle_min_us.into()),
    flow("silence_us", "µs", "header.time_us − last_us", "time since the last packet", None, &|v| {
        v.header.time_us.saturating_sub(v.flow.last_us) as f64
    }),
];

fn active(state: &ganglion_flow::FlowState) -> crate::moments::Sums {
    crate::moments::Sums::new(state.active_count.into(), state.active_sum_us, state.active_sq_us2)
}

fn idle(state: &ganglion_flow::FlowState) -> crate::moments::Sums {
    crate::moments::Sums::new(state.idle_count.into(), state.idle_sum_us, state.idle_sq_us2)
}
