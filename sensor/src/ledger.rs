//! Userspace's half of the loss equations, kept in a pinned map so that they stay exact across `kill -9`.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys::SharedCounters;

macro_rules! entries {
    ($($(#[$meta:meta])* $name:ident = $label:literal),* $(,)?) => {
        /// A line of the ledger.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Entry { $($(#[$meta])* $name),* }

        impl Entry {
            /// All of them, in order of their index.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Stable name, as in metrics and reports.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label),* }
            }
        }
    };
}

entries! {
    /// Records taken out of the ring buffer.
    Drained = "drained",
    /// Records judged by the brain, or written to the recording where there is no brain.
    Delivered = "delivered",
    /// Shed: the queue to the brain was full although it was connected.
    ShedSlow = "brain_slow",
    /// Shed: the queue was full while no brain was connected.
    ShedAway = "brain_away",
    /// Shed: sent, but the connection broke before the brain said that it judged them.
    ShedLink = "link_lost",
    /// Shed: in the queue when the process before this one ended.
    ShedRestart = "restart",
    /// Shed: neither a brain nor a recording is configured.
    ShedNobody = "no_consumer",
    /// Shed: bytes in the ring buffer that are no record of this version.
    ShedMalformed = "malformed",
    /// Shed: the recording could not be written (disk full), and there is no brain.
    ShedDisk = "disk",
    /// Records written to the recording.
    Recorded = "recorded",
    /// Records that the recording lacks because the disk refused them.
    RecordDisk = "record_disk",
    /// Records that the recording lacks because the writer was too slow.
    RecordSlow = "record_slow",
    /// Records made by the sensor from a flow table set aside.
    Upgraded = "upgraded",
    /// Verdicts enforced or counted as "would have".
    Verdicts = "verdicts",
    /// Verdicts that the gate refused.
    Refused = "refused",
    /// Verdicts that could not be written.
    Failed = "failed",
}

impl Entry {
    /// The reasons for which records are shed on their way to the consumer that counts.
    pub const SHED: &'static [Self] = &[
        Self::ShedSlow,
        Self::ShedAway,
        Self::ShedLink,
        Self::ShedRestart,
        Self::ShedNobody,
        Self::ShedMalformed,
        Self::ShedDisk,
    ];
}

/// Room in the map; more than there are entries, so that a release may add some.
pub(crate) const CAPACITY: u32 = 64;

enum Lines {
    Shared(SharedCounters),
    Private(Vec<AtomicU64>),
}

/// The counters.
pub struct Ledger {
    lines: Lines,
}

impl Ledger {
    /// A ledger in shared memory.
    pub(crate) fn shared(counters: SharedCounters) -> Self {
        Self { lines: Lines::Shared(counters) }
    }

    /// A ledger of this process alone.
    pub fn private() -> Self {
        Self { lines: Lines::Private((0..CAPACITY).map(|_| AtomicU64::new(0)).collect()) }
    }

    fn line(&self, entry: Entry) -> Option<&AtomicU64> {
        let all = match &self.lines {
            Lines::Shared(shared) => shared.as_slice(),
            Lines::Private(private) => private,
        };
        all.get(entry as usize)
    }

    /// Adds to a line.
    pub fn add(&self, entry: Entry, count: u64) {
        if let Some(line) = self.line(entry) {
            line.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Reads a line.
    pub fn get(&self, entry: Entry) -> u64 {
        self.line(entry).map_or(0, |line| line.load(Ordering::Relaxed))
    }

    /// Begins anew, when the kernel's counters do.
    pub(crate) fn reset(&self) {
        for line in Entry::ALL.iter().filter_map(|entry| self.line(*entry)) {
            line.store(0, Ordering::Relaxed);
        }
    }

    /// All records that were shed, whatever the reason.
    pub fn shed(&self) -> u64 {
        Entry::SHED.iter().map(|entry| self.get(*entry)).sum()
    }

    /// Records drained whose fate is not known yet.
    pub fn open(&self) -> u64 {
        self.get(Entry::Drained).saturating_sub(self.get(Entry::Delivered) + self.shed())
    }

    /// Settles what the process before this one took out of the ring buffer and did not account for.
    pub fn settle_restart(&self) -> u64 {
        let lost = self.open();
        self.add(Entry::ShedRestart, lost);
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_closes_what_was_open() {
        let ledger = Ledger::private();
        ledger.add(Entry::Drained, 10);
        ledger.add(Entry::Delivered, 6);
        ledger.add(Entry::ShedSlow, 1);
        assert_eq!(ledger.settle_restart(), 3);
        assert_eq!(ledger.open(), 0);
        assert_eq!(ledger.get(Entry::ShedRestart), 3);
    }

    #[test]
    fn labels_are_unique() {
        let mut labels: Vec<_> = Entry::ALL.iter().map(|e| e.label()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), Entry::ALL.len());
        assert!(Entry::ALL.len() < CAPACITY as usize);
    }
}
