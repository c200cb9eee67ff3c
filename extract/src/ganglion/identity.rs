//! The columns before the features: which flow a row is about, and when. Never inputs of a model.

use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;

use ganglion_features::community_id;
use ganglion_flow::packet::{ICMP, ICMPV6};
use ganglion_flow::record::FlowRecord;
use ganglion_flow::state::endpoints;
use ganglion_flow::{Addr, Reason, Stage};

use crate::table::{Cells, Kind};

/// One column.
pub(super) struct Identity {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    /// The CICFlowMeter column that it answers to.
    #[cfg_attr(not(test), allow(dead_code, reason = "the tests compare the tables"))]
    pub(super) reference: Option<&'static str>,
    value: Value,
}

/// How a cell follows from a record.
enum Value {
    Text(fn(&FlowRecord, &mut String)),
    Int(fn(&FlowRecord) -> i64),
    Time(fn(&FlowRecord) -> u64),
}

impl Identity {
    pub(super) fn kind(&self) -> Kind {
        match self.value {
            Value::Text(_) => Kind::Text,
            Value::Int(_) => Kind::Int,
            Value::Time(_) => Kind::Time,
        }
    }

    /// Makes the cells those of these records.
    pub(super) fn fill(&self, records: &[FlowRecord], cells: &mut Cells) {
        cells.reset(self.kind());
        match (&self.value, cells) {
            (Value::Text(write), Cells::Text(texts)) => {
                records.iter().for_each(|record| texts.push_with(|text| write(record, text)));
            }
            (Value::Int(of), Cells::Int(cells)) => cells.extend(records.iter().map(of)),
            (Value::Time(of), Cells::Time(cells)) => {
                cells.extend(records.iter().map(|record| of(record).cast_signed()))
            }
            _ => {}
        }
    }
}

const fn text(name: &'static str, reference: Option<&'static str>, write: fn(&FlowRecord, &mut String)) -> Identity {
    Identity { name, unit: "", reference, value: Value::Text(write) }
}

const fn int(name: &'static str, reference: Option<&'static str>, of: fn(&FlowRecord) -> i64) -> Identity {
    Identity { name, unit: "", reference, value: Value::Int(of) }
}

/// All of them, in the order of the columns.
pub(super) static IDENTITY: &[Identity] = &[
    text("flow_id", Some("Flow ID"), |record, text| {
        let ((initiator, from), (responder, to)) = endpoints(&record.key, &record.state);
        write_addr(text, initiator);
        text.push('-');
        write_addr(text, responder);
        for number in [from, to, record.key.protocol.into()] {
            text.push('-');
            write_number(text, number);
        }
    }),
    Identity {
        name: "timestamp",
        unit: "UTC",
        reference: Some("Timestamp"),
        value: Value::Time(|record| record.state.first_us),
    },
    text("community_id", None, |record, text| community_id::write_of_flow(text, &record.key, &record.state)),
    text("initiator", Some("Src IP"), |record, text| write_addr(text, endpoints(&record.key, &record.state).0.0)),
    int("initiator_port", Some("Src Port"), |record| endpoints(&record.key, &record.state).0.1.into()),
    text("responder", Some("Dst IP"), |record, text| write_addr(text, endpoints(&record.key, &record.state).1.0)),
    int("responder_port", Some("Dst Port"), |record| endpoints(&record.key, &record.state).1.1.into()),
    int("protocol", Some("Protocol"), |record| record.key.protocol.into()),
    int("domain", None, |record| record.key.domain.into()),
    text("stage", None, |record, text| text.push_str(Stage::from_u8(record.header.stage).map_or("", stage))),
    text("reason", None, |record, text| text.push_str(Reason::from_u8(record.header.reason).map_or("", reason))),
    int("icmp_type", Some("ICMP Type"), |record| icmp(record, record.state.icmp_type)),
    int("icmp_code", Some("ICMP Code"), |record| icmp(record, record.state.icmp_code)),
];

/// −1 where the flow is not ICMP, as the reference has it.
fn icmp(record: &FlowRecord, number: u8) -> i64 {
    if matches!(record.key.protocol, ICMP | ICMPV6) { number.into() } else { -1 }
}

fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::End => "end",
        Stage::Packets8 => "packets_8",
        Stage::Packets32 => "packets_32",
        Stage::Packets128 => "packets_128",
        Stage::Age1s => "age_1s",
        Stage::Age5s => "age_5s",
        Stage::Age30s => "age_30s",
        Stage::Source => "source",
    }
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Early => "early",
        Reason::Fin => "fin",
        Reason::Rst => "rst",
        Reason::Idle => "idle",
        Reason::Active => "active",
        Reason::HalfOpen => "half_open",
        Reason::Reopened => "reopened",
        // Nobody upgrades a capture file.
        Reason::Shutdown | Reason::Upgrade => "capture_end",
        Reason::Level => "level",
    }
}

fn write_addr(text: &mut String, addr: Addr) {
    match IpAddr::from(addr) {
        // A fraction of a formatter's time, and there are four in a row.
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets().map(|octet| OCTETS[usize::from(octet)]);
            let mut dotted = [0; 16];
            let mut at = 0;
            for (digits, length) in [a, b, c, d] {
                // What is beyond the length is written over, or cut off.
                dotted[at..at + 4].copy_from_slice(&digits);
                at += length;
            }
            // Digits and points are text.
            text.push_str(str::from_utf8(&dotted[..at - 1]).unwrap_or_default());
        }
        IpAddr::V6(v6) => write_v6(text, v6),
    }
}

/// As the standard library writes it (RFC 5952), without its formatter.
fn write_v6(text: &mut String, v6: Ipv6Addr) {
    if v6.to_ipv4_mapped().is_some() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{v6}");
        return;
    }
    let segments = v6.segments();
    let gap = longest_zeros(&segments);
    // Eight times four digits and a colon.
    let mut written = [0; 40];
    let mut at = 0;
    let mut put = |byte| {
        written[at] = byte;
        at += 1;
    };
    for (number, segment) in segments.into_iter().enumerate() {
        if gap.contains(&number) {
            // The end of the gap is the colon before what follows, or the last one.
            if number == gap.start {
                put(b':');
            }
            if number == segments.len() - 1 {
                put(b':');
            }
            continue;
        }
        if number > 0 {
            put(b':');
        }
        let digits = (u16::BITS - segment.leading_zeros()).div_ceil(4).max(1);
        (0..digits).rev().for_each(|digit| put(HEX[usize::from(segment >> (digit * 4) & 0xf)]));
    }
    text.push_str(str::from_utf8(&written[..at]).unwrap_or_default());
}

static HEX: &[u8; 16] = b"0123456789abcdef";

/// The first of the longest runs of zeros, where it is longer than one (RFC 5952, 4.2).
fn longest_zeros(segments: &[u16; 8]) -> Range<usize> {
    let mut longest = 0..0;
    let mut start = 0;
    for (number, segment) in segments.iter().enumerate() {
        if *segment != 0 {
            start = number + 1;
        } else if number + 1 - start > longest.len().max(1) {
            longest = start..number + 1;
        }
    }
    longest
}

/// The digits of each octet and a point, and how many bytes that are.
static OCTETS: [([u8; 4], usize); 256] = {
    let mut octets = [([b'.'; 4], 2); 256];
    let mut octet = 0;
    while octet < octets.len() {
        let digits = [b'0' + (octet / 100) as u8, b'0' + (octet / 10 % 10) as u8, b'0' + (octet % 10) as u8];
        octets[octet] = match octet {
            0..10 => ([digits[2], b'.', 0, 0], 2),
            10..100 => ([digits[1], digits[2], b'.', 0], 3),
            _ => ([digits[0], digits[1], digits[2], b'.'], 4),
        };
        octet += 1;
    }
    octets
};

fn write_number(text: &mut String, number: u16) {
    text.push_str(itoa::Buffer::new().format(number));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cicflowmeter;
    use ganglion_features::TABLE;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_and_addresses_are_written_as_everywhere() {
        for number in [0, 9, 10, 99, 100, 255, 1000, 65_535] {
            let mut text = String::new();
            write_number(&mut text, number);
            assert_eq!(text, number.to_string());
        }
        let octets = (0..=255).map(|octet| format!("{octet}.{}.1.{octet}", 255 - octet));
        let addrs =
            ["0.0.0.0", "198.18.0.255", "255.255.255.255", "2001:2::7", "::", "::1", "1::", "::ffff:1", "1:0:0:2::3"]
                .map(str::to_owned);
        for addr in addrs.into_iter().chain(octets) {
            let ip: IpAddr = addr.parse().unwrap();
            let mut text = String::new();
            write_addr(&mut text, ip.into());
            assert_eq!(text, ip.to_string());
        }
    }

    proptest! {
        /// Addresses with many zeros, anywhere.
        #[test]
        fn ipv6_is_written_as_everywhere(segments: [u16; 8], zero: [bool; 8], short in 0..16_u32) {
            let mut segments = segments;
            segments.iter_mut().zip(zero).for_each(|(segment, zero)| {
                *segment = if zero { 0 } else { *segment >> short };
            });
            let v6 = Ipv6Addr::from(segments);
            let mut text = String::new();
            write_v6(&mut text, v6);
            prop_assert_eq!(text, v6.to_string());
        }
    }

    #[test]
    fn every_column_of_the_reference_has_its_answer() {
        // What takes unbounded memory, and what the reference leaves to others.
        const EXTRACTOR_ALONE: [&str; 5] = [
            "Fwd TCP Retrans. Count",
            "Bwd TCP Retrans. Count",
            "Total TCP Retrans. Count",
            "Total Connection Flow Time",
            "Label",
        ];
        let features: Vec<_> = TABLE.iter().flat_map(|feature| feature.references()).collect();
        let identities: Vec<_> = IDENTITY.iter().filter_map(|column| column.reference).collect();
        let answered: Vec<_> = features.iter().chain(&identities).chain(&EXTRACTOR_ALONE).copied().collect();
        let distinct: BTreeSet<_> = answered.iter().copied().collect();
        assert_eq!(distinct.len(), answered.len(), "a column is answered twice");
        let columns: BTreeSet<_> = cicflowmeter::COLUMNS.iter().map(|column| column.name).collect();
        let missing: Vec<_> = columns.difference(&distinct).collect();
        let unknown: Vec<_> = distinct.difference(&columns).collect();
        assert!(missing.is_empty() && unknown.is_empty(), "missing: {missing:?}; of no such column: {unknown:?}");
    }
}
