//! The explaining thread and its queue.

use super::Source;
use crate::events::Hub;
use crate::metrics::Metrics;
use crate::model::{Inputs, ModelError};
use crate::policy::Decision;
use ganglion_features::Row;
use ganglion_proto::v1::event::Of;
use ganglion_proto::v1::{Explanation, Target, TrafficClass};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// Questions that wait, at most.
const QUEUE: usize = 32;
/// A question that waited longer is of no use to anybody.
const PATIENCE: Duration = Duration::from_secs(20);

/// A row that tipped the scale, and the verdict that it led to.
#[derive(Clone, Debug)]
pub struct Question {
    /// Whose record it was.
    pub sensor_id: String,
    /// Of the alert.
    pub verdict_id: String,
    /// Of the alert.
    pub target: Option<Target>,
    /// Of the alert.
    pub class: TrafficClass,
    /// What the model read.
    pub values: Vec<f32>,
    /// When it was asked.
    pub asked: Instant,
}

/// Explains alerts on a thread of its own.
pub struct Explainer {
    queue: SyncSender<Question>,
    inputs: Inputs,
    ending: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
}

impl Explainer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start(source: Source, metrics: Arc<Metrics>, hub: Arc<Hub>) -> std::io::Result<Self> {
        let (queue, questions) = sync_channel(QUEUE);
        let (inputs, ending) = (source.model().inputs().clone(), Arc::new(AtomicBool::new(false)));
        let thread = Thread { source, metrics: Arc::clone(&metrics), hub, ending: Arc::clone(&ending) };
        std::thread::Builder::new().name("explain".into()).spawn(move || thread.run(&questions))?;
        Ok(Self { queue, inputs, ending, metrics })
    }

    /// Asks why `row` led to `decision`; never waits.
    pub fn ask(&self, sensor_id: &str, decision: &Decision, row: &Row) {
        let Inputs::Features(places) = &self.inputs else { return };
        self.put(Question {
            sensor_id: sensor_id.to_owned(),
            verdict_id: decision.alert.verdict_id.clone(),
            target: decision.alert.target.clone(),
            class: decision.class,
            values: places.iter().map(|place| row.values[*place]).collect(),
            asked: Instant::now(),
        });
    }

    fn put(&self, question: Question) {
        let reason = match self.queue.try_send(question) {
            Ok(()) => return,
            Err(TrySendError::Full(_)) => "queue_full",
            Err(TrySendError::Disconnected(_)) => "stopping",
        };
        self.metrics.explanations_shed.with_label_values(&[reason]).inc();
    }
}

impl Drop for Explainer {
    fn drop(&mut self) {
        // The thread sheds what waits, and ends with the queue.
        self.ending.store(true, Ordering::Relaxed);
    }
}

struct Thread {
    source: Source,
    metrics: Arc<Metrics>,
    hub: Arc<Hub>,
    ending: Arc<AtomicBool>,
}

impl Thread {
    fn run(mut self, questions: &Receiver<Question>) {
        while let Ok(question) = questions.recv() {
            if let Err(reason) = self.answer(&question) {
                self.metrics.explanations_shed.with_label_values(&[reason]).inc();
            }
        }
    }

    fn answer(&mut self, question: &Question) -> Result<(), &'static str> {
        if self.ending.load(Ordering::Relaxed) {
            return Err("stopping");
        }
        if question.asked.elapsed() > PATIENCE {
            return Err("too_old");
        }
        let found = self.source.explain(&question.values, question.class).map_err(|error| failed(&error))?;
        let found = found.ok_or("no_time")?;
        if !found.value.is_finite() || !found.rest.is_finite() {
            return Err("not_finite");
        }
        self.metrics.explanations.inc();
        self.metrics.explain_time.observe(f64::from(found.duration_us) / 1e6);
        let about = Explanation { verdict_id: question.verdict_id.clone(), target: question.target.clone(), ..found };
        self.hub.publish(&question.sensor_id, Of::Explanation(about));
        Ok(())
    }
}

fn failed(error: &ModelError) -> &'static str {
    tracing::warn!(%error, "an alert can't be explained");
    "failed"
}
