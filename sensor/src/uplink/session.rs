//! One connection's state: what was sent, what was judged, what waits.

use std::collections::VecDeque;

use bytes::BytesMut;
use ganglion_proto::v1::{BrainMessage, RecordBatch, SensorHealth, SensorMessage, brain_message, sensor_message};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Reflex;
use crate::drain::{BATCH_BYTES, Batch, Queue};
use crate::ledger::{Entry, Ledger};

/// Batches that may be with the brain unjudged.
const WINDOW: usize = 64;

pub(super) struct Session {
    sequence: u64,
    /// Sequence and count of batches sent and not yet judged. Bounds what `outgoing` can hold.
    unjudged: VecDeque<(u64, u64)>,
    /// Taken from the queue, but it did not fit into the last message.
    held: Option<Batch>,
    outgoing: Option<UnboundedSender<SensorMessage>>,
    welcomed: bool,
}

impl Session {
    pub(super) fn new(sequence: u64, held: Option<Batch>) -> Self {
        Self { sequence, unjudged: VecDeque::new(), held, outgoing: None, welcomed: false }
    }

    /// Opens the stream with a hello.
    pub(super) fn open(&mut self, reflex: &dyn Reflex) -> UnboundedReceiver<SensorMessage> {
        let (sender, receiver) = unbounded_channel();
        self.outgoing = Some(sender);
        self.post(sensor_message::Of::Hello(reflex.hello()));
        receiver
    }

    fn post(&self, of: sensor_message::Of) {
        if let Some(outgoing) = &self.outgoing {
            // A closed stream shows on the incoming side, where it is handled.
            let _closed = outgoing.send(SensorMessage { of: Some(of) });
        }
    }

    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(super) fn welcomed(&self) -> bool {
        self.welcomed
    }

    pub(super) fn set_welcomed(&mut self) {
        self.welcomed = true;
    }

    pub(super) fn take_held(&mut self) -> Option<Batch> {
        self.held.take()
    }

    /// Whether another batch may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.unjudged.len() < WINDOW
    }

    /// Whether nothing waits for the brain here.
    pub(super) fn is_idle(&self) -> bool {
        self.unjudged.is_empty() && self.held.is_none()
    }

    /// The next batch; may be dropped while it waits.
    pub(super) async fn next(&mut self, batches: &mut UnboundedReceiver<Batch>, queue: &Queue) -> Option<Batch> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        let batch = batches.recv().await?;
        queue.took(u64::from(batch.count));
        Some(batch)
    }

    /// Sends a batch, with those behind it that fit.
    pub(super) fn send(&mut self, first: Batch, batches: &mut UnboundedReceiver<Batch>, queue: &Queue) {
        let (mut count, drained_boot_ns) = (first.count, first.drained_boot_ns);
        let mut records = first.records;
        let mut joined: Option<BytesMut> = None;
        while let Ok(more) = batches.try_recv() {
            queue.took(u64::from(more.count));
            let length = joined.as_ref().map_or(records.len(), BytesMut::len);
            if length + more.records.len() > BATCH_BYTES {
                self.held = Some(more);
                break;
            }
            let all = joined.get_or_insert_with(|| BytesMut::from(&records[..]));
            all.extend_from_slice(&more.records);
            count += more.count;
        }
        if let Some(joined) = joined {
            records = joined.freeze();
        }
        self.sequence += 1;
        self.unjudged.push_back((self.sequence, u64::from(count)));
        let batch = RecordBatch { sequence: self.sequence, count, records, drained_boot_ns };
        self.post(sensor_message::Of::Records(batch));
    }

    /// Acts on what the brain says.
    pub(super) fn receive(&mut self, message: BrainMessage, reflex: &dyn Reflex) {
        match message.of {
            Some(brain_message::Of::Verdict(verdict)) => {
                self.post(sensor_message::Of::Outcome(reflex.verdict(&verdict)));
            }
            Some(brain_message::Of::Judged(judged)) => self.judged(judged.sequence, reflex.ledger()),
            Some(brain_message::Of::Welcome(_)) | None => {}
        }
    }

    fn judged(&mut self, sequence: u64, ledger: &Ledger) {
        while let Some((sent, count)) = self.unjudged.front().copied()
            && sent <= sequence
        {
            ledger.add(Entry::Delivered, count);
            self.unjudged.pop_front();
        }
    }

    /// The connection is gone: what was not judged is not known to have arrived.
    pub(super) fn abandon(&mut self, ledger: &Ledger) {
        let lost = self.unjudged.drain(..).map(|(_, count)| count).sum();
        ledger.add(Entry::ShedLink, lost);
        self.outgoing = None;
    }

    pub(super) fn send_health(&self, reflex: &dyn Reflex, queue: &Queue) {
        self.post(sensor_message::Of::Health(SensorHealth {
            records_shed: reflex.ledger().shed(),
            queue_depth: queue.depth(),
            mode: reflex.mode().into(),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn batch(count: u32, bytes: usize) -> Batch {
        Batch { records: vec![1; bytes].into(), count, drained_boot_ns: 7 }
    }

    #[test]
    fn small_batches_travel_together_large_ones_alone() {
        let (queue, mut batches) = Queue::new(1000);
        let mut session = Session::new(0, None);
        for (count, bytes) in [(2, 100), (3, BATCH_BYTES - 150), (4, 100)] {
            queue.offer(batch(count, bytes)).unwrap();
        }
        session.send(batch(1, 50), &mut batches, &queue);
        assert_eq!(session.unjudged, [(1, 6)]);
        assert_eq!(session.held.as_ref().map(|b| b.count), Some(4));
        assert_eq!(queue.depth(), 0);
    }

    proptest! {
        /// However acknowledgements come, and wherever the link breaks: sent = delivered + shed.
        #[test]
        fn every_sent_record_is_accounted_for(steps in proptest::collection::vec(any::<(u8, u8)>(), 0..100)) {
            let (queue, mut batches) = Queue::new(1 << 40);
            let ledger = Ledger::private();
            let mut session = Session::new(0, None);
            let mut sent = 0u64;
            for (kind, n) in steps {
                match kind % 3 {
                    0 => {
                        sent += u64::from(n);
                        session.send(batch(u32::from(n), 10), &mut batches, &queue);
                    }
                    1 => session.judged(u64::from(n), &ledger),
                    _ => session.abandon(&ledger),
                }
            }
            session.abandon(&ledger);
            prop_assert_eq!(sent, ledger.get(Entry::Delivered) + ledger.get(Entry::ShedLink));
        }
    }
}
