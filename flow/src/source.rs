//! What one address did lately, whether or not its packets became flows: the view that shows scans and
//! floods. Kept for senders and, in entries of their own, for receivers.

use crate::key::{Addr, mix};
use crate::packet::{ICMP, ICMPV6, TCP, UDP};
use crate::wire::wire_struct;

/// Entries per set of the table.
pub const WAYS: usize = 4;
/// Length of the window behind the `*_window` counts.
pub const WINDOW_US: u64 = 10 * crate::US_PER_S;

/// Which end of its flows an entry's address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Role {
    /// It opened them.
    Source = 0,
    /// They were opened towards it.
    Destination = 1,
}

impl Role {
    /// The role with this number.
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Source),
            1 => Some(Self::Destination),
            _ => None,
        }
    }
}

/// Bits of [`SourceState::status`].
pub mod status {
    /// Completed a handshake at least once: its address is not spoofed, and its entry is kept longest.
    pub const ESTABLISHED: u8 = 1;
}

wire_struct! {
    /// Counts of one address in one role. Windows start at multiples of [`WINDOW_US`].
    pub struct SourceState {
        /// The address.
        pub addr: Addr,
        /// A [`Role`].
        pub role: u8,
        /// Bits of [`status`].
        pub status: u8,
        /// Separates networks, as in the flow key.
        pub domain: u16,
        /// Highest level reported in this window: new flows.
        pub level_new: u8,
        /// Highest level reported in this window: unanswered flows.
        pub level_unanswered: u8,
        /// Highest level reported in this window: open flows.
        pub level_open: u8,
        /// Always zero.
        pub zero: u8,
        /// First seen, µs since boot; 0 marks an empty slot.
        pub first_us: u64,
        /// Last new flow, µs since boot.
        pub last_us: u64,
        /// Number of the current window.
        pub window: u32,
        /// Flows open now whose handshake completed.
        pub open: u32,
        /// New flows, ever.
        pub new_total: u32,
        /// Flows that were answered, ever.
        pub answered_total: u32,
        /// Flows established, ever.
        pub established_total: u32,
        /// New flows in this window.
        pub new_window: u32,
        /// Flows answered in this window.
        pub answered_window: u32,
        /// Flows ended by a reset in this window.
        pub reset_window: u32,
        /// New flows in the window before.
        pub new_before: u32,
        /// Flows answered in the window before.
        pub answered_before: u32,
        /// New TCP flows in this window.
        pub tcp_window: u32,
        /// New UDP flows in this window.
        pub udp_window: u32,
        /// New ICMP flows in this window.
        pub icmp_window: u32,
        /// Bytes on the wire of first packets in this window.
        pub bytes_window: u32,
        /// Single-packet flows overwritten before they were exported, ever.
        pub folded_packets: u32,
        /// Packets refused by a limit on new flows, ever.
        pub limited_packets: u32,
        /// Sketch of destination ports in this window (linear counting, Whang et al. 1990).
        pub ports: [u64; 4],
        /// Sketch of peer addresses in this window.
        pub peers: [u64; 4],
    }
}

wire_struct! {
    /// One set of the table.
    pub struct SourceSet {
        /// The kernel's try-lock.
        pub lock: u32,
        /// Always zero.
        pub zero: u32,
        /// The entries, in no order.
        pub ways: [SourceState; 4],
    }
}

/// Levels at which a count is reported: 8, 32, 128, 512, 2048, 8192, 32768, 131072.
#[inline(always)]
pub fn level(count: u32) -> u8 {
    let mut level = 0;
    let mut at = 8;
    while level < 8 {
        if count < at {
            return level;
        }
        at *= 4;
        level += 1;
    }
    level
}

impl SourceState {
    /// Whether the entry is about this address in this [`Role`].
    #[inline(always)]
    pub fn is(&self, addr: Addr, role: u8, domain: u16) -> bool {
        self.first_us != 0
            && self.addr.lo == addr.lo
            && self.addr.hi == addr.hi
            && self.role == role
            && self.domain == domain
    }

    /// Moves on to the window of `now_us`.
    #[inline(always)]
    pub fn roll(&mut self, now_us: u64) {
        let window = (now_us / WINDOW_US) as u32;
        if window == self.window {
            return;
        }
        let adjacent = window == self.window.wrapping_add(1);
        self.new_before = if adjacent { self.new_window } else { 0 };
        self.answered_before = if adjacent { self.answered_window } else { 0 };
        self.window = window;
        self.level_new = 0;
        self.level_unanswered = 0;
        self.level_open = 0;
        self.new_window = 0;
        self.answered_window = 0;
        self.reset_window = 0;
        self.tcp_window = 0;
        self.udp_window = 0;
        self.icmp_window = 0;
        self.bytes_window = 0;
        let mut i = 0;
        while i < 4 {
            self.ports[i] = 0;
            self.peers[i] = 0;
            i += 1;
        }
    }

    /// Counts a new flow: its protocol, its destination port, the bytes of its first packet, its other end.
    #[inline(always)]
    pub fn opened(&mut self, protocol: u8, port: u16, wire_bytes: u32, peer: Addr, now_us: u64) {
        self.last_us = now_us;
        self.new_total = self.new_total.wrapping_add(1);
        self.new_window += 1;
        match protocol {
            TCP => self.tcp_window += 1,
            UDP => self.udp_window += 1,
            ICMP | ICMPV6 => self.icmp_window += 1,
            _ => {}
        }
        self.bytes_window = self.bytes_window.saturating_add(wire_bytes);
        mark(&mut self.ports, mix(0, port as u64));
        mark(&mut self.peers, mix(mix(0, peer.hi), peer.lo));
    }

    /// Whether a count reached a level that was not reported in this window; the levels are then noted.
    #[inline(always)]
    pub fn rises(&mut self) -> bool {
        let new = level(self.new_window);
        let unanswered = level(self.new_window.saturating_sub(self.answered_window));
        let open = level(self.open);
        let risen = new > self.level_new || unanswered > self.level_unanswered || open > self.level_open;
        self.level_new = self.level_new.max(new);
        self.level_unanswered = self.level_unanswered.max(unanswered);
        self.level_open = self.level_open.max(open);
        risen
    }

    /// How much is lost when this entry is overwritten: empty slots first, then addresses that never
    /// completed a handshake, oldest first.
    #[inline(always)]
    pub fn worth(&self) -> u64 {
        if self.first_us == 0 {
            return 0;
        }
        let kept = (self.status & status::ESTABLISHED != 0) as u64;
        (kept << 62) | (self.last_us & ((1 << 62) - 1))
    }
}

#[inline(always)]
fn mark(sketch: &mut [u64; 4], hash: u64) {
    let bit = 1u64 << (hash & 63);
    // Named words instead of an index: the verifier need not bound anything.
    match (hash >> 6) & 3 {
        0 => sketch[0] |= bit,
        1 => sketch[1] |= bit,
        2 => sketch[2] |= bit,
        _ => sketch[3] |= bit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_powers_of_four_times_eight() {
        assert_eq!([0, 7, 8, 31, 32, 127, 128, 131_071, 131_072].map(level), [0, 0, 1, 1, 2, 2, 3, 7, 8]);
    }
}
