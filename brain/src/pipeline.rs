//! The judging thread: records → rows → scores → decisions, batched by size and deadline.
//!
//! Work waits in one bounded queue. A batch gathers rows while more work waits, for a deadline at most; an
//! empty queue means: score at once.

mod decode;
mod judge;

pub use judge::{Judge, JudgeSettings};

use crate::metrics::Metrics;
use crate::models::{Change, Changed};
use ganglion_flow::Addr;
use ganglion_proto::v1::{BrainMessage, RecordBatch};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

/// How long a full queue holds a sensor's stream up before the batch is shed.
const PATIENCE: Duration = Duration::from_millis(500);

/// Names one connection.
pub type LinkId = u64;
/// The way down to a sensor.
pub type Down = mpsc::Sender<Result<BrainMessage, Status>>;

/// What the judging thread is asked to do.
pub enum Work {
    /// A sensor said hello.
    Open {
        /// Its connection.
        link: LinkId,
        /// Its name; memory is kept by it over reconnects.
        sensor_id: String,
        /// Addresses of its machine.
        own: Vec<Addr>,
        /// Where its verdicts go.
        down: Down,
    },
    /// Records to judge.
    Batch {
        /// Where they came from.
        link: LinkId,
        /// The records.
        batch: RecordBatch,
    },
    /// The connection is gone.
    Close {
        /// Which.
        link: LinkId,
    },
    /// Other models decide from now on.
    Models {
        /// Which.
        change: Change,
        /// What came of it.
        done: oneshot::Sender<Changed>,
    },
}

/// The way into the judging thread.
#[derive(Clone)]
pub struct Queue {
    sender: mpsc::Sender<Work>,
    metrics: Arc<Metrics>,
}

impl Queue {
    /// A queue of so many batches, and its other end.
    pub fn new(batches: usize, metrics: Arc<Metrics>) -> (Self, mpsc::Receiver<Work>) {
        let (sender, receiver) = mpsc::channel(batches.max(1));
        (Self { sender, metrics }, receiver)
    }

    /// Hands over a batch; counts it as shed when the queue stays full.
    pub async fn batch(&self, link: LinkId, batch: RecordBatch) {
        let records = i64::from(batch.count);
        self.metrics.received.inc_by(batch.count.into());
        self.metrics.queued.add(records);
        let work = Work::Batch { link, batch };
        let reason = match self.sender.send_timeout(work, PATIENCE).await {
            Ok(()) => return,
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => "queue_full",
            Err(mpsc::error::SendTimeoutError::Closed(_)) => "stopping",
        };
        self.metrics.queued.sub(records);
        self.metrics.shed.with_label_values(&[reason]).inc_by(records as u64);
    }

    /// Tells of a connection that opens or closes; false when the thread is gone.
    pub async fn tell(&self, work: Work) -> bool {
        self.sender.send(work).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_full_queue_refuses_is_counted() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let (queue, works) = Queue::new(1, Arc::clone(&metrics));
        let batch = |count| RecordBatch { count, ..RecordBatch::default() };
        queue.batch(1, batch(5)).await;
        queue.batch(1, batch(7)).await;
        assert_eq!((metrics.received.get(), metrics.queued.get()), (12, 5));
        assert_eq!(metrics.shed.with_label_values(&["queue_full"]).get(), 7);
        drop(works);
        queue.batch(1, batch(3)).await;
        assert_eq!(metrics.shed.with_label_values(&["stopping"]).get(), 3);
    }
}
