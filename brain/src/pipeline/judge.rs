//! What the judging thread owns and does.

use super::decode::{self, Records};
use super::{Down, LinkId, Work};
use crate::class;
use crate::events::Hub;
use crate::metrics::Metrics;
use crate::models::{Observation, Outcome, Panel, Ruling, Watch};
use crate::policy::{Basis, Decision, Policy};
use ganglion_features::{Bounded, Context, ContextLimits, Row};
use ganglion_flow::Addr;
use ganglion_proto::v1::{BrainMessage, Judged, RecordBatch, brain_message};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TrySendError;

/// Sensors whose memory is kept, connected or not.
const SENSORS: usize = 64;
/// Places in the way down that verdicts leave free: a sensor waits with so many batches unjudged at most, and
/// would wait for ever were all their numbers lost.
const FOR_JUDGED: usize = 64;

/// Sizes of the judging thread's batches and memory.
#[derive(Clone, Copy, Debug)]
pub struct JudgeSettings {
    /// Rows scored at once, at most.
    pub batch_rows: usize,
    /// How long a batch may gather rows.
    pub deadline: Duration,
    /// Memory behind the context features, per sensor.
    pub context: ContextLimits,
}

/// One sensor's memory.
struct Memory {
    context: Context,
    policy: Policy,
}

struct Link {
    sensor_id: String,
    down: Down,
}

/// The judging thread's state.
pub struct Judge {
    settings: JudgeSettings,
    panel: Panel,
    watch: Watch,
    basis: Basis,
    metrics: Arc<Metrics>,
    hub: Arc<Hub>,
    links: HashMap<LinkId, Link>,
    memories: Bounded<String, Memory>,
    rows: Vec<Row>,
    /// The connection of each row.
    origins: Vec<LinkId>,
    /// Batches whose rows are all among `rows` or scored.
    complete: Vec<(LinkId, u64)>,
}

impl Judge {
    /// Ready to judge.
    pub fn new(
        settings: JudgeSettings,
        (panel, watch): (Panel, Watch),
        basis: Basis,
        metrics: Arc<Metrics>,
        hub: Arc<Hub>,
    ) -> Self {
        Self {
            settings,
            panel,
            watch,
            basis,
            metrics,
            hub,
            links: HashMap::new(),
            memories: Bounded::new(SENSORS),
            rows: Vec::new(),
            origins: Vec::new(),
            complete: Vec::new(),
        }
    }

    /// Judges until the queue's other end is gone.
    pub fn run(mut self, mut queue: Receiver<Work>) {
        while let Some(work) = queue.blocking_recv() {
            self.take(work);
            let began = Instant::now();
            while self.rows.len() < self.settings.batch_rows && began.elapsed() < self.settings.deadline {
                match queue.try_recv() {
                    Ok(work) => self.take(work),
                    Err(_) => break,
                }
            }
            self.flush();
        }
    }

    fn take(&mut self, work: Work) {
        match work {
            Work::Open { link, sensor_id, own, down } => self.open(link, sensor_id, own, down),
            Work::Batch { link, batch } => self.batch(link, &batch),
            Work::Close { link } => {
                self.flush();
                self.links.remove(&link);
            }
            Work::Models { change, done } => {
                // What came before the change is judged by who decided then.
                self.flush();
                // Nobody waiting any more drops what retired here.
                let _ = done.send(self.panel.change(change));
            }
        }
    }

    fn open(&mut self, link: LinkId, sensor_id: String, own: Vec<Addr>, down: Down) {
        self.memory(&sensor_id).policy.set_own(own);
        self.links.insert(link, Link { sensor_id, down });
    }

    fn memory(&mut self, sensor_id: &str) -> &mut Memory {
        let (basis, context) = (&self.basis, self.settings.context);
        let fresh = || Memory { context: Context::new(context), policy: Policy::new(basis.clone(), []) };
        self.memories.entry(sensor_id.to_owned(), fresh)
    }

    fn batch(&mut self, link: LinkId, batch: &RecordBatch) {
        self.metrics.queued.sub(batch.count.into());
        let Some(sensor_id) = self.links.get(&link).map(|link| link.sensor_id.clone()) else {
            self.metrics.shed.with_label_values(&["no_link"]).inc_by(batch.count.into());
            return;
        };
        let mut left = batch.count;
        for record in Records::of(&batch.records).take(batch.count as usize) {
            left -= 1;
            match record {
                Ok(record) => self.derive(link, &sensor_id, &record),
                Err(error) => {
                    tracing::debug!(sensor = sensor_id, %error, "record refused");
                    self.metrics.refused.with_label_values(&[decode::reason(&error)]).inc();
                }
            }
        }
        // The sensor counted more records than the bytes hold.
        self.metrics.refused.with_label_values(&["missing"]).inc_by(left.into());
        self.complete.push((link, batch.sequence));
    }

    fn derive(&mut self, link: LinkId, sensor_id: &str, record: &ganglion_flow::record::Record) {
        let row = self.memory(sensor_id).context.observe(record);
        self.rows.push(row);
        self.origins.push(link);
        if self.rows.len() >= self.settings.batch_rows {
            self.flush();
        }
    }

    /// Scores what has been gathered.
    fn flush(&mut self) {
        if !self.rows.is_empty() {
            self.score();
        }
        for (link, sequence) in std::mem::take(&mut self.complete) {
            // A sensor that does not read learns nothing; the next number tells it as much.
            let _ = self.send(link, brain_message::Of::Judged(Judged { sequence }));
        }
    }

    fn score(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        let origins = std::mem::take(&mut self.origins);
        let began = Instant::now();
        let outcome = self.panel.score(&rows);
        self.metrics.inference.observe(began.elapsed().as_secs_f64());
        self.metrics.batches.inc();
        self.metrics.batch_rows.observe(rows.len() as f64);
        match outcome {
            Ok(outcome) => {
                self.judge_all(&rows, &origins, &outcome);
                self.watch.look(Observation::of(rows, outcome));
            }
            Err(error) => {
                tracing::error!(%error, rows = rows.len(), "scoring failed");
                self.metrics.shed.with_label_values(&["score_failed"]).inc_by(rows.len() as u64);
            }
        }
        self.reuse(origins);
        self.export();
    }

    fn judge_all(&mut self, rows: &[Row], origins: &[LinkId], outcome: &Outcome) {
        for (at, (row, link)) in rows.iter().zip(origins).enumerate() {
            match outcome.of(at) {
                Some(ruling) => {
                    let kind = if row.meta.source.is_some() { "source" } else { "flow" };
                    self.metrics.rows.with_label_values(&[kind]).inc();
                    self.judge(*link, row, ruling);
                }
                None => self.metrics.shed.with_label_values(&["nan"]).inc(),
            }
        }
    }

    /// The rows went to who looks at them; the next batch gets room of its own.
    fn reuse(&mut self, mut origins: Vec<LinkId>) {
        origins.clear();
        self.rows = Vec::with_capacity(self.settings.batch_rows);
        self.origins = origins;
    }

    fn judge(&mut self, link: LinkId, row: &Row, ruling: Ruling<'_>) {
        let Some(sensor_id) = self.links.get(&link).map(|link| link.sensor_id.clone()) else { return };
        let policy = &mut self.memory(&sensor_id).policy;
        policy.follow(ruling.head);
        let decisions = policy.judge(&row.meta, ruling.scores, ruling.at);
        for decision in decisions {
            if !self.announce(link, &sensor_id, &decision) {
                self.memory(&sensor_id).policy.withdraw(decision.origin);
            }
            self.panel.explain(ruling.by_canary, &sensor_id, &decision, row);
        }
    }

    /// Tells sensor and people; false when the sensor could not be told.
    fn announce(&self, link: LinkId, sensor_id: &str, decision: &Decision) -> bool {
        let labels = [class::label(decision.class), decision.action.label()];
        self.metrics.verdicts.with_label_values(&labels).inc();
        // Before the verdict leaves: its outcome may be back at once, and has to find what it is about.
        self.hub.decided(sensor_id, decision);
        let verdict = decision.verdict.clone();
        let mut delivered = true;
        if let Some(Err(reason)) = verdict.map(|verdict| self.send(link, brain_message::Of::Verdict(verdict))) {
            self.metrics.verdicts_shed.with_label_values(&[reason]).inc();
            tracing::warn!(sensor = sensor_id, verdict = decision.alert.verdict_id, reason, "verdict not delivered");
            delivered = false;
        }
        delivered
    }

    fn send(&self, link: LinkId, of: brain_message::Of) -> Result<(), &'static str> {
        let link = self.links.get(&link).ok_or("sensor_gone")?;
        let is_open = !link.down.is_closed();
        if is_open && link.down.capacity() <= FOR_JUDGED && matches!(of, brain_message::Of::Verdict(_)) {
            return Err("sensor_slow");
        }
        link.down.try_send(Ok(BrainMessage { of: Some(of) })).map_err(|error| match error {
            TrySendError::Full(_) => "sensor_slow",
            TrySendError::Closed(_) => "sensor_gone",
        })
    }

    /// Sizes and losses of the memories, as gauges.
    fn export(&self) {
        let mut sums = [0u64; 7];
        for link in self.links.values() {
            let Some(memory) = self.memories.get(&link.sensor_id) else { continue };
            let (context, policy) = (memory.context.stats(), memory.policy.stats());
            let each = [
                policy.subjects,
                policy.subjects_evicted,
                context.actors_evicted,
                context.targets_evicted,
                context.pairs_evicted,
                context.time_reversals,
                context.time_resets,
            ];
            sums.iter_mut().zip(each).for_each(|(sum, value)| *sum += value);
        }
        let set = |gauge: prometheus::IntGauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        let [subjects, subjects_evicted, actors, targets, pairs, reversals, resets] = sums;
        set(self.metrics.subjects.clone(), subjects);
        set(self.metrics.evicted.with_label_values(&["subjects"]), subjects_evicted);
        set(self.metrics.evicted.with_label_values(&["actors"]), actors);
        set(self.metrics.evicted.with_label_values(&["targets"]), targets);
        set(self.metrics.evicted.with_label_values(&["pairs"]), pairs);
        set(self.metrics.time_backward.with_label_values(&["kept"]), reversals);
        set(self.metrics.time_backward.with_label_values(&["reset"]), resets);
    }
}
