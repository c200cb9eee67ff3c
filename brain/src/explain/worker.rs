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
        self.metrics.explain_time.observe(f64::from(found.duration_us) / 1e6);
        let about = Explanation { verdict_id: question.verdict_id.clone(), target: question.target.clone(), ..found };
        self.hub.publish(&question.sensor_id, Of::Explanation(about));
        // Whoever sees it counted finds the event.
        self.metrics.explanations.inc();
        Ok(())
    }
}

fn failed(error: &ModelError) -> &'static str {
    tracing::warn!(%error, "an alert can't be explained");
    "failed"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;
    use crate::explain::Budget;
    use crate::model::Settings;
    use std::path::Path;

    fn explainer(metrics: &Arc<Metrics>, hub: &Arc<Hub>) -> (Explainer, Vec<f32>) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables");
        let bundle = Bundle::open(&folder, &Settings::default()).unwrap();
        let source = Source::of(&bundle, Budget::default()).unwrap().unwrap();
        let row = bundle.manifest.self_test.rows[0].clone();
        (Explainer::start(source, Arc::clone(metrics), Arc::clone(hub)).unwrap(), row)
    }

    fn question(values: &[f32], asked: Instant) -> Question {
        Question {
            sensor_id: "s".into(),
            verdict_id: "v".into(),
            target: None,
            class: TrafficClass::Dos,
            values: values.to_vec(),
            asked,
        }
    }

    fn settled(metrics: &Metrics, asked: u64) {
        let sum = || metrics.explanations.get() + Metrics::total(&metrics.explanations_shed);
        let began = Instant::now();
        while sum() < asked && began.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(sum(), asked, "every question is answered or counted");
    }

    #[test]
    fn what_does_not_fit_in_the_queue_is_shed_and_counted() {
        let (metrics, hub) = (Arc::new(Metrics::new().unwrap()), Arc::new(Hub::new(1_000, 8)));
        let (explainer, row) = explainer(&metrics, &hub);
        (0..500).for_each(|_| explainer.put(question(&row, Instant::now())));
        settled(&metrics, 500);
        let shed = metrics.explanations_shed.with_label_values(&["queue_full"]).get();
        assert!(shed > 0 && metrics.explanations.get() > 0, "{shed}");
        let (kept, _) = hub.subscribe(1_000, |event| crate::events::kind(event) == "explanation");
        assert_eq!(kept.len() as u64, metrics.explanations.get());
        assert!(matches!(&kept[0].of, Some(Of::Explanation(of)) if of.verdict_id == "v" && !of.top.is_empty()));
    }

    #[test]
    fn what_is_too_old_or_comes_at_the_end_is_shed_and_counted() {
        let (metrics, hub) = (Arc::new(Metrics::new().unwrap()), Arc::new(Hub::new(8, 8)));
        let (explainer, row) = explainer(&metrics, &hub);
        if let Some(long_ago) = Instant::now().checked_sub(PATIENCE * 2) {
            explainer.put(question(&row, long_ago));
            settled(&metrics, 1);
            assert_eq!(metrics.explanations_shed.with_label_values(&["too_old"]).get(), 1);
        }
        let before = metrics.explanations.get() + Metrics::total(&metrics.explanations_shed);
        (0..10).for_each(|_| explainer.put(question(&row, Instant::now())));
        drop(explainer);
        settled(&metrics, before + 10);
    }
}
