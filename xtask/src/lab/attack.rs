//! Running one attack: draw its settings, start its tools, bound its time, log its begin and end.

use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use rand::Rng;
use serde::Serialize;

use super::attacks::{self, Plan, Stage};
use super::class::Class;
use super::draw::{Settings, Split, rng};
use super::events::{Direction, Event, EventLog};
use super::range::Shared;
use super::scenario::{Attack, Tool};
use crate::process::{End, Group};

/// One run of an attack, as it goes into the event log.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AttackRun {
    pub(crate) name: String,
    pub(crate) repetition: u64,
    pub(crate) class: Class,
    /// The class's frozen number.
    pub(crate) label: u8,
    pub(crate) tool: Tool,
    pub(crate) variant: String,
    pub(crate) settings: Settings,
    /// Who sends. When `spoofed`, these addresses are never seen on the wire.
    pub(crate) attackers: Vec<IpAddr>,
    pub(crate) targets: Vec<IpAddr>,
    pub(crate) direction: Direction,
    pub(crate) spoofed: bool,
    pub(crate) split: Split,
    pub(crate) seed: u64,
    /// `CLOCK_BOOTTIME` right before the first tool was started: no packet of the attack is older.
    pub(crate) started_boot_ns: u64,
    /// After the last tool ended; 0 until then.
    pub(crate) ended_boot_ns: u64,
    /// The last tool's exit code; none before the end and when it was cut off by its bound.
    pub(crate) exit: Option<i32>,
    /// Cut off by `at_most_s` or a request to stop.
    pub(crate) cut: bool,
}

impl AttackRun {
    /// Whether the tool itself went wrong. hping3 says 1 when nobody answers, which is not its fault.
    pub(crate) fn failed(&self) -> bool {
        let harmless = if self.tool == Tool::Hping3 { 1 } else { 0 };
        !self.cut && self.exit.is_none_or(|code| code != 0 && code != harmless)
    }
}

/// An attack that is under way. Dropped, it is stopped.
#[derive(Debug)]
pub(crate) struct RunningAttack {
    run: AttackRun,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<AttackRun>>>,
}

impl RunningAttack {
    pub(super) fn start(shared: &Arc<Shared>, attack: &Attack, repetition: u64, first_attacker: usize) -> Result<Self> {
        let mut rng = rng(shared.seed, &attack.name, repetition);
        let settings = Settings::draw(&attack.settings, shared.split, &mut rng)?;
        let stage = Stage { shared, attack, settings: &settings, first_attacker, seed: rng.random() };
        let Plan { steps, attackers, targets, direction, spoofed } = attacks::plan(&stage)?;
        let mut run = AttackRun {
            name: attack.name.clone(),
            repetition,
            class: attack.class,
            label: attack.class.number(),
            tool: attack.tool,
            variant: attack.variant.clone(),
            settings,
            attackers,
            targets,
            direction,
            spoofed,
            split: shared.split,
            seed: shared.seed,
            started_boot_ns: crate::clock::boot_ns()?,
            ended_boot_ns: 0,
            exit: None,
            cut: false,
        };
        shared.log.write(&Event::AttackStart(&run))?;
        run.started_boot_ns = crate::clock::boot_ns()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, shared, result) = (Arc::clone(&stop), Arc::clone(shared), run.clone());
        let bound = Duration::from_secs(attack.at_most_s);
        let thread = std::thread::spawn(move || carry_out(&shared, steps, bound, &flag, result));
        Ok(Self { run, stop, thread: Some(thread) })
    }

    /// What is known at the start.
    pub(crate) fn run(&self) -> &AttackRun {
        &self.run
    }

    /// Whether the tools have ended.
    pub(crate) fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the end.
    pub(crate) fn wait(mut self) -> Result<AttackRun> {
        let thread = self.thread.take().ok_or_else(|| anyhow!("the attack was waited for twice"))?;
        thread.join().map_err(|_| anyhow!("the thread of attack {} died", self.run.name))?
    }
}

impl Drop for RunningAttack {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn carry_out(
    shared: &Shared,
    steps: Vec<Vec<Command>>,
    bound: Duration,
    stop: &AtomicBool,
    mut run: AttackRun,
) -> Result<AttackRun> {
    let deadline = Instant::now() + bound;
    let log_file = shared.dir.log(&format!("attack-{}-{}", run.name, run.repetition));
    let stopped = || stop.load(Ordering::Relaxed) || crate::stop::asked();
    for step in steps {
        let groups = step.into_iter().map(|command| Group::start(command, Some(&log_file)));
        let mut groups: Vec<Group> = groups.collect::<Result<_>>()?;
        for group in &mut groups {
            match group.wait(deadline, stopped)? {
                End::Own(code) => run.exit = code,
                End::Cut => run.cut = true,
            }
        }
    }
    if run.cut {
        run.exit = None;
    }
    finish(&shared.log, &mut run)?;
    Ok(run)
}

fn finish(log: &EventLog, run: &mut AttackRun) -> Result<()> {
    run.ended_boot_ns = crate::clock::boot_ns()?;
    log.write(&Event::AttackEnd(run))?;
    Ok(())
}
