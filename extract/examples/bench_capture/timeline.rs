//! When each packet of each repetition comes.

use super::pool::Pool;

/// Repetitions begin within so many µs.
const WINDOW_US: u64 = 120_000_000;

/// A packet's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// After the first of all, µs.
    pub(crate) at_us: u64,
    /// Which repetition of which capture: no two have the same.
    pub(crate) instance: u32,
    pub(crate) capture: u32,
    pub(crate) packet: u32,
}

/// All packets in order of time.
pub(crate) struct Timeline {
    pub(crate) slots: Vec<Slot>,
}

impl Timeline {
    /// As many whole repetitions of the pool as make `packets` or more.
    pub(crate) fn new(pool: &Pool, packets: usize) -> Self {
        let repetitions = packets.div_ceil(pool.packets());
        let mut slots = Vec::with_capacity(repetitions * pool.packets());
        let mut instance = 0;
        for _ in 0..repetitions {
            for (capture, content) in pool.captures.iter().enumerate() {
                let begin_us = scattered(instance) % WINDOW_US;
                slots.extend(content.iter().enumerate().map(|(packet, one)| Slot {
                    at_us: begin_us + one.after_us,
                    instance,
                    capture: capture as u32,
                    packet: packet as u32,
                }));
                instance += 1;
            }
        }
        // Stable: packets of the same microsecond keep their order.
        slots.sort_by_key(|slot| slot.at_us);
        Self { slots }
    }

    /// From the first to the last packet, µs.
    pub(crate) fn length_us(&self) -> u64 {
        self.slots.last().map_or(0, |slot| slot.at_us)
    }
}

/// A number that looks drawn by chance, the same each time (the finaliser of splitmix64).
pub(crate) fn scattered(number: u32) -> u64 {
    let mut x = (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::super::pool::Packet;
    use super::*;

    #[test]
    fn whole_repetitions_in_order_of_time() {
        let packet = |after_us| Packet { after_us, original_bytes: 60, bytes: vec![0; 60] };
        let pool = Pool { captures: vec![vec![packet(0), packet(7)], vec![packet(0)]] };
        let timeline = Timeline::new(&pool, 100);
        assert_eq!(timeline.slots.len(), 102);
        assert!(timeline.slots.is_sorted_by_key(|slot| slot.at_us));
        for instance in 0..68 {
            let of: Vec<_> = timeline.slots.iter().filter(|slot| slot.instance == instance).collect();
            match of.as_slice() {
                [one] => assert_eq!((one.capture, one.packet), (1, 0)),
                [a, b] => assert_eq!((a.packet, b.packet, b.at_us - a.at_us), (0, 1, 7)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(timeline.slots, Timeline::new(&pool, 100).slots);
    }
}
