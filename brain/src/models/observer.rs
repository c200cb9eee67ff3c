//! Shadows, score histograms and drift, on a thread of their own: judging never waits for them.

use super::card::Card;
use super::drift::Monitor;
use super::loader::Served;
use super::panel::{Outcome, Said};
use crate::metrics::Metrics;
use crate::model::Scores;
use ganglion_features::Row;
use ganglion_proto::v1::TrafficClass;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// Batches waiting to be looked at; more are left out, and counted.
const QUEUE: usize = 8;
/// How often drift is computed.
const EVERY: Duration = Duration::from_secs(5);
/// Rows a second that drift is watched on, about; more would tell no more.
const SAMPLE_PER_S: u64 = 2_000;

/// A judged batch.
pub struct Observation {
    /// Its rows.
    pub rows: Vec<Row>,
    /// What was said of them, model by model.
    pub said: Vec<Said>,
    /// The likeliest class of each by the active seat; `None` where it gave no numbers.
    pub active: Vec<Option<TrafficClass>>,
}

impl Observation {
    /// Of rows that were judged by `outcome`.
    pub fn of(rows: Vec<Row>, outcome: Outcome) -> Self {
        let (head, scores) = outcome.active();
        let active = (0..rows.len()).map(|row| likeliest(&head.classes, scores, row)).collect();
        Self { active, rows, said: outcome.said }
    }
}

enum Task {
    Look(Observation),
    /// One more shadow.
    Shadow(Served),
    /// Only shadows with these digests stay.
    Keep(Vec<String>),
}

/// The way to the observer.
#[derive(Clone)]
pub struct Watch {
    sender: SyncSender<Task>,
    metrics: Arc<Metrics>,
}

impl Watch {
    /// Hands a batch over, if there is room.
    pub fn look(&self, observation: Observation) {
        let rows = observation.rows.len() as u64;
        match self.sender.try_send(Task::Look(observation)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.metrics.models.unobserved.inc_by(rows),
        }
    }

    /// Adds a shadow; waits for room.
    pub fn shadow(&self, shadow: Served) {
        // Without an observer the brain is ending.
        let _ = self.sender.send(Task::Shadow(shadow));
    }

    /// Drops all shadows but those with these digests; waits for room.
    pub fn keep(&self, digests: Vec<String>) {
        let _ = self.sender.send(Task::Keep(digests));
    }
}

/// The observing thread's state.
pub struct Observer {
    tasks: Receiver<Task>,
    window: Duration,
    shadows: Vec<Served>,
    monitors: HashMap<String, (Arc<Card>, Monitor)>,
    sample: Sample,
    computed: Instant,
}

/// Which rows drift is watched on: every so-manieth.
struct Sample {
    stride: u64,
    seen: u64,
    since: Instant,
    offset: u64,
}

impl Observer {
    /// An observer and the way to it. Drift is watched over a sliding window of this length.
    pub fn new(window: Duration, metrics: Arc<Metrics>) -> (Self, Watch) {
        let (sender, tasks) = sync_channel(QUEUE);
        let now = Instant::now();
        let sample = Sample { stride: 1, seen: 0, since: now, offset: 0 };
        let this = Self { tasks, window, shadows: Vec::new(), monitors: HashMap::new(), sample, computed: now };
        (this, Watch { sender, metrics })
    }

    /// Adds a shadow before it runs.
    pub fn add(&mut self, shadow: Served) {
        self.shadows.push(shadow);
    }

    /// Looks until nobody sends any more.
    pub fn run(mut self) {
        loop {
            match self.tasks.recv_timeout(EVERY) {
                Ok(Task::Look(observation)) => self.look(&observation),
                Ok(Task::Shadow(shadow)) => self.shadows.push(shadow),
                Ok(Task::Keep(digests)) => self.shadows.retain(|shadow| digests.contains(&shadow.card().digest)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.computed.elapsed() >= EVERY {
                self.compute();
            }
        }
    }

    fn look(&mut self, seen: &Observation) {
        for said in &seen.said {
            histograms(said);
            // The canary's rows; who is active agrees with itself.
            if let Some(rows) = &said.rows {
                agreement(said, rows.iter().map(|row| seen.active[*row]));
            }
        }
        let mut shadows = std::mem::take(&mut self.shadows);
        let mut also = Vec::new();
        for shadow in &mut shadows {
            match shadow.score(&seen.rows) {
                Ok(scores) => {
                    let said = Said { card: Arc::clone(shadow.card()), scores, rows: None };
                    histograms(&said);
                    agreement(&said, seen.active.iter().copied());
                    also.push(said);
                }
                Err(error) => tracing::warn!(%error, shadow = shadow.card().name, "a shadow failed"),
            }
        }
        self.shadows = shadows;
        self.watch_drift(seen, &also);
    }

    fn watch_drift(&mut self, seen: &Observation, also: &[Said]) {
        let now = Instant::now();
        let chosen = self.sample.choose(seen.rows.len(), now);
        for said in seen.said.iter().chain(also) {
            let monitor = &mut self
                .monitors
                .entry(said.card.digest.clone())
                .or_insert_with(|| (Arc::clone(&said.card), Monitor::new(&said.card, self.window, now)))
                .1;
            monitor.move_on(now);
            for at in 0..said.scores.rows() {
                let row = said.rows.as_ref().map_or(at, |rows| rows[at]);
                if chosen(row) {
                    monitor.add(&seen.rows[row], &said.scores, at);
                }
            }
        }
    }

    /// Computes every model's drift, and forgets models that nobody else holds.
    fn compute(&mut self) {
        let now = Instant::now();
        self.computed = now;
        self.monitors.retain(|_, (card, _)| Arc::strong_count(card) > 1);
        for (card, monitor) in self.monitors.values_mut() {
            card.set_drift(monitor.drift(now));
        }
    }
}

impl Sample {
    /// Whether a row of the next `rows` is watched.
    fn choose(&mut self, rows: usize, now: Instant) -> impl Fn(usize) -> bool + use<> {
        self.seen += rows as u64;
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= Duration::from_secs(1) {
            let per_s = self.seen * 1_000 / u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
            self.stride = per_s.div_ceil(SAMPLE_PER_S).max(1);
            (self.seen, self.since) = (0, now);
        }
        let (stride, offset) = (self.stride, self.offset);
        self.offset = (offset + rows as u64) % stride;
        move |row| (offset + row as u64).is_multiple_of(stride)
    }
}

fn histograms(said: &Said) {
    let series = &said.card.series;
    let local: Vec<_> = series.probability.iter().map(prometheus::Histogram::local).collect();
    let anomaly = series.anomaly.local();
    let threshold = if said.card.head.anomaly > 0.0 { said.card.head.anomaly } else { 1.0 };
    for row in 0..said.scores.rows() {
        for (histogram, p) in local.iter().zip(said.scores.probabilities(row)) {
            histogram.observe(f64::from(*p));
        }
        anomaly.observe(f64::from(said.scores.anomaly(row) / threshold));
    }
}

fn likeliest(classes: &[TrafficClass], scores: &Scores, row: usize) -> Option<TrafficClass> {
    scores.likeliest(row).filter(|_| scores.is_finite(row)).and_then(|column| classes.get(column)).copied()
}

/// Compares a model with who is active.
fn agreement(said: &Said, active: impl Iterator<Item = Option<TrafficClass>>) {
    let (mut alike, mut unlike) = (0, 0);
    for (row, class) in active.enumerate() {
        match class {
            None => {}
            class if class == likeliest(&said.card.head.classes, &said.scores, row) => alike += 1,
            Some(_) => unlike += 1,
        }
    }
    said.card.series.alike.inc_by(alike);
    said.card.series.unlike.inc_by(unlike);
}
