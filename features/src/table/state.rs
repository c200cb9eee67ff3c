//! Protocol, how the flow began, how far it is and how it ended.

use crate::feature::{Feature, every, flow};
use crate::view::{View, bit};
use ganglion_flow::packet::{ICMP, ICMPV6, TCP, UDP, tcp_flag};
use ganglion_flow::state::status;
use ganglion_flow::{Reason, Role, Stage};

macro_rules! reason {
    ($name:literal, $($reason:ident)|+, $formula:literal) => {
        flow($name, "", "header.reason", $formula, None, &|v| {
            bit([$(Reason::$reason as u8),+].contains(&v.header.reason))
        })
    };
}

macro_rules! first_flag {
    ($name:literal, $flag:ident) => {
        flow($name, "", "first_flags", concat!("first packet carries ", stringify!($flag)), None, &|v| {
            bit(v.flow.first_flags & tcp_flag::$flag != 0)
        })
    };
}

macro_rules! stage {
    ($name:literal, $stage:ident, $formula:literal) => {
        every($name, "", "header.stage", $formula, &|v| bit(v.header.stage == Stage::$stage as u8))
    };
}

pub(super) const TABLE: &[Feature] = &[
    flow("protocol_tcp", "", "key.protocol", "1 for TCP", None, &|v| bit(v.protocol == TCP)),
    flow("protocol_udp", "", "key.protocol", "1 for UDP", None, &|v| bit(v.protocol == UDP)),
    flow("protocol_icmp", "", "key.protocol", "1 for ICMP and ICMPv6", None, &|v| bit(icmp(v))),
    flow("protocol_other", "", "key.protocol", "1 for all others", None, &|v| {
        bit(v.protocol != TCP && v.protocol != UDP && !icmp(v))
    }),
    flow("icmp_echo", "", "icmp_type", "1 when the first packet is an echo request or reply", None, &|v| {
        bit(match v.protocol {
            ICMP => matches!(v.flow.icmp_type, 0 | 8),
            ICMPV6 => matches!(v.flow.icmp_type, 128 | 129),
            _ => false,
        })
    }),
    flow("icmp_error", "", "icmp_type", "1 when the first packet reports an error", None, &|v| {
        bit(match v.protocol {
            ICMP => matches!(v.flow.icmp_type, 3 | 4 | 5 | 11 | 12),
            ICMPV6 => matches!(v.flow.icmp_type, 1..=4),
            _ => false,
        })
    }),
    flow("answered", "", "bwd.packets", "1 when the responder spoke", None, &|v| bit(v.flow.bwd.packets > 0)),
    flow("established", "", "status", "1 when the initiator spoke again after an answer", None, &|v| {
        bit(v.flow.has(status::ESTABLISHED))
    }),
    flow("outbound", "", "status", "1 when the first packet left the sensor's machine", None, &|v| {
        bit(v.flow.has(status::OUTBOUND))
    }),
    flow("fin_from_initiator", "", "status", "1 when seen", None, &|v| bit(v.flow.has(status::FIN_FWD))),
    flow("fin_from_responder", "", "status", "1 when seen", None, &|v| bit(v.flow.has(status::FIN_BWD))),
    first_flag!("first_syn", SYN),
    first_flag!("first_ack", ACK),
    first_flag!("first_fin", FIN),
    first_flag!("first_rst", RST),
    first_flag!("first_psh", PSH),
    first_flag!("first_urg", URG),
    flow("first_null", "", "first_flags", "1 for a TCP flow whose first packet carries no flag", None, &|v| {
        bit(v.protocol == TCP && v.flow.first_flags == 0)
    }),
    reason!("unfinished", Early, "1 while the flow goes on"),
    reason!("ended_fin", Fin, "1 when a FIN from each side ended it"),
    reason!("ended_rst", Rst, "1 when a reset ended it"),
    reason!("ended_idle", Idle, "1 when silence ended it"),
    reason!("ended_active", Active, "1 when it lasted for the active timeout"),
    reason!("ended_half_open", HalfOpen, "1 when nobody answered"),
    reason!("ended_reopened", Reopened, "1 when the 5-tuple was opened anew"),
    flow("first_count", "", "first_count", "arrivals among the first 16", None, &|v| v.flow.first_count.into()),
];

pub(super) const RECORD: &[Feature] = &[
    stage!("stage_end", End, "1 when the flow is over"),
    stage!("stage_packets_8", Packets8, "1 at 8 packets"),
    stage!("stage_packets_32", Packets32, "1 at 32 packets"),
    stage!("stage_packets_128", Packets128, "1 at 128 packets"),
    stage!("stage_age_1s", Age1s, "1 at an age of 1 s"),
    stage!("stage_age_5s", Age5s, "1 at an age of 5 s"),
    stage!("stage_age_30s", Age30s, "1 at an age of 30 s"),
    stage!("is_source_record", Source, "1 for a row made from a SOURCE record"),
    crate::feature::source("role_destination", "", "role", "1 when flows were opened towards the address", &|v| {
        bit(v.source.role == Role::Destination as u8)
    }),
];

fn icmp(v: &View<'_>) -> bool {
    v.protocol == ICMP || v.protocol == ICMPV6
}
