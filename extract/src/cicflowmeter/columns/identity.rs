//! Who, when, and what stands at the end.

use super::super::packet::Protocol;
use super::super::row::{Endpoints, Row};
use super::super::timestamp::Timestamp;
use super::{Column, Value, count, int, text};

pub(super) const FLOW: &[Column] = &[
    text("Flow ID", "Src-Dst-SrcPort-DstPort-Protocol of the first flow between these ends", |row| {
        let Endpoints { src, src_port, dst, dst_port, protocol } = row.named;
        Value::Text(format!("{src}-{dst}-{src_port}-{dst_port}-{}", protocol as u8))
    }),
    text("Src IP", "sender of the first packet; its receiver if SYN and ACK are set", |row| {
        Value::Text(row.endpoints.src.to_string())
    }),
    int("Src Port", "", "port at Src IP; 0 unless TCP, UDP or SCTP", |row| Value::Int(row.endpoints.src_port.into())),
    text("Dst IP", "the other end", |row| Value::Text(row.endpoints.dst.to_string())),
    int("Dst Port", "", "port at Dst IP; 0 unless TCP, UDP or SCTP", |row| Value::Int(row.endpoints.dst_port.into())),
    int("Protocol", "", "6 TCP, 17 UDP, 1 ICMP, 2 IGMP, 132 SCTP, 0 every other", |row| {
        Value::Int(i64::from(row.endpoints.protocol as u8))
    }),
    text("Timestamp", "first packet, UTC", |row| Value::Text(Timestamp(row.first_us).to_string())),
    int("Flow Duration", "µs", "last packet - first packet (D)", |row| Value::Int(row.duration_us())),
    int("Total Fwd Packet", "packets", "packets from Src IP", |row| count(row.forward.packets())),
    int("Total Bwd packets", "packets", "packets to Src IP", |row| count(row.backward.packets())),
];

pub(super) const LAST: &[Column] = &[
    int("ICMP Code", "", "of the first packet; -1 if not ICMP", |row| icmp(row, |(_, code)| code)),
    int("ICMP Type", "", "of the first packet; -1 if not ICMP", |row| icmp(row, |(kind, _)| kind)),
    int("Fwd TCP Retrans. Count", "packets", RETRANSMITTED, |row| count(row.forward.retransmitted)),
    int("Bwd TCP Retrans. Count", "packets", RETRANSMITTED, |row| count(row.backward.retransmitted)),
    int("Total TCP Retrans. Count", "packets", "both directions", |row| {
        count(row.forward.retransmitted + row.backward.retransmitted)
    }),
    int(
        "Total Connection Flow Time",
        "µs",
        "last packet - first packet of the chain of continuations; 0 unless TCP or UDP",
        |row| match row.endpoints.protocol {
            Protocol::Tcp | Protocol::Udp => Value::Int(row.last_us.saturating_sub(row.chain_first_us)),
            _ => Value::Int(0),
        },
    ),
    LABEL,
];

/// The reference leaves labels to others.
pub(super) const LABEL: Column = text("Label", "constant", |_| Value::Text("NeedManualLabel".to_owned()));

const RETRANSMITTED: &str = "packets whose sender, sequence and acknowledgement number, len and window equal those of an \
     earlier packet of this row or of those it continues";

fn icmp(row: &Row, part: fn((u8, u8)) -> u8) -> Value {
    Value::Int(row.icmp.map_or(-1, |message| part(message).into()))
}
