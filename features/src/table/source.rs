//! Counts of one address in one role, from SOURCE records. "Window" is the kernel's of 10 s.

use crate::feature::{Feature, source};
use crate::moments::{per_second, ratio};
use crate::sketch::Sketch;
use crate::view::{View, bit};
use ganglion_flow::source::{WINDOW_US, status};

/// A rate over less time than this says more about the clock than about the address, µs.
const SHORTEST_US: u64 = 100_000;

pub(super) const TABLE: &[Feature] = &[
    source("source_age_us", "µs", "header.time_us − first_us", "time since first seen", &|v| {
        v.header.time_us.saturating_sub(v.source.first_us) as f64
    }),
    source("source_new_total", "flows", "new_total", "new flows, ever", &|v| v.source.new_total.into()),
    source("source_answered_total", "flows", "answered_total", "answered flows, ever", &|v| {
        v.source.answered_total.into()
    }),
    source("source_established_total", "flows", "established_total", "established flows, ever", &|v| {
        v.source.established_total.into()
    }),
    source("source_unanswered_share", "", "new_total, answered_total", "1 − answered / new, ever", &|v| {
        1.0 - share(v.source.answered_total, v.source.new_total)
    }),
    source("source_established_share", "", "established_total, new_total", "established / new, ever", &|v| {
        share(v.source.established_total, v.source.new_total)
    }),
    source("source_is_established", "", "status", "1 when a handshake completed once", &|v| {
        bit(v.source.status & status::ESTABLISHED != 0)
    }),
    source("source_open", "flows", "open", "established flows open now", &|v| v.source.open.into()),
    source("source_new_window", "flows", "new_window", "new flows in this window", &|v| v.source.new_window.into()),
    source("source_answered_window", "flows", "answered_window", "answered flows in this window", &|v| {
        v.source.answered_window.into()
    }),
    source("source_unanswered_window", "flows", "new_window, answered_window", "new − answered, not below 0", &|v| {
        unanswered(v)
    }),
    source("source_unanswered_window_share", "", "new_window, answered_window", "(new − answered) / new", &|v| {
        ratio(unanswered(v), v.source.new_window.into())
    }),
    source("source_reset_window", "flows", "reset_window", "flows ended by a reset in this window", &|v| {
        v.source.reset_window.into()
    }),
    source("source_reset_window_share", "", "reset_window, new_window", "resets / new flows", &|v| {
        share(v.source.reset_window, v.source.new_window)
    }),
    source("source_new_before", "flows", "new_before", "new flows in the window before", &|v| {
        v.source.new_before.into()
    }),
    source("source_answered_before", "flows", "answered_before", "answered flows in the window before", &|v| {
        v.source.answered_before.into()
    }),
    source("source_new_per_s", "flows/s", "new_window, header.time_us − start", "new flows / time in window", &|v| {
        per_second(v.source.new_window.into(), in_window_us(v))
    }),
    source("source_bytes_per_s", "bytes/s", "bytes_window, header.time_us − start", "bytes / time in window", &|v| {
        per_second(v.source.bytes_window.into(), in_window_us(v))
    }),
    source("source_bytes_per_new", "bytes", "bytes_window, new_window", "first packets' bytes / new flows", &|v| {
        share(v.source.bytes_window, v.source.new_window)
    }),
    source("source_tcp_share", "", "tcp_window, new_window", "new TCP flows / new flows", &|v| {
        share(v.source.tcp_window, v.source.new_window)
    }),
    source("source_udp_share", "", "udp_window, new_window", "new UDP flows / new flows", &|v| {
        share(v.source.udp_window, v.source.new_window)
    }),
    source("source_icmp_share", "", "icmp_window, new_window", "new ICMP flows / new flows", &|v| {
        share(v.source.icmp_window, v.source.new_window)
    }),
    source("source_ports", "ports", "ports", "distinct destination ports, −256·ln(zero bits / 256)", &|v| {
        Sketch(v.source.ports).estimate()
    }),
    source("source_peers", "addresses", "peers", "distinct peers, −256·ln(zero bits / 256)", &|v| {
        Sketch(v.source.peers).estimate()
    }),
    source("source_ports_per_new", "", "ports, new_window", "distinct ports / new flows", &|v| {
        ratio(Sketch(v.source.ports).estimate(), v.source.new_window.into())
    }),
    source("source_peers_per_new", "", "peers, new_window", "distinct peers / new flows", &|v| {
        ratio(Sketch(v.source.peers).estimate(), v.source.new_window.into())
    }),
    source("source_level_new", "", "level_new", "highest level of new flows", &|v| v.source.level_new.into()),
    source("source_level_unanswered", "", "level_unanswered", "highest level of unanswered flows", &|v| {
        v.source.level_unanswered.into()
    }),
    source("source_level_open", "", "level_open", "highest level of open flows", &|v| v.source.level_open.into()),
    source("source_folded", "packets", "folded_packets", "single packets overwritten before export, ever", &|v| {
        v.source.folded_packets.into()
    }),
];

fn share(part: u32, whole: u32) -> f64 {
    ratio(part.into(), whole.into())
}

fn unanswered(v: &View<'_>) -> f64 {
    v.source.new_window.saturating_sub(v.source.answered_window).into()
}

/// Time the counts of this window took, µs.
fn in_window_us(v: &View<'_>) -> u64 {
    let started = (v.header.time_us - v.header.time_us % WINDOW_US).max(v.source.first_us);
    v.header.time_us.saturating_sub(started).clamp(SHORTEST_US, WINDOW_US)
}
