//! What is kept of a flow, and how a packet changes it.
//!
//! All times are microseconds since boot. Sums of squares saturate; with the active timeout of a flow
//! (minutes) they stay far below.

mod activity;
mod bulk;
mod direction;

pub use direction::DirState;

use crate::key::FlowKey;
use crate::packet::{Packet, TCP, tcp_flag};
use crate::record::Reason;
use crate::wire::wire_struct;

/// Packets whose size and gap are kept one by one.
pub const FIRST_PACKETS: usize = 16;

/// Bits of [`FlowState::status`].
pub mod status {
    /// The flow's first packet came from endpoint A of the key.
    pub const INITIATOR_IS_A: u8 = 0x01;
    /// Exported as ended; stays as a marker until swept, so that stray last packets open no new flow.
    pub const ENDED: u8 = 0x02;
    /// Being exported and deleted by the sweep.
    pub const CLOSING: u8 = 0x04;
    /// The initiator spoke again after an answer: neither end's address is spoofed.
    pub const ESTABLISHED: u8 = 0x08;
    /// FIN seen from the initiator.
    pub const FIN_FWD: u8 = 0x10;
    /// FIN seen from the responder.
    pub const FIN_BWD: u8 = 0x20;
    /// The flow's first packet left this machine.
    pub const OUTBOUND: u8 = 0x40;
    /// The responder spoke, be it before an active time-out.
    pub const ANSWERED: u8 = 0x80;
}

wire_struct! {
    /// The integer state of one flow; 568 bytes, hot fields first.
    pub struct FlowState {
        /// The kernel's try-lock, with [`FlowKey::tag`] in the bits above the lowest; 0 in records.
        pub lock: u32,
        /// Bits of [`status`].
        pub status: u8,
        /// Early stages exported already, a bit per [`crate::Stage`].
        pub stages: u8,
        /// First packets stored in `first_sizes`, at most [`FIRST_PACKETS`].
        pub first_count: u8,
        /// ICMP type of the first packet, else 0.
        pub icmp_type: u8,
        /// Time of the first packet, µs since boot.
        pub first_us: u64,
        /// Time of the last packet, µs since boot.
        pub last_us: u64,
        /// Sum of squared gaps between arrivals, µs².
        pub iat_sq_us2: u64,
        /// Shortest gap between arrivals, µs; `u32::MAX` before the second arrival.
        pub iat_min_us: u32,
        /// Longest gap between arrivals, µs.
        pub iat_max_us: u32,
        /// Start of the current active period, µs since boot.
        pub active_start_us: u64,
        /// Sum of active periods, µs.
        pub active_sum_us: u64,
        /// Sum of squared active periods, µs².
        pub active_sq_us2: u64,
        /// Sum of idle periods, µs.
        pub idle_sum_us: u64,
        /// Sum of squared idle periods, µs².
        pub idle_sq_us2: u64,
        /// Active periods counted.
        pub active_count: u32,
        /// Shortest active period, µs.
        pub active_min_us: u32,
        /// Longest active period, µs.
        pub active_max_us: u32,
        /// Idle periods counted.
        pub idle_count: u32,
        /// Shortest idle period, µs.
        pub idle_min_us: u32,
        /// Longest idle period, µs.
        pub idle_max_us: u32,
        /// Gaps longer than a second (each starts a new subflow).
        pub subflow_gaps: u32,
        /// Packets whose time was before the flow's last one (two CPUs, or a clock that stepped back).
        pub time_reversals: u32,
        /// Packets that arrived merged into a train.
        pub merged_packets: u32,
        /// ICMP code of the first packet.
        pub icmp_code: u8,
        /// TCP flags seen so far in either direction.
        pub flags_seen: u8,
        /// TCP flags of the first packet.
        pub first_flags: u8,
        /// Always zero.
        pub zero: u8,
        /// From the initiator to the responder.
        pub fwd: DirState,
        /// From the responder to the initiator.
        pub bwd: DirState,
        /// Payload sizes of the first arrivals, bytes; negative from the responder.
        pub first_sizes: [i16; 16],
        /// Gap before each of the first arrivals, µs; 0 for the first.
        pub first_gaps_us: [u32; 16],
    }
}

/// What one packet changed beside the numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The responder spoke for the first time.
    pub answered: bool,
    /// The initiator spoke again after an answer, for the first time.
    pub established: bool,
    /// The packet ended the flow, and how.
    pub end: Option<End>,
}

/// How TCP says that a flow is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A FIN from each side.
    Fin,
    /// A reset.
    Rst,
}

impl From<End> for Reason {
    #[inline(always)]
    fn from(end: End) -> Self {
        match end {
            End::Fin => Self::Fin,
            End::Rst => Self::Rst,
        }
    }
}

impl FlowState {
    /// Packets of both directions.
    #[inline(always)]
    pub fn packets(&self) -> u64 {
        self.fwd.packets + self.bwd.packets
    }

    /// Whether the sender of a packet, endpoint A or not, is the initiator.
    #[inline(always)]
    pub fn is_forward(&self, sender_is_a: bool) -> bool {
        (self.status & status::INITIATOR_IS_A != 0) == sender_is_a
    }

    /// Whether all of `bits` are set in [`FlowState::status`].
    #[inline(always)]
    pub fn has(&self, bits: u8) -> bool {
        self.status & bits == bits
    }

    /// Whether the active time-out cut the flow and no packet came since: it has its status and the time of its last
    /// packet, and counts nothing.
    #[inline(always)]
    pub fn is_cut(&self) -> bool {
        self.first_us == 0 && self.last_us != 0
    }

    /// Goes on with the first packet after a cut: the initiator and what is known of both ends stay.
    #[inline(always)]
    pub fn resume(&mut self, packet: &Packet, sender_is_a: bool, now_us: u64) -> Change {
        self.begin(packet, now_us);
        self.count(packet, sender_is_a, now_us, 0)
    }

    /// Opens the flow with its first packet. Expects an all-zero state.
    #[inline(always)]
    pub fn open(&mut self, packet: &Packet, sender_is_a: bool, outbound: bool, now_us: u64) -> Change {
        if sender_is_a {
            self.status |= status::INITIATOR_IS_A;
        }
        if outbound {
            self.status |= status::OUTBOUND;
        }
        self.begin(packet, now_us);
        self.count(packet, sender_is_a, now_us, 0)
    }

    #[inline(always)]
    fn begin(&mut self, packet: &Packet, now_us: u64) {
        self.first_us = now_us;
        self.last_us = now_us;
        self.active_start_us = now_us;
        self.iat_min_us = u32::MAX;
        self.icmp_type = (packet.icmp >> 8) as u8;
        self.icmp_code = packet.icmp as u8;
        self.first_flags = packet.flags;
    }

    /// Counts a further packet.
    #[inline(always)]
    pub fn update(&mut self, packet: &Packet, sender_is_a: bool, now_us: u64) -> Change {
        let gap_us = if now_us < self.last_us {
            self.time_reversals = self.time_reversals.wrapping_add(1);
            0
        } else {
            now_us - self.last_us
        };
        let gap = clamp(gap_us);
        self.iat_sq_us2 = self.iat_sq_us2.saturating_add((gap as u64) * (gap as u64));
        self.iat_min_us = self.iat_min_us.min(gap);
        self.iat_max_us = self.iat_max_us.max(gap);
        self.activity(gap_us);
        self.last_us += gap_us;
        let now_us = self.last_us;
        self.count(packet, sender_is_a, now_us, gap)
    }

    #[inline(always)]
    fn count(&mut self, packet: &Packet, sender_is_a: bool, now_us: u64, gap: u32) -> Change {
        let forward = self.is_forward(sender_is_a);
        self.first_packet(packet, forward, gap);
        self.flags_seen |= packet.flags;
        if packet.segments > 1 {
            self.merged_packets = self.merged_packets.wrapping_add(packet.segments);
        }
        let other_bulk_us = if forward { self.bwd.bulk_last_us } else { self.fwd.bulk_last_us };
        let direction = if forward { &mut self.fwd } else { &mut self.bwd };
        direction.count(packet, now_us);
        direction.bulk(packet, now_us, other_bulk_us);
        let mut change = Change::default();
        let known = self.status & (status::ANSWERED | status::ESTABLISHED);
        if !forward && known & status::ANSWERED == 0 {
            self.status |= status::ANSWERED;
            change.answered = true;
        }
        if forward && known == status::ANSWERED && self.confirms(packet) {
            self.status |= status::ESTABLISHED;
            change.established = true;
        }
        change.end = self.end(packet, forward);
        change
    }

    /// Whether a packet of the initiator proves that it saw what the responder sent. For TCP it acknowledges the
    /// responder's SYN (RFC 9293, 3.5) and nothing beyond what came; whoever forges its address has to guess. Elsewhere
    /// any packet will do, and proves nothing.
    #[inline(always)]
    fn confirms(&self, packet: &Packet) -> bool {
        const KIND: u8 = tcp_flag::SYN | tcp_flag::ACK | tcp_flag::RST;
        packet.protocol != TCP
            || packet.flags & KIND == tcp_flag::ACK
                && self.bwd.next_seq.wrapping_sub(packet.ack) as u64 <= self.bwd.payload_bytes
    }

    #[inline(always)]
    fn first_packet(&mut self, packet: &Packet, forward: bool, gap: u32) {
        let i = self.first_count as usize;
        if i < FIRST_PACKETS {
            let size = packet.payload_bytes.min(i16::MAX as u32) as i16;
            self.first_sizes[i] = if forward { size } else { -size };
            self.first_gaps_us[i] = gap;
            self.first_count += 1;
        }
    }

    #[inline(always)]
    fn end(&mut self, packet: &Packet, forward: bool) -> Option<End> {
        if packet.protocol != TCP {
            return None;
        }
        if packet.flags & tcp_flag::RST != 0 {
            return Some(End::Rst);
        }
        if packet.flags & tcp_flag::FIN != 0 {
            self.status |= if forward { status::FIN_FWD } else { status::FIN_BWD };
            if self.has(status::FIN_FWD | status::FIN_BWD) {
                return Some(End::Fin);
            }
        }
        None
    }
}

/// Initiator and responder as (address, port) pairs.
pub fn endpoints(key: &FlowKey, state: &FlowState) -> ((crate::Addr, u16), (crate::Addr, u16)) {
    let (a, b) = ((key.addr_a, key.port_a), (key.addr_b, key.port_b));
    if state.has(status::INITIATOR_IS_A) { (a, b) } else { (b, a) }
}

#[inline(always)]
pub(crate) fn clamp(us: u64) -> u32 {
    if us > u32::MAX as u64 { u32::MAX } else { us as u32 }
}

#[cfg(test)]
mod tests;
