//! Alerts, actions and health as they happen: a bounded memory and a bounded queue per reader.

use crate::class;
use crate::policy::Decision;
use ganglion_features::Bounded;
use ganglion_proto::v1::event::Of;
use ganglion_proto::v1::{ActionTaken, Event, Health, VerdictOutcome};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::broadcast;

/// Verdicts remembered, to complete the outcomes that sensors report.
const VERDICTS: usize = 4_096;

/// Where events go in, and readers come.
pub struct Hub {
    state: Mutex<State>,
    sender: broadcast::Sender<Arc<Event>>,
    backlog: usize,
}

struct State {
    sequence: u64,
    kept: VecDeque<Arc<Event>>,
    verdicts: Bounded<String, ActionTaken>,
}

impl Hub {
    /// Keeps `backlog` events for readers to come; a reader may fall `queue` behind.
    pub fn new(backlog: usize, queue: usize) -> Self {
        let state = State { sequence: 0, kept: VecDeque::new(), verdicts: Bounded::new(VERDICTS) };
        Self { state: Mutex::new(state), sender: broadcast::Sender::new(queue.max(1)), backlog }
    }

    /// Tells of a decision, and remembers it until its outcome comes.
    pub fn decided(&self, sensor_id: &str, decision: &Decision) {
        if let Some(verdict) = &decision.verdict {
            let known = ActionTaken {
                verdict_id: verdict.id.clone(),
                target: verdict.target.clone(),
                action: verdict.action,
                ttl_ms: verdict.ttl_ms,
                class: verdict.class,
                ..ActionTaken::default()
            };
            self.state().verdicts.entry(verdict.id.clone(), || known);
        }
        tracing::info!(
            sensor = sensor_id,
            verdict = decision.alert.verdict_id,
            class = class::label(decision.class),
            action = decision.action.label(),
            reason = decision.alert.reason,
            "verdict"
        );
        self.publish(sensor_id, Of::Alert(decision.alert.clone()));
    }

    /// Tells what a sensor did with a verdict.
    pub fn outcome(&self, sensor_id: &str, outcome: VerdictOutcome) {
        let known = self.state().verdicts.get(&outcome.verdict_id).cloned().unwrap_or_default();
        let action = ActionTaken {
            verdict_id: outcome.verdict_id,
            outcome: outcome.outcome,
            detail: outcome.detail,
            applied_boot_ns: outcome.applied_boot_ns,
            ..known
        };
        self.publish(sensor_id, Of::Action(action));
    }

    /// Tells how a part of the system is.
    pub fn health(&self, sensor_id: &str, what: &str, healthy: bool, detail: String) {
        self.publish(sensor_id, Of::Health(Health { what: what.into(), healthy, detail }));
    }

    /// Tells everybody.
    pub fn publish(&self, sensor_id: &str, of: Of) {
        let mut state = self.state();
        state.sequence += 1;
        let event = Arc::new(Event {
            sequence: state.sequence,
            time_us: wall_us(),
            sensor_id: sensor_id.to_owned(),
            of: Some(of),
        });
        if self.backlog > 0 {
            if state.kept.len() >= self.backlog {
                state.kept.pop_front();
            }
            state.kept.push_back(Arc::clone(&event));
        }
        // Under the lock, so that no reader misses an event between its backlog and its queue. Nobody
        // listening is no error.
        let _ = self.sender.send(event);
    }

    /// The last `backlog` events that `wanted` lets pass, and a queue of those to come.
    pub fn subscribe(
        &self,
        backlog: usize,
        wanted: impl Fn(&Event) -> bool,
    ) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let state = self.state();
        let mut kept: Vec<_> = state.kept.iter().rev().filter(|event| wanted(event)).take(backlog).cloned().collect();
        kept.reverse();
        (kept, self.sender.subscribe())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// "alert", "action", "health", "explanation", or "missed".
pub fn kind(event: &Event) -> &'static str {
    match event.of {
        Some(Of::Alert(_)) => "alert",
        Some(Of::Action(_)) => "action",
        Some(Of::Health(_)) => "health",
        Some(Of::Explanation(_)) => "explanation",
        Some(Of::Missed(_)) | None => "missed",
    }
}

/// Wall clock, µs since 1970.
pub fn wall_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backlog_is_bounded_and_filtered() {
        let hub = Hub::new(3, 8);
        for i in 0..5 {
            hub.health("s", "x", true, i.to_string());
        }
        let (kept, _) = hub.subscribe(10, |_| true);
        assert_eq!(kept.iter().map(|event| event.sequence).collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(hub.subscribe(2, |_| true).0.len(), 2);
        assert!(hub.subscribe(2, |event| kind(event) == "alert").0.is_empty());
    }

    #[test]
    fn an_outcome_of_an_unknown_verdict_still_shows() {
        let hub = Hub::new(3, 8);
        hub.outcome("s", VerdictOutcome { verdict_id: "old".into(), ..VerdictOutcome::default() });
        let (kept, _) = hub.subscribe(1, |event| kind(event) == "action");
        assert!(matches!(&kept[0].of, Some(Of::Action(action)) if action.verdict_id == "old"));
    }
}
