//! What a computing function sees of a record.

use std::sync::LazyLock;

use crate::context::{PairTotals, WindowTotals};
use crate::moments::Sums;
use ganglion_flow::state::DirState;
use ganglion_flow::{FlowState, RecordHeader, SourceState};

/// A record and its context. In a SOURCE row `flow` is all zero, in a FLOW row `source` is.
pub(crate) struct View<'a> {
    pub(crate) header: &'a RecordHeader,
    pub(crate) flow: &'a FlowState,
    pub(crate) protocol: u8,
    pub(crate) source: &'a SourceState,
    /// Per window: what the initiator did.
    pub(crate) actor: &'a [WindowTotals; 3],
    /// Per window: what arrived at the responder.
    pub(crate) target: &'a [WindowTotals; 3],
    /// What the initiator did towards the flow's service.
    pub(crate) pair: &'a PairTotals,
}

impl View<'_> {
    pub(crate) fn duration_us(&self) -> u64 {
        self.flow.last_us.saturating_sub(self.flow.first_us)
    }

    pub(crate) fn packets(&self) -> f64 {
        self.flow.fwd.packets as f64 + self.flow.bwd.packets as f64
    }

    pub(crate) fn payload_bytes(&self) -> f64 {
        self.flow.fwd.payload_bytes as f64 + self.flow.bwd.payload_bytes as f64
    }

    pub(crate) fn wire_bytes(&self) -> f64 {
        self.flow.fwd.wire_bytes as f64 + self.flow.bwd.wire_bytes as f64
    }

    /// Packets of both directions with the flag of header bit `bit`.
    pub(crate) fn flags(&self, bit: usize) -> f64 {
        flag(&self.flow.fwd, bit) + flag(&self.flow.bwd, bit)
    }

    /// Gaps between all arrivals of the flow, µs.
    pub(crate) fn gaps(&self) -> Sums {
        let arrivals = u64::from(self.flow.fwd.arrivals) + u64::from(self.flow.bwd.arrivals);
        Sums::new(arrivals.saturating_sub(1), self.duration_us(), self.flow.iat_sq_us2)
    }

    /// Payload sizes of both directions, bytes.
    pub(crate) fn payloads(&self) -> Sums {
        payloads(&self.flow.fwd).plus(payloads(&self.flow.bwd))
    }

    /// Smallest payload of either direction that has packets.
    pub(crate) fn payload_min(&self) -> f64 {
        match (self.flow.fwd.packets, self.flow.bwd.packets) {
            (_, 0) => self.flow.fwd.payload_min.into(),
            (0, _) => self.flow.bwd.payload_min.into(),
            _ => self.flow.fwd.payload_min.min(self.flow.bwd.payload_min).into(),
        }
    }
}

/// Packets of a direction with the flag of header bit `bit`.
pub(crate) fn flag(direction: &DirState, bit: usize) -> f64 {
    direction.flags.get(bit).copied().unwrap_or(0).into()
}

/// Payload sizes of a direction, bytes.
pub(crate) fn payloads(direction: &DirState) -> Sums {
    Sums::new(direction.packets, direction.payload_bytes, direction.payload_sq_bytes2)
}

/// Gaps between arrivals of a direction, µs.
pub(crate) fn gaps(direction: &DirState) -> Sums {
    let total = direction.last_us.saturating_sub(direction.first_us);
    Sums::new(u64::from(direction.arrivals).saturating_sub(1), total, direction.iat_sq_us2)
}

/// A minimum that stands at its largest value before anything was seen.
pub(crate) fn minimum(value: u32, arrivals: u64) -> f64 {
    if arrivals < 2 { 0.0 } else { value.into() }
}

/// 1 or 0.
pub(crate) fn bit(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

/// log₂(1 + n) of the numbers that are asked for most.
static LOGS: LazyLock<[f64; 1536]> = LazyLock::new(|| std::array::from_fn(|n| (1.0 + n as f64).log2()));

/// sign(x) · log₂(1 + |x|).
pub(crate) fn signed_log(x: i64) -> f64 {
    let whole = x.unsigned_abs();
    // Whole numbers far below 2⁵³: the sum is exact.
    let log = LOGS.get(whole as usize).copied().unwrap_or_else(|| (1.0 + whole as f64).log2());
    if x < 0 { -log } else { log }
}
