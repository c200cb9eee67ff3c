//! Bulks: at least four data packets one way, with no data the other way and no gap above a second between them.

/// A longer gap between two data packets begins a new run.
const GAP_MAX_US: i64 = 1_000_000;
/// A run of so many data packets is a bulk.
const BULK_PACKETS: u64 = 4;

/// The bulks of one direction, and the run of data packets that may become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bulk {
    /// When the run began. 0 says that there is none, as in the reference: a clock that starts at 0 has the same
    /// blind spot there.
    start_us: i64,
    run_packets: u64,
    run_bytes: u64,
    /// Time of the direction's last packet with payload; 0 before the first.
    last_data_us: i64,
    bulks: u64,
    packets: u64,
    bytes: u64,
    duration_us: i64,
}

impl Bulk {
    /// A packet of this direction. `other_last_data_us` is the other direction's [`Self::last_data_us`].
    pub(super) fn add(&mut self, time_us: i64, payload_bytes: u32, other_last_data_us: i64) {
        if other_last_data_us > self.start_us {
            self.start_us = 0;
        }
        if payload_bytes == 0 {
            return;
        }
        let bytes = u64::from(payload_bytes);
        let gap_us = time_us.saturating_sub(self.last_data_us);
        if self.start_us == 0 || gap_us > GAP_MAX_US {
            (self.start_us, self.run_packets, self.run_bytes) = (time_us, 1, bytes);
        } else {
            self.run_packets += 1;
            self.run_bytes += bytes;
            self.lengthen(time_us, bytes, gap_us);
        }
        self.last_data_us = time_us;
    }

    fn lengthen(&mut self, time_us: i64, bytes: u64, gap_us: i64) {
        if self.run_packets == BULK_PACKETS {
            self.bulks += 1;
            self.packets += BULK_PACKETS;
            self.bytes += self.run_bytes;
            self.duration_us = self.duration_us.saturating_add(time_us.saturating_sub(self.start_us));
        } else if self.run_packets > BULK_PACKETS {
            self.packets += 1;
            self.bytes += bytes;
            self.duration_us = self.duration_us.saturating_add(gap_us);
        }
    }

    pub(super) fn last_data_us(&self) -> i64 {
        self.last_data_us
    }

    /// Payload bytes a bulk.
    pub(super) fn bytes_mean(&self) -> f64 {
        if self.bulks == 0 { 0.0 } else { self.bytes as f64 / self.bulks as f64 }
    }

    /// Data packets a bulk.
    pub(super) fn packets_mean(&self) -> f64 {
        if self.bulks == 0 { 0.0 } else { self.packets as f64 / self.bulks as f64 }
    }

    /// Payload bytes a second of bulk.
    pub(super) fn rate_bytes_per_s(&self) -> f64 {
        if self.duration_us == 0 { 0.0 } else { self.bytes as f64 / (self.duration_us as f64 / 1e6) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_packets_are_a_bulk_and_more_lengthen_it() {
        let mut bulk = Bulk::default();
        for time_us in [10, 20, 40] {
            bulk.add(time_us, 100, 0);
        }
        assert_eq!(bulk.packets_mean(), 0.0);
        bulk.add(110, 100, 0);
        bulk.add(210, 50, 0);
        assert_eq!((bulk.packets_mean(), bulk.bytes_mean()), (5.0, 450.0));
        assert_eq!(bulk.rate_bytes_per_s(), 450.0 / 200e-6);
    }

    #[test]
    fn data_the_other_way_ends_a_run_but_not_at_its_first_instant() {
        let run = |other_us: i64| {
            let mut bulk = Bulk::default();
            bulk.add(10, 1, 0);
            (11..14).for_each(|time_us| bulk.add(time_us, 1, other_us));
            bulk.packets_mean()
        };
        assert_eq!((run(10), run(11)), (4.0, 0.0));
    }

    #[test]
    fn a_gap_above_a_second_begins_anew() {
        let run = |gap_us: i64| {
            let mut bulk = Bulk::default();
            (1..4).chain([3 + gap_us]).for_each(|time_us| bulk.add(time_us, 1, 0));
            bulk.packets_mean()
        };
        assert_eq!((run(GAP_MAX_US), run(GAP_MAX_US + 1)), (4.0, 0.0));
    }
}
