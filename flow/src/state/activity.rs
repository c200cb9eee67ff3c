//! Active and idle periods, and subflows.

use super::{FlowState, clamp};
use crate::US_PER_S;

/// A silence longer than this ends an active period (CICFlowMeter's activity timeout).
const ACTIVITY_TIMEOUT_US: u64 = 5 * US_PER_S;
/// A silence longer than this starts a subflow.
const SUBFLOW_GAP_US: u64 = US_PER_S;

impl FlowState {
    /// Accounts for the silence of `gap_us` before a packet; `last_us` is still the packet before.
    #[inline(always)]
    pub(super) fn activity(&mut self, gap_us: u64) {
        if gap_us <= SUBFLOW_GAP_US {
            return;
        }
        self.subflow_gaps = self.subflow_gaps.wrapping_add(1);
        if gap_us <= ACTIVITY_TIMEOUT_US {
            return;
        }
        let active = clamp(self.last_us - self.active_start_us);
        if active > 0 {
            self.active_min_us = if self.active_count == 0 { active } else { self.active_min_us.min(active) };
            self.active_max_us = self.active_max_us.max(active);
            self.active_sum_us += active as u64;
            self.active_sq_us2 = self.active_sq_us2.saturating_add((active as u64) * (active as u64));
            self.active_count += 1;
        }
        let idle = clamp(gap_us);
        self.idle_min_us = if self.idle_count == 0 { idle } else { self.idle_min_us.min(idle) };
        self.idle_max_us = self.idle_max_us.max(idle);
        self.idle_sum_us += idle as u64;
        self.idle_sq_us2 = self.idle_sq_us2.saturating_add((idle as u64) * (idle as u64));
        self.idle_count += 1;
        self.active_start_us = self.last_us + gap_us;
    }
}
