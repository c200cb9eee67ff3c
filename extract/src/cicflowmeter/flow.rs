//! When a flow ends, and what the next one takes from it.

use std::collections::HashSet;

use super::packet::{Packet, Protocol};
use super::row::{Endpoints, Row};

/// TCP flags as on the wire.
pub(super) mod flag {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RST: u8 = 0x04;
    pub(crate) const PSH: u8 = 0x08;
    pub(crate) const ACK: u8 = 0x10;
    pub(crate) const URG: u8 = 0x20;
    pub(crate) const ECE: u8 = 0x40;
    pub(crate) const CWR: u8 = 0x80;
}

/// A row is never longer than this, and so is the silence after which UDP may change its direction.
const TIMEOUT_US: i64 = 120_000_000;

/// How far a TCP connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    /// Not at all.
    Open,
    /// A FIN was seen.
    FirstFin,
    /// A FIN of each side was seen.
    BothFins,
    /// Reset, or acknowledged after both FINs. Packets are still added; a SYN begins the next row.
    Closed,
}

/// What makes two TCP segments the same to the reference: flags do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Segment {
    forward: bool,
    window: u16,
    sequence: u32,
    acknowledgement: u32,
    payload_bytes: u32,
}

/// A flow in the table.
#[derive(Debug)]
pub(super) struct Flow {
    row: Row,
    closing: Closing,
    /// Every distinct segment of this row and of those it continues: exact, and without a bound.
    seen: HashSet<Segment>,
}

impl Flow {
    /// A flow of its first packet, in an entry of the table that is new or that an earlier flow gave its name.
    pub(super) fn open(named: Option<Endpoints>, time_us: i64, packet: &Packet) -> Self {
        let sent = Endpoints::of(packet);
        // The second step of a handshake was sent by the server.
        let endpoints = if packet.is_syn_ack() { sent.swapped() } else { sent };
        Self::begin(
            Row::new(named.unwrap_or(endpoints), endpoints, packet, time_us, time_us),
            HashSet::new(),
            time_us,
            packet,
        )
    }

    /// The flow that goes on where this one timed out: same direction, same chain, same segments.
    fn continuation(&mut self, time_us: i64, packet: &Packet) -> Self {
        let row = Row::new(self.row.named, self.row.endpoints, packet, time_us, self.row.chain_first_us);
        Self::begin(row, std::mem::take(&mut self.seen), time_us, packet)
    }

    /// The first packet is counted as any other; its flags do not close.
    fn begin(row: Row, seen: HashSet<Segment>, time_us: i64, packet: &Packet) -> Self {
        let mut flow = Self { row, closing: Closing::Open, seen };
        flow.add(time_us, packet);
        flow
    }

    /// A further packet of the same conversation; the row that it ended, if it did.
    pub(super) fn next(&mut self, time_us: i64, packet: &Packet) -> Option<Row> {
        let reopened = self.closing == Closing::Closed && packet.has(flag::SYN);
        if reopened || time_us.saturating_sub(self.row.first_us) > TIMEOUT_US {
            let next = if reopened || self.is_over(time_us) {
                Self::open(Some(self.row.named), time_us, packet)
            } else {
                self.continuation(time_us, packet)
            };
            return Some(std::mem::replace(self, next).row);
        }
        if self.is_other_message(packet) {
            let next = Self::open(Some(self.row.named), time_us, packet);
            return Some(std::mem::replace(self, next).row);
        }
        self.add(time_us, packet);
        self.close(packet);
        None
    }

    /// Its row, unfinished.
    pub(super) fn into_row(self) -> Row {
        self.row
    }

    /// Whether what comes after a time-out is a flow of its own instead of a continuation.
    fn is_over(&self, time_us: i64) -> bool {
        match self.row.endpoints.protocol {
            Protocol::Tcp => false,
            Protocol::Udp => time_us.saturating_sub(self.row.last_us) > TIMEOUT_US,
            Protocol::Icmp | Protocol::Igmp | Protocol::Sctp | Protocol::Other => true,
        }
    }

    /// An ICMP message that differs from the flow's first in type and in code: one alone does not count, so that a
    /// request and its reply are one flow.
    fn is_other_message(&self, packet: &Packet) -> bool {
        match (self.row.icmp, packet.icmp) {
            (Some((first_type, first_code)), Some((kind, code))) => first_type != kind && first_code != code,
            _ => false,
        }
    }

    fn add(&mut self, time_us: i64, packet: &Packet) {
        let forward = packet.src == self.row.endpoints.src;
        let seen_before = packet.protocol == Protocol::Tcp
            && !self.seen.insert(Segment {
                forward,
                window: packet.window,
                sequence: packet.sequence,
                acknowledgement: packet.acknowledgement,
                payload_bytes: packet.payload_bytes,
            });
        self.row.add(time_us, packet, forward, seen_before);
    }

    /// FIN before RST before ACK: the first that is set decides.
    fn close(&mut self, packet: &Packet) {
        if packet.has(flag::FIN) {
            self.closing = match self.closing {
                Closing::Open => Closing::FirstFin,
                Closing::FirstFin if self.row.forward.has_fin() && self.row.backward.has_fin() => Closing::BothFins,
                unchanged => unchanged,
            };
        } else if packet.has(flag::RST) || packet.has(flag::ACK) && self.closing == Closing::BothFins {
            self.closing = Closing::Closed;
        }
    }
}

#[cfg(test)]
mod tests;
