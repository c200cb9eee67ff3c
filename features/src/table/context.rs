//! What went on around the row, by event time: "src" is what the initiator did, "dst" what arrived at the
//! responder, over 1, 10 and 60 s, the row's own record included.

use crate::feature::{Feature, every};
use crate::moments::ratio;

macro_rules! actor {
    ($name:ident, $w:literal, $s:literal) => {
        pub(super) const $name: &[Feature] = &[
            every(
                concat!("src_", $s, "_flows_started"),
                "flows",
                "context",
                concat!("flows first heard of, last ", $s),
                &|v| v.actor[$w].started as f64,
            ),
            every(concat!("src_", $s, "_flows_ended"), "flows", "context", concat!("flows ended, last ", $s), &|v| {
                v.actor[$w].ended as f64
            }),
            every(
                concat!("src_", $s, "_new_flows"),
                "flows",
                "context",
                concat!("new flows by SOURCE records, last ", $s),
                &|v| v.actor[$w].new as f64,
            ),
            every(
                concat!("src_", $s, "_new_unanswered"),
                "flows",
                "context",
                concat!("new flows without an answer by SOURCE records, last ", $s),
                &|v| v.actor[$w].new_unanswered as f64,
            ),
            every(
                concat!("src_", $s, "_ports"),
                "ports",
                "context",
                concat!("distinct destination ports, last ", $s),
                &|v| v.actor[$w].ports.estimate(),
            ),
            every(
                concat!("src_", $s, "_peers"),
                "addresses",
                "context",
                concat!("distinct addresses it turned to, last ", $s),
                &|v| v.actor[$w].peers.estimate(),
            ),
            every(
                concat!("src_", $s, "_unanswered_share"),
                "",
                "context",
                concat!("unanswered / ended flows, last ", $s),
                &|v| ratio(v.actor[$w].unanswered as f64, v.actor[$w].ended as f64),
            ),
            every(
                concat!("src_", $s, "_reset_share"),
                "",
                "context",
                concat!("reset / ended flows, last ", $s),
                &|v| ratio(v.actor[$w].reset as f64, v.actor[$w].ended as f64),
            ),
            every(
                concat!("src_", $s, "_packets"),
                "packets",
                "context",
                concat!("packets of ended flows, last ", $s),
                &|v| v.actor[$w].packets as f64,
            ),
            every(
                concat!("src_", $s, "_payload_bytes"),
                "bytes",
                "context",
                concat!("payload bytes of ended flows, last ", $s),
                &|v| v.actor[$w].payload_bytes as f64,
            ),
            every(
                concat!("src_", $s, "_duration_mean_us"),
                "µs",
                "context",
                concat!("mean duration of ended flows, last ", $s),
                &|v| ratio(v.actor[$w].duration_us as f64, v.actor[$w].ended as f64),
            ),
            every(
                concat!("src_", $s, "_same_service"),
                "flows",
                "context",
                concat!(
                    "flows first heard of to the row's own service, by 16 hashed cells: not less than the truth, last ",
                    $s
                ),
                &|v| v.actor[$w].same_service as f64,
            ),
            every(
                concat!("src_", $s, "_same_service_share"),
                "",
                "context",
                concat!("such flows / flows first heard of, last ", $s),
                &|v| ratio(v.actor[$w].same_service as f64, v.actor[$w].started as f64),
            ),
        ];
    };
}

macro_rules! target {
    ($name:ident, $w:literal, $s:literal) => {
        pub(super) const $name: &[Feature] = &[
            every(
                concat!("dst_", $s, "_flows_started"),
                "flows",
                "context",
                concat!("flows first heard of, last ", $s),
                &|v| v.target[$w].started as f64,
            ),
            every(concat!("dst_", $s, "_flows_ended"), "flows", "context", concat!("flows ended, last ", $s), &|v| {
                v.target[$w].ended as f64
            }),
            every(
                concat!("dst_", $s, "_new_flows"),
                "flows",
                "context",
                concat!("new flows by SOURCE records, last ", $s),
                &|v| v.target[$w].new as f64,
            ),
            every(
                concat!("dst_", $s, "_new_unanswered"),
                "flows",
                "context",
                concat!("new flows without an answer by SOURCE records, last ", $s),
                &|v| v.target[$w].new_unanswered as f64,
            ),
            every(
                concat!("dst_", $s, "_ports"),
                "ports",
                "context",
                concat!("distinct destination ports, last ", $s),
                &|v| v.target[$w].ports.estimate(),
            ),
            every(
                concat!("dst_", $s, "_peers"),
                "addresses",
                "context",
                concat!("distinct addresses that turned to it, last ", $s),
                &|v| v.target[$w].peers.estimate(),
            ),
            every(
                concat!("dst_", $s, "_unanswered_share"),
                "",
                "context",
                concat!("unanswered / ended flows, last ", $s),
                &|v| ratio(v.target[$w].unanswered as f64, v.target[$w].ended as f64),
            ),
            every(
                concat!("dst_", $s, "_reset_share"),
                "",
                "context",
                concat!("reset / ended flows, last ", $s),
                &|v| ratio(v.target[$w].reset as f64, v.target[$w].ended as f64),
            ),
            every(
                concat!("dst_", $s, "_packets"),
                "packets",
                "context",
                concat!("packets of ended flows, last ", $s),
                &|v| v.target[$w].packets as f64,
            ),
            every(
                concat!("dst_", $s, "_payload_bytes"),
                "bytes",
                "context",
                concat!("payload bytes of ended flows, last ", $s),
                &|v| v.target[$w].payload_bytes as f64,
            ),
            every(
                concat!("dst_", $s, "_duration_mean_us"),
                "µs",
                "context",
                concat!("mean duration of ended flows, last ", $s),
                &|v| ratio(v.target[$w].duration_us as f64, v.target[$w].ended as f64),
            ),
        ];
    };
}

actor!(ACTOR_1S, 0, "1s");
actor!(ACTOR_10S, 1, "10s");
actor!(ACTOR_60S, 2, "60s");
target!(TARGET_1S, 0, "1s");
target!(TARGET_10S, 1, "10s");
target!(TARGET_60S, 2, "60s");
