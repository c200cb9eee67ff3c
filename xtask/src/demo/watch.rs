//! What Ganglion says while it runs: its event stream, its blocks, its counters.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::clock::boot_ns;
use crate::process::output;

const EVERY: Duration = Duration::from_millis(500);

/// An event with the time it came.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) boot_ns: u64,
    pub(super) event: Value,
}

/// What a rule did, at its most.
#[derive(Debug, Clone, Default)]
pub(super) struct Drops {
    pub(super) target: String,
    pub(super) class: String,
    pub(super) dropped: u64,
    pub(super) first_drop_boot_ns: Option<u64>,
}

/// Everything heard so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) events: Vec<Heard>,
    /// By verdict, so that a rule counts on after its time to live took it from the list.
    pub(super) rules: BTreeMap<String, Drops>,
    pub(super) status: Value,
    /// Packets and drops per second, of late.
    pub(super) rates: (f64, f64),
}

/// The threads that listen. Dropped, they end.
pub(super) struct Watcher {
    stop: Arc<AtomicBool>,
    events: Child,
    threads: Vec<JoinHandle<()>>,
}

impl Watcher {
    /// Follows the events and asks for blocks and status twice a second.
    pub(super) fn start(binary: &Path, run_dir: &Path, seen: Arc<Mutex<Seen>>) -> Result<Self> {
        let mut events = Command::new(binary)
            .args(["events", "--json", "--backlog", "1000", "--brain"])
            .arg(run_dir.join("brain.sock"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("starting `ganglion events`")?;
        let lines = BufReader::new(events.stdout.take().context("the events' output")?).lines();
        let into = Arc::clone(&seen);
        let listen = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let (Ok(event), Ok(boot_ns)) = (serde_json::from_str(&line), boot_ns()) {
                    into.lock().unwrap_or_else(PoisonError::into_inner).events.push(Heard { boot_ns, event });
                }
            }
        });
        let stop = Arc::new(AtomicBool::new(false));
        let asker = Asker { binary: binary.to_owned(), run_dir: run_dir.to_owned(), seen, last: None };
        let flag = Arc::clone(&stop);
        let ask = std::thread::spawn(move || asker.run(&flag));
        Ok(Self { stop, events, threads: vec![listen, ask] })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _gone_already = self.events.kill();
        let _reaped = self.events.wait();
        for thread in self.threads.drain(..) {
            let _its_panic_was_printed = thread.join();
        }
    }
}

struct Asker {
    binary: PathBuf,
    run_dir: PathBuf,
    seen: Arc<Mutex<Seen>>,
    last: Option<(u64, u64, u64)>,
}

impl Asker {
    fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            // An agent too busy to answer is asked again; that it ended is seen elsewhere.
            let _busy = self.ask();
            std::thread::sleep(EVERY);
        }
    }

    fn ask(&mut self) -> Result<()> {
        let control = self.run_dir.join("sensor.sock");
        let mut command = Command::new(&self.binary);
        command.args(["block", "list", "--json", "--control"]).arg(&control);
        let blocks: Value = serde_json::from_str(&output(&mut command)?)?;
        let mut command = Command::new(&self.binary);
        command.args(["status", "--json", "--control"]).arg(&control);
        command.arg("--brain").arg(self.run_dir.join("brain.sock"));
        let status: Value = serde_json::from_str(&output(&mut command)?)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for block in blocks.as_array().or_else(|| blocks["blocks"].as_array()).into_iter().flatten() {
            note(&mut seen.rules, block);
        }
        let counters = &status["sensor"]["counters"];
        let packets = counters["seen"].as_u64().unwrap_or(0);
        let drops = dropped(counters);
        let now = boot_ns()?;
        if let Some((then, before, dropped_before)) = self.last {
            let seconds = now.saturating_sub(then).max(1) as f64 / 1e9;
            let rate = |a: u64, b: u64| a.saturating_sub(b) as f64 / seconds;
            seen.rates = (rate(packets, before), rate(drops, dropped_before));
        }
        self.last = Some((now, packets, drops));
        seen.status = status;
        Ok(())
    }
}

/// All packets dropped, whatever the rule.
pub(super) fn dropped(counters: &Value) -> u64 {
    let counters = counters.as_object().into_iter().flatten();
    counters.filter(|(name, _)| name.starts_with("drop_")).filter_map(|(_, n)| n.as_u64()).sum()
}

fn note(rules: &mut BTreeMap<String, Drops>, block: &Value) {
    let text = |name: &str| block[name].as_str().unwrap_or_default().to_owned();
    let target = text("target");
    let id = block["verdict_id"].as_str().unwrap_or(&target).to_owned();
    let rule = rules.entry(id).or_default();
    rule.dropped = rule.dropped.max(block["dropped"].as_u64().unwrap_or(0));
    rule.first_drop_boot_ns = rule.first_drop_boot_ns.or(block["first_drop_boot_ns"].as_u64());
    rule.class = text("class");
    rule.target = target;
}
