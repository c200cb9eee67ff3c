//! The classes: frozen numbers, the same in records, models and playbooks.

use serde::{Deserialize, Serialize};

/// What traffic is. `Unknown` and `Heartbleed` never come from the laboratory; see `lab/README.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub(crate) enum Class {
    Benign = 1,
    DDoS = 2,
    DoS = 3,
    PortScan = 4,
    Bot = 5,
    BruteForce = 6,
    Web = 7,
    Infiltration = 9,
}

impl Class {
    /// The frozen number.
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }
}
