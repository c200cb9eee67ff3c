//! What all parts of a running sensor share: the maps, the rules, the ledger.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aya::Ebpf;
use ganglion_flow::rules::{Action, RuleHits};
use ganglion_flow::{Counter, record};
use ganglion_proto::v1;

use crate::attach::{self, Attached};
use crate::clock;
use crate::config::{Mode, SensorConfig};
use crate::drain::Queue;
use crate::enforce::{Author, EnforceError, Enforcer, KernelRules, Request};
use crate::gate::Origin;
use crate::ledger::{Entry, Ledger};
use crate::maps::{CounterMap, FlowTables};
use crate::protect;
use crate::report::{self, Counters, Live, ProgramCost, Snapshot};
use crate::sweep::Sweeper;
use crate::target::{Exemption, Target, TargetError};
use crate::uplink::Reflex;

/// A running sensor's common state.
pub(crate) struct Core {
    pub(crate) config: SensorConfig,
    pub(crate) enforcer: Mutex<Enforcer<KernelRules>>,
    pub(crate) counters: CounterMap,
    pub(crate) flows: FlowTables,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) queue: Option<Arc<Queue>>,
    pub(crate) sweeper: Sweeper,
    pub(crate) ebpf: Mutex<Ebpf>,
    pub(crate) attached: Vec<Attached>,
    pub(crate) memory_bytes: u64,
    pub(crate) started: Instant,
    pub(crate) live: Mutex<Option<LiveAt>>,
}

/// A walk over the flow tables and what it cost.
pub(crate) struct LiveAt {
    at: Instant,
    took: Duration,
    live: Live,
    /// Read right after the walk: the packets' equation is about one moment.
    counters: Counters,
}

/// How old a snapshot's view of the flow tables may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// Not at all.
    Fresh,
    /// As old as the cost of a walk demands.
    Cheap,
}

/// A walk over the tables may take 2 % of the time.
const WALK_REST: u32 = 50;

/// Why a snapshot can't be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("the counters can't be read: {0}")]
    Counters(#[from] aya::maps::MapError),
    #[error("the flow tables can't be read: {0}")]
    Flows(#[from] std::io::Error),
}

impl Core {
    /// The rules; a panic elsewhere does not make them unusable.
    pub(crate) fn rules(&self) -> MutexGuard<'_, Enforcer<KernelRules>> {
        self.enforcer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Packets that found no room in the flow table.
    pub(crate) fn refused_packets(&self) -> u64 {
        self.counters.read().map_or(0, |counters| report::value(&counters, Counter::SkipFull))
    }

    fn carry_out(&self, verdict: &v1::Verdict) -> v1::VerdictOutcome {
        let request = request(verdict.target.as_ref(), verdict.action(), verdict.limit_per_second, Author::Verdict);
        let (mode, result) = match request {
            Ok(request) => {
                let mut rules = self.rules();
                let class = u8::try_from(verdict.class).unwrap_or(0);
                let request = Request {
                    ttl_ms: verdict.ttl_ms,
                    class,
                    reason: verdict.reason.clone(),
                    verdict_id: verdict.id.clone(),
                    ..request
                };
                (rules.mode(), rules.apply(request).map_err(VerdictError::Enforce))
            }
            Err(error) => (Mode::Observe, Err(error)),
        };
        let applied_boot_ns = clock::boot_ns();
        let (outcome, entry, detail) = match &result {
            Ok(kept) => {
                let enforced = mode == Mode::Enforce && verdict.action() != v1::Action::Observe;
                let detail = if *kept { String::new() } else { "an operator's block stands already".to_owned() };
                let outcome = if enforced { v1::Outcome::Enforced } else { v1::Outcome::WouldEnforce };
                (outcome, Entry::Verdicts, detail)
            }
            Err(VerdictError::Enforce(error @ EnforceError::Refused(_))) => {
                (v1::Outcome::Refused, Entry::Refused, error.to_string())
            }
            Err(error) => (v1::Outcome::Failed, Entry::Failed, error.to_string()),
        };
        self.ledger.add(entry, 1);
        match outcome {
            v1::Outcome::Enforced | v1::Outcome::WouldEnforce => {
                tracing::debug!(id = verdict.id, ?outcome, reason = verdict.reason, "verdict");
            }
            _ => tracing::warn!(id = verdict.id, ?outcome, detail, reason = verdict.reason, "verdict"),
        }
        v1::VerdictOutcome { verdict_id: verdict.id.clone(), outcome: outcome.into(), detail, applied_boot_ns }
    }

    /// Brings exemptions up to date with the machine.
    pub(crate) fn refresh_protection(&self) {
        refresh_protection(&self.enforcer, &self.config);
    }

    /// What the tables hold, and the counters of that moment.
    fn live(&self, age: Age) -> Result<(Live, Counters), SnapshotError> {
        let mut cached = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let good = |last: &&LiveAt| age == Age::Cheap && last.at.elapsed() < last.took * WALK_REST;
        if let Some(last) = cached.as_ref().filter(good) {
            return Ok((last.live, last.counters));
        }
        let at = Instant::now();
        let live = Live::count(&self.flows)?;
        let counters = self.counters.read()?;
        *cached = Some(LiveAt { at, took: at.elapsed(), live, counters });
        Ok((live, counters))
    }

    /// Everything at this moment. Walks the flow tables: not for a thread that must not wait.
    pub(crate) fn snapshot(&self, age: Age) -> Result<Snapshot, SnapshotError> {
        let (live, counters_then) = self.live(age)?;
        let counters = self.counters.read()?;
        let rules = self.rules();
        let slots = rules.slots();
        let (blocks, exemptions) = (rules.len() as u64, rules.allowed().len() as u64);
        let enforcing = rules.mode() == Mode::Enforce;
        drop(rules);
        let mut hits = [0u64; 3];
        for hit in self.hits(&slots) {
            let parts = [hit.packets, hit.bytes, hit.dropped];
            hits.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        }
        let relaxed = std::sync::atomic::Ordering::Relaxed;
        Ok(Snapshot {
            sensor_id: self.config.sensor_id(),
            attached: self.attached.clone(),
            role: self.config.role.label(),
            enforcing,
            counters: Counter::ALL.iter().map(|c| (c.label(), report::value(&counters, *c))).collect(),
            ledger: Entry::ALL.iter().map(|e| (e.label(), self.ledger.get(*e))).collect(),
            packets: report::packets(&counters_then, &live),
            records: report::records(&counters, &self.ledger),
            live,
            brain_connected: self.queue.as_ref().is_some_and(|q| q.is_connected()),
            queue_depth: self.queue.as_ref().map_or(0, |q| q.depth()),
            queue_limit: self.config.queue_records,
            blocks,
            exemptions,
            hits,
            programs: self.program_costs(),
            memory_bytes: self.memory_bytes,
            uptime_s: self.started.elapsed().as_secs(),
            sweeps: [
                self.sweeper.count.load(relaxed),
                self.sweeper.failed.load(relaxed),
                self.sweeper.last_us.load(relaxed),
            ],
        })
    }

    /// What these slots matched; verdicts get the lock in between.
    pub(crate) fn hits(&self, slots: &[u32]) -> Vec<RuleHits> {
        let mut all = Vec::with_capacity(slots.len());
        for portion in slots.chunks(256) {
            let rules = self.rules();
            all.extend(portion.iter().map(|slot| rules.hits(*slot)));
        }
        all
    }

    fn program_costs(&self) -> Vec<ProgramCost> {
        let ebpf = self.ebpf.lock().unwrap_or_else(PoisonError::into_inner);
        let cost = |name: &'static str| {
            let info = ebpf.program(name)?.info().ok()?;
            Some(ProgramCost {
                name,
                run_count: info.run_count(),
                run_time_ns: u64::try_from(info.run_time().as_nanos()).unwrap_or(u64::MAX),
                verified_instructions: u64::from(info.verified_instruction_count().unwrap_or(0)),
            })
        };
        attach::programs_in_use(&self.attached).into_iter().filter_map(cost).collect()
    }
}

impl Reflex for Core {
    fn hello(&self) -> v1::Hello {
        v1::Hello {
            sensor_id: self.config.sensor_id(),
            record_version: u32::from(record::VERSION),
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
            mode: self.mode().into(),
            own_addresses: self.rules().own().iter().map(ToString::to_string).collect(),
            boot_to_wall_offset_us: clock::boot_to_wall_offset_us(),
        }
    }

    fn mode(&self) -> v1::Mode {
        match self.rules().mode() {
            Mode::Enforce => v1::Mode::Enforce,
            Mode::Observe => v1::Mode::Observe,
        }
    }

    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn verdict(&self, verdict: &v1::Verdict) -> v1::VerdictOutcome {
        self.carry_out(verdict)
    }
}

/// Brings exemptions up to date with the machine. The lock is held for the changes alone: reading /proc takes
/// long, and verdicts wait.
pub(crate) fn refresh_protection(rules: &Mutex<Enforcer<KernelRules>>, config: &SensorConfig) {
    let rules = || rules.lock().unwrap_or_else(PoisonError::into_inner);
    let own = protect::own_addresses();
    rules().set_own(own);
    let known = rules().allowed().into_iter().filter(|(_, origin, _)| *origin == Origin::Session);
    let known = known.map(|(exemption, _, _)| exemption).collect();
    for (origin, exemptions) in protected(config, &known) {
        if let Err(error) = rules().sync(origin, exemptions) {
            tracing::error!(%error, origin = origin.label(), "exemptions can't be brought up to date");
        }
    }
}

type Exemptions = HashMap<Exemption, String>;

/// Exactly what is to be exempt, by origin; nothing where a protection is switched off, so that what an earlier
/// start pinned goes. `sessions` are exempt already.
fn protected(config: &SensorConfig, sessions: &HashSet<Exemption>) -> [(Origin, Exemptions); 3] {
    let networks = config.allow.iter().filter_map(|text| text.parse().ok()).map(Exemption::Network);
    let when = |wanted: bool, read: &dyn Fn() -> Exemptions| if wanted { read() } else { Exemptions::new() };
    [
        (Origin::Settings, networks.map(|network| (network, "settings".to_owned())).collect()),
        (Origin::Infrastructure, when(config.protect_infrastructure, &protect::infrastructure)),
        (Origin::Session, when(config.protect_ssh, &|| protect::sessions(config.domain, sessions))),
    ]
}

/// Why a verdict or a request is no rule.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerdictError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("no action named")]
    NoAction,
    #[error("a limit on new flows is about one address")]
    LimitTarget,
    #[error(transparent)]
    Enforce(#[from] EnforceError),
}

/// The rule that a message asks for, without life time and reason.
pub(crate) fn request(
    target: Option<&v1::Target>,
    action: v1::Action,
    limit: u32,
    author: Author,
) -> Result<Request, VerdictError> {
    let target = Target::from_proto(target, action)?;
    let flow_action = match action {
        v1::Action::Unspecified => return Err(VerdictError::NoAction),
        v1::Action::Observe => Action::Observe,
        v1::Action::Drop => Action::Drop,
        v1::Action::RateLimit => Action::RateLimit,
        v1::Action::LimitNewFlows if matches!(target, Target::NewFlows(_)) => Action::RateLimit,
        v1::Action::LimitNewFlows => return Err(VerdictError::LimitTarget),
    };
    Ok(Request {
        target,
        action: flow_action,
        ttl_ms: 0,
        limit,
        class: 0,
        reason: String::new(),
        verdict_id: String::new(),
        author,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protection_that_is_off_wants_nothing_exempt() {
        let off = SensorConfig { protect_ssh: false, protect_infrastructure: false, ..SensorConfig::default() };
        let wanted = protected(&off, &HashSet::new());
        // Every origin is named: what an earlier start made under it is removed.
        let named: HashSet<Origin> = wanted.iter().map(|(origin, _)| *origin).collect();
        assert_eq!(named, HashSet::from([Origin::Settings, Origin::Infrastructure, Origin::Session]));
        assert!(wanted.iter().all(|(_, exemptions)| exemptions.is_empty()));
    }
}
