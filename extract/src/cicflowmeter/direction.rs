//! What one direction of a row adds up to.

use super::bulk::Bulk;
use super::flow::flag;
use super::moments::Moments;
use super::packet::Packet;

/// Number of TCP flags.
const FLAGS: usize = 8;

/// One direction of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Direction {
    /// Payload bytes of each packet.
    pub(super) payload_bytes: Moments,
    /// Gaps between consecutive packets of this direction.
    pub(super) gaps_us: Moments,
    last_us: i64,
    /// Packets by TCP flag, by bit of the flags byte.
    flagged: [u64; FLAGS],
    /// Transport headers together.
    pub(super) header_bytes: u64,
    /// The shortest transport header.
    pub(super) header_bytes_min: u32,
    /// Packets with payload.
    pub(super) data_packets: u64,
    /// Segments that were there before.
    pub(super) retransmitted: u64,
    /// Its bulks.
    pub(super) bulk: Bulk,
}

impl Direction {
    /// A packet of this direction; `other_last_data_us` as in [`Bulk::add`].
    pub(super) fn add(&mut self, time_us: i64, packet: &Packet, other_last_data_us: i64) {
        self.bulk.add(time_us, packet.payload_bytes, other_last_data_us);
        if self.packets() == 0 {
            self.header_bytes_min = packet.header_bytes;
        } else {
            self.gaps_us.add(time_us.saturating_sub(self.last_us));
            self.header_bytes_min = self.header_bytes_min.min(packet.header_bytes);
        }
        self.last_us = time_us;
        self.payload_bytes.add(i64::from(packet.payload_bytes));
        self.header_bytes += u64::from(packet.header_bytes);
        self.data_packets += u64::from(packet.payload_bytes > 0);
        for (bit, count) in self.flagged.iter_mut().enumerate() {
            *count += u64::from(packet.flags >> bit & 1);
        }
    }

    pub(super) fn packets(&self) -> u64 {
        self.payload_bytes.count()
    }

    /// Packets with one flag of [`flag`].
    pub(super) fn flagged(&self, one: u8) -> u64 {
        self.flagged.get(one.trailing_zeros() as usize).copied().unwrap_or(0)
    }

    pub(super) fn has_fin(&self) -> bool {
        self.flagged(flag::FIN) > 0
    }
}
