//! One direction of a flow.

use super::clamp;
use crate::packet::Packet;
use crate::wire::wire_struct;

wire_struct! {
    /// Counts of one direction. "Payload" is transport payload, "header" the transport header.
    pub struct DirState {
        /// Wire packets.
        pub packets: u64,
        /// Bytes on the wire from the Ethernet header on.
        pub wire_bytes: u64,
        /// Payload bytes.
        pub payload_bytes: u64,
        /// Sum of squared payload sizes, bytes².
        pub payload_sq_bytes2: u64,
        /// Sum of squared gaps, µs².
        pub iat_sq_us2: u64,
        /// Time of the direction's first packet, µs since boot.
        pub first_us: u64,
        /// Time of the direction's last packet, µs since boot.
        pub last_us: u64,
        /// Shortest gap, µs; `u32::MAX` before the second arrival.
        pub iat_min_us: u32,
        /// Longest gap, µs.
        pub iat_max_us: u32,
        /// Arrivals: a merged train is one.
        pub arrivals: u32,
        /// Transport header bytes.
        pub header_bytes: u32,
        /// Packets with payload.
        pub data_packets: u32,
        /// Packets with FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, in the order of the header's bits.
        pub flags: [u32; 8],
        /// Packets that sent again what was sent before, by sequence number: a keep-alive with its one old byte too,
        /// and a segment that arrives after a later one.
        pub retransmissions: u32,
        /// The sequence number that follows what was sent so far.
        pub next_seq: u32,
        /// Smallest payload of a packet, bytes.
        pub payload_min: u16,
        /// Largest payload of a packet, bytes.
        pub payload_max: u16,
        /// Smallest transport header, bytes.
        pub header_min: u16,
        /// TCP window of the first packet.
        pub window_first: u16,
        /// TCP window of the last packet.
        pub window_last: u16,
        /// Packets that announced a window of zero.
        pub zero_windows: u16,
        /// Start of the run of packets that may become a bulk, µs since boot; 0 for none.
        pub bulk_start_us: u64,
        /// Last packet with payload, µs since boot.
        pub bulk_last_us: u64,
        /// Bytes in bulks.
        pub bulk_bytes: u64,
        /// Time spent in bulks, µs.
        pub bulk_duration_us: u64,
        /// Packets of the current run.
        pub run_packets: u32,
        /// Bytes of the current run.
        pub run_bytes: u32,
        /// Bulks: runs of four packets or more.
        pub bulks: u32,
        /// Packets in bulks.
        pub bulk_packets: u32,
    }
}

impl DirState {
    /// Counts one arrival.
    #[inline(always)]
    pub(super) fn count(&mut self, packet: &Packet, now_us: u64) {
        self.gap(now_us);
        self.sizes(packet);
        let segments = packet.segments;
        if packet.flags != 0 {
            self.flags(packet.flags as u32, segments);
        }
        if packet.has_tcp_header() {
            self.tcp(packet);
        }
        self.packets += segments as u64;
    }

    #[inline(always)]
    fn flags(&mut self, flags: u32, segments: u32) {
        self.flags[3] += (flags >> 3) & 1;
        self.flags[4] += ((flags >> 4) & 1) * segments;
        // Most packets carry no other flag than PSH and ACK.
        if flags & 0xe7 == 0 {
            return;
        }
        self.flags[0] += flags & 1;
        self.flags[1] += (flags >> 1) & 1;
        self.flags[2] += (flags >> 2) & 1;
        self.flags[5] += (flags >> 5) & 1;
        self.flags[6] += (flags >> 6) & 1;
        self.flags[7] += flags >> 7;
    }

    #[inline(always)]
    fn gap(&mut self, now_us: u64) {
        if self.packets == 0 {
            self.first_us = now_us;
            self.iat_min_us = u32::MAX;
        } else {
            let gap = clamp(now_us.saturating_sub(self.last_us));
            self.iat_sq_us2 = self.iat_sq_us2.saturating_add((gap as u64) * (gap as u64));
            self.iat_min_us = self.iat_min_us.min(gap);
            self.iat_max_us = self.iat_max_us.max(gap);
        }
        self.arrivals = self.arrivals.wrapping_add(1);
        self.last_us = now_us;
    }

    #[inline(always)]
    fn sizes(&mut self, packet: &Packet) {
        let payload = packet.payload_bytes;
        let (mut smallest, mut largest) = (payload, payload);
        let mut squares = (payload as u64) * (payload as u64);
        if packet.segments > 1 {
            let each = packet.segment_bytes as u64;
            let whole = (packet.segments - 1) as u64;
            let last = (payload as u64).saturating_sub(each * whole);
            squares = each * each * whole + last * last;
            smallest = each.min(last) as u32;
            largest = each.max(last) as u32;
        }
        let smallest = smallest.min(u16::MAX as u32) as u16;
        let largest = largest.min(u16::MAX as u32) as u16;
        if self.packets == 0 {
            self.payload_min = smallest;
            self.header_min = packet.header_bytes;
        } else {
            self.payload_min = self.payload_min.min(smallest);
            self.header_min = self.header_min.min(packet.header_bytes);
        }
        self.payload_max = self.payload_max.max(largest);
        self.wire_bytes += packet.wire_bytes as u64;
        self.payload_bytes += payload as u64;
        self.payload_sq_bytes2 = self.payload_sq_bytes2.saturating_add(squares);
        self.header_bytes = self.header_bytes.wrapping_add(packet.header_bytes as u32 * packet.segments);
        if payload > 0 {
            self.data_packets = self.data_packets.wrapping_add(packet.segments);
        }
    }

    #[inline(always)]
    fn tcp(&mut self, packet: &Packet) {
        // SYN and FIN take one sequence number each (RFC 9293, 3.4).
        let takes = packet.payload_bytes + ((packet.flags as u32) & 1) + ((packet.flags as u32 >> 1) & 1);
        let next = packet.seq.wrapping_add(takes);
        if self.packets == 0 {
            self.window_first = packet.window;
            self.next_seq = next;
        } else if takes > 0 {
            // Serial number arithmetic (RFC 1982): the upper half of the circle lies behind.
            if next.wrapping_sub(self.next_seq).wrapping_sub(1) >= 0x8000_0000 {
                self.retransmissions = self.retransmissions.wrapping_add(1);
            } else {
                self.next_seq = next;
            }
        }
        self.window_last = packet.window;
        if packet.window == 0 {
            self.zero_windows = self.zero_windows.wrapping_add(1);
        }
    }
}
