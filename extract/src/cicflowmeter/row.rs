//! One row: the integers from which its columns follow.

use std::io::{self, Write};
use std::net::Ipv4Addr;

use super::activity::Activity;
use super::columns::COLUMNS;
use super::direction::Direction;
use super::moments::Moments;
use super::packet::{Packet, Protocol};

/// A longer gap between two packets of a row is a boundary between subflows.
const SUBFLOW_GAP_US: i64 = 1_000_000;

/// Both ends and the protocol, with a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Endpoints {
    pub(super) src: Ipv4Addr,
    pub(super) src_port: u16,
    pub(super) dst: Ipv4Addr,
    pub(super) dst_port: u16,
    pub(super) protocol: Protocol,
}

impl Endpoints {
    pub(super) fn of(packet: &Packet) -> Self {
        let Packet { src, src_port, dst, dst_port, protocol, .. } = *packet;
        Self { src, src_port, dst, dst_port, protocol }
    }

    pub(super) fn swapped(self) -> Self {
        Self { src: self.dst, src_port: self.dst_port, dst: self.src, dst_port: self.src_port, ..self }
    }
}

/// A flow as the reference writes it, in whole numbers; [`COLUMNS`] derives its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Of the flow that made the entry in the table: a later one in the same entry keeps the name, even if it runs the
    /// other way.
    pub(super) named: Endpoints,
    pub(super) endpoints: Endpoints,
    /// First packet of this row.
    pub(super) first_us: i64,
    /// Last packet of this row, in the order of the capture.
    pub(super) last_us: i64,
    /// First packet of the first row of the chain that this one continues.
    pub(super) chain_first_us: i64,
    /// Whether the first packet went forward.
    pub(super) began_forward: bool,
    /// Type and code of the first packet.
    pub(super) icmp: Option<(u8, u8)>,
    pub(super) forward: Direction,
    pub(super) backward: Direction,
    /// Gaps between consecutive packets of either direction.
    pub(super) gaps_us: Moments,
    /// Boundaries between subflows: one less than there are.
    pub(super) subflow_boundaries: u64,
    pub(super) activity: Activity,
    /// Window of the first packet, if that went forward.
    pub(super) forward_window: u16,
    /// Window of the first backward packet; while it is 0 the next one's takes its place.
    pub(super) backward_window: u16,
}

impl Row {
    /// A row that this packet begins, without having been added.
    pub(super) fn new(named: Endpoints, ends: Endpoints, first: &Packet, first_us: i64, chain_first_us: i64) -> Self {
        let began_forward = first.src == ends.src;
        Self {
            named,
            endpoints: ends,
            first_us,
            last_us: first_us,
            chain_first_us,
            began_forward,
            icmp: first.icmp,
            forward: Direction::default(),
            backward: Direction::default(),
            gaps_us: Moments::default(),
            subflow_boundaries: 0,
            activity: Activity::from(first_us),
            forward_window: if began_forward { first.window } else { 0 },
            backward_window: 0,
        }
    }

    /// Counts a packet. `seen_before`: an equal segment was in this row or in those that it continues.
    pub(super) fn add(&mut self, time_us: i64, packet: &Packet, forward: bool, seen_before: bool) {
        if self.packets() > 0 {
            let gap_us = time_us.saturating_sub(self.last_us);
            self.gaps_us.add(gap_us);
            self.subflow_boundaries += u64::from(gap_us > SUBFLOW_GAP_US);
            self.activity.add(time_us);
        }
        self.last_us = time_us;
        if !forward && self.backward_window == 0 {
            self.backward_window = packet.window;
        }
        let (own, other) =
            if forward { (&mut self.forward, &self.backward) } else { (&mut self.backward, &self.forward) };
        own.add(time_us, packet, other.bulk.last_data_us());
        own.retransmitted += u64::from(seen_before);
    }

    /// Time of the first packet, microseconds since 1970 in UTC.
    pub fn first_us(&self) -> i64 {
        self.first_us
    }

    /// Time of the last packet, microseconds since 1970 in UTC.
    pub fn last_us(&self) -> i64 {
        self.last_us
    }

    /// Source address and port.
    pub fn source(&self) -> (Ipv4Addr, u16) {
        (self.endpoints.src, self.endpoints.src_port)
    }

    /// Destination address and port.
    pub fn destination(&self) -> (Ipv4Addr, u16) {
        (self.endpoints.dst, self.endpoints.dst_port)
    }

    /// Protocol column.
    pub fn protocol(&self) -> Protocol {
        self.endpoints.protocol
    }

    /// Writes it as a line of CSV, numbers as the reference writes them.
    pub fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        // No cell can hold a comma or a quote: texts are addresses, times and a constant.
        for (number, column) in COLUMNS.iter().enumerate() {
            if number > 0 {
                out.write_all(b",")?;
            }
            write!(out, "{}", (column.value)(self))?;
        }
        out.write_all(b"\n")
    }

    pub(super) fn packets(&self) -> u64 {
        self.forward.packets() + self.backward.packets()
    }

    /// Payload bytes of each packet, both directions.
    pub(super) fn payload_bytes(&self) -> Moments {
        self.forward.payload_bytes.with(&self.backward.payload_bytes)
    }

    pub(super) fn duration_us(&self) -> i64 {
        self.last_us.saturating_sub(self.first_us)
    }

    /// Packets with a flag, both directions.
    pub(super) fn flagged(&self, one: u8) -> u64 {
        self.forward.flagged(one) + self.backward.flagged(one)
    }
}

/// Writes the names of the columns as a line of CSV.
pub fn write_csv_header(out: &mut impl Write) -> io::Result<()> {
    let names: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
    writeln!(out, "{}", names.join(","))
}
