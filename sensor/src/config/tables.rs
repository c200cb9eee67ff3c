//! How large the kernel's tables are, and what that costs.

use serde::Deserialize;

/// Sizes of the kernel's tables, fixed while they are pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tables {
    /// Flows with a full entry.
    pub flows: u32,
    /// Sets of four single-packet flows; a power of two.
    pub half_open_sets: u32,
    /// Sets of four addresses; a power of two.
    pub source_sets: u32,
    /// Bytes of the ring buffer; a power of two.
    pub records_bytes: u32,
    /// Rules of all kinds together.
    pub rules: u32,
    /// Allow entries of each kind.
    pub allow: u32,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            flows: 262_144,
            half_open_sets: 16_384,
            source_sets: 16_384,
            records_bytes: 16 << 20,
            rules: 65_536,
            allow: 4_096,
        }
    }
}

impl Tables {
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut range = |name: &str, value: u32, low: u32, high: u32| {
            if value < low || value > high {
                wrong.push(format!("tables.{name}: {value} is not between {low} and {high}"));
            }
        };
        range("flows", self.flows, 64, 1 << 24);
        range("half_open_sets", self.half_open_sets, 1, 1 << 22);
        range("source_sets", self.source_sets, 1, 1 << 22);
        range("records_bytes", self.records_bytes, 4096, 1 << 30);
        range("rules", self.rules, 1, 1 << 22);
        range("allow", self.allow, 1, 1 << 20);
        let powers = [
            ("half_open_sets", self.half_open_sets),
            ("source_sets", self.source_sets),
            ("records_bytes", self.records_bytes),
        ];
        for (name, value) in powers {
            if !value.is_power_of_two() {
                let (below, above) = (value.next_power_of_two() / 2, value.next_power_of_two());
                wrong.push(format!("tables.{name}: {value} is not a power of two; take {below} or {above}"));
            }
        }
        wrong
    }
}
