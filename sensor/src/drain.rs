//! Takes records out of the ring buffer and hands them on in batches, without ever waiting for a reader.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

use aya::maps::{MapData, RingBuf};
use bytes::Bytes;
use ganglion_flow::Wire;
use ganglion_flow::record::{self, FlowRecord};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc::UnboundedSender;

use crate::clock;
use crate::ledger::{Entry, Ledger};
use crate::recording::record_len;
use crate::sweep::Stop;

/// Largest batch, in bytes.
pub(crate) const BATCH_BYTES: usize = 256 << 10;
/// Batches that may wait for the disk.
pub(crate) const DISK_QUEUE: usize = 256;
const WAKE_MS: u16 = 100;

/// Whole records, back to back.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) records: Bytes,
    pub(crate) count: u32,
    pub(crate) drained_boot_ns: u64,
}

/// The bounded queue towards the brain.
pub(crate) struct Queue {
    sender: UnboundedSender<Batch>,
    depth: AtomicU64,
    limit: u64,
    connected: AtomicBool,
}

impl Queue {
    /// A queue of at most `limit` records.
    pub(crate) fn new(limit: u64) -> (Arc<Self>, tokio::sync::mpsc::UnboundedReceiver<Batch>) {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let (depth, connected) = (AtomicU64::new(0), AtomicBool::new(false));
        (Arc::new(Self { sender, depth, limit, connected }), receiver)
    }

    /// Takes a batch in, or says why not. Never waits.
    pub(crate) fn offer(&self, batch: Batch) -> Result<(), Entry> {
        let reason = if self.is_connected() { Entry::ShedSlow } else { Entry::ShedAway };
        let count = u64::from(batch.count);
        if self.depth.load(Ordering::Relaxed) + count > self.limit {
            return Err(reason);
        }
        self.depth.fetch_add(count, Ordering::Relaxed);
        self.sender.send(batch).map_err(|_| {
            self.took(count);
            reason
        })
    }

    /// The reader took `count` records out.
    pub(crate) fn took(&self, count: u64) {
        self.depth.fetch_sub(count, Ordering::Relaxed);
    }

    /// Records waiting.
    pub(crate) fn depth(&self) -> u64 {
        self.depth.load(Ordering::Relaxed)
    }

    /// Whether a brain is there.
    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Notes whether a brain is there.
    pub(crate) fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Relaxed);
    }
}

/// Where records go.
pub(crate) struct Outlets {
    /// The brain; its share of the records is the one the ledger's equation is about.
    pub(crate) brain: Option<Arc<Queue>>,
    /// The recording.
    pub(crate) disk: Option<SyncSender<Batch>>,
    pub(crate) ledger: Arc<Ledger>,
}

impl Outlets {
    /// Hands a batch to whoever wants it, and notes who did not take it.
    pub(crate) fn hand_over(&self, batch: Batch) {
        let count = u64::from(batch.count);
        if count == 0 {
            return;
        }
        if let Some(disk) = &self.disk
            && let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = disk.try_send(batch.clone())
        {
            self.ledger.add(Entry::RecordSlow, count);
            if self.brain.is_none() {
                self.ledger.add(Entry::ShedDisk, count);
            }
        }
        match &self.brain {
            Some(queue) => {
                if let Err(reason) = queue.offer(batch) {
                    self.ledger.add(reason, count);
                }
            }
            None if self.disk.is_none() => self.ledger.add(Entry::ShedNobody, count),
            None => {}
        }
    }
}

/// The end of the ring buffer.
pub(crate) struct Drain {
    ring: RingBuf<MapData>,
    outlets: Outlets,
    pending: Pending,
}

/// Records on their way into a batch.
struct Pending {
    buffer: Vec<u8>,
    count: u32,
    first_ns: u64,
}

impl Pending {
    fn new() -> Self {
        Self { buffer: Vec::with_capacity(BATCH_BYTES), count: 0, first_ns: 0 }
    }

    fn push(&mut self, record: &[u8]) {
        if self.count == 0 {
            self.first_ns = clock::boot_ns();
        }
        self.buffer.extend_from_slice(record);
        self.count += 1;
    }

    fn flush(&mut self, outlets: &Outlets) {
        if self.count == 0 {
            return;
        }
        // A copy of its own size: small batches that wait would each hold on to the room of a large one.
        let records = Bytes::copy_from_slice(&self.buffer);
        self.buffer.clear();
        outlets.hand_over(Batch { records, count: std::mem::take(&mut self.count), drained_boot_ns: self.first_ns });
    }
}

impl Drain {
    pub(crate) fn new(ring: RingBuf<MapData>, outlets: Outlets) -> Self {
        Self { ring, outlets, pending: Pending::new() }
    }

    /// Drains until told to stop, then what is left.
    pub(crate) fn run_until(mut self, stop: &Stop) {
        while !stop.is_stopped() {
            self.wait();
            self.take_all();
        }
        self.take_all();
    }

    fn wait(&self) {
        let mut fds = [PollFd::new(self.ring.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(WAKE_MS)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => {
                tracing::error!(%error, "waiting for records failed; looking every 100 ms");
                std::thread::sleep(std::time::Duration::from_millis(u64::from(WAKE_MS)));
            }
        }
    }

    /// Takes everything there is; hands over when a batch is full and when nothing is left.
    fn take_all(&mut self) {
        while let Some(item) = self.ring.next() {
            self.outlets.ledger.add(Entry::Drained, 1);
            if !is_record(&item) {
                self.outlets.ledger.add(Entry::ShedMalformed, 1);
                continue;
            }
            self.pending.push(&item);
            if self.pending.buffer.len() + FlowRecord::LEN > BATCH_BYTES {
                self.pending.flush(&self.outlets);
            }
        }
        self.pending.flush(&self.outlets);
    }
}

/// Whether bytes have the version and the length of a record.
pub(crate) fn is_record(bytes: &[u8]) -> bool {
    let [kind, version, ..] = bytes else { return false };
    *version == record::VERSION && record_len(*kind) == Some(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_takes_no_more_memory_than_its_records() {
        let (queue, mut batches) = Queue::new(1_000);
        let outlets = Outlets { brain: Some(queue), disk: None, ledger: Arc::new(Ledger::private()) };
        let mut pending = Pending::new();
        for _ in 0..1_000 {
            pending.push(&[1; FlowRecord::LEN]);
            pending.flush(&outlets);
        }
        let mut held = 0;
        while let Ok(batch) = batches.try_recv() {
            held += batch.records.try_into_mut().expect("nobody else has it").capacity();
        }
        assert_eq!(held, 1_000 * FlowRecord::LEN);
    }
}
