//! Bulks: runs of at least four packets with payload from one side, none from the other between them, no
//! silence of more than a second (CICFlowMeter's definition).

use super::DirState;
use crate::US_PER_S;
use crate::packet::Packet;

const BULK_PACKETS: u32 = 4;
const BULK_GAP_US: u64 = US_PER_S;

impl DirState {
    /// Follows the run of packets with payload; `other_last_us` is the other side's last one.
    #[inline(always)]
    pub(super) fn bulk(&mut self, packet: &Packet, now_us: u64, other_last_us: u64) {
        if packet.payload_bytes == 0 {
            return;
        }
        let interrupted = other_last_us > self.bulk_start_us;
        let late = now_us.saturating_sub(self.bulk_last_us) > BULK_GAP_US;
        if self.bulk_start_us == 0 || interrupted || late {
            self.bulk_start_us = now_us;
            self.run_packets = 0;
            self.run_bytes = 0;
        }
        let before = self.run_packets;
        self.run_packets = before.wrapping_add(packet.segments);
        self.run_bytes = self.run_bytes.wrapping_add(packet.payload_bytes);
        if self.run_packets >= BULK_PACKETS {
            if before < BULK_PACKETS {
                self.bulks += 1;
                self.bulk_packets = self.bulk_packets.wrapping_add(self.run_packets);
                self.bulk_bytes += self.run_bytes as u64;
                self.bulk_duration_us += now_us - self.bulk_start_us;
            } else {
                self.bulk_packets = self.bulk_packets.wrapping_add(packet.segments);
                self.bulk_bytes += packet.payload_bytes as u64;
                self.bulk_duration_us += now_us.saturating_sub(self.bulk_last_us);
            }
        }
        self.bulk_last_us = now_us;
    }
}
