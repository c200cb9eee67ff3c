//! Benign load: every client goes from session to session until it is stopped.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::class::Class;
use super::draw::{Settings, rng};
use super::events::{Event, Session};
use super::host::{Host, Role};
use super::range::Shared;
use super::scenario::{Client, Kind, Place, Ranges, Scenario};
use super::sessions::{self, Planned};
use crate::process::{End, Group};

/// No session lasts longer.
const LONGEST: Duration = Duration::from_secs(60);

/// What benign load has done.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub(crate) struct BenignTally {
    pub(crate) clients: usize,
    pub(crate) sessions: u64,
    /// Sessions whose tool reported an error.
    pub(crate) failed: u64,
}

#[derive(Debug, Default)]
struct Counts {
    stop: AtomicBool,
    sessions: AtomicU64,
    failed: AtomicU64,
}

/// Benign load under way. Dropped, it stops.
#[derive(Debug)]
pub(super) struct Benign {
    counts: Arc<Counts>,
    threads: Vec<JoinHandle<()>>,
}

impl Benign {
    pub(super) fn start(shared: &Arc<Shared>, scenario: &Scenario) -> Result<Self> {
        let mut benign = Self { counts: Arc::default(), threads: Vec::new() };
        for client in &scenario.clients {
            let host = match client.on {
                Place::Server => shared.server()?,
                Place::Own => own_host(shared, &client.name)?,
            };
            let mut life = Life {
                shared: Arc::clone(shared),
                counts: Arc::clone(&benign.counts),
                host: host.clone(),
                client: client.clone(),
                kinds: client.does.keys().filter_map(|kind| Some((*kind, scenario.kinds.get(kind)?.clone()))).collect(),
                rng: rng(shared.seed, &client.name, 0),
            };
            benign.threads.push(std::thread::spawn(move || life.live()));
        }
        Ok(benign)
    }

    pub(super) fn tally(&self) -> BenignTally {
        BenignTally {
            clients: self.threads.len(),
            sessions: self.counts.sessions.load(Ordering::Relaxed),
            failed: self.counts.failed.load(Ordering::Relaxed),
        }
    }

    pub(super) fn stop(mut self) -> BenignTally {
        let tally = self.tally();
        self.end();
        tally
    }

    fn end(&mut self) {
        self.counts.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

impl Drop for Benign {
    fn drop(&mut self) {
        self.end();
    }
}

fn own_host<'a>(shared: &'a Shared, name: &str) -> Result<&'a Host> {
    let mut clients = shared.hosts.iter().filter(|host| host.role == Role::Client);
    clients.find(|host| host.name == name).ok_or_else(|| anyhow!("no host for client `{name}`"))
}

/// One session outside of benign load, for people who want to see it.
pub(super) fn once(shared: &Arc<Shared>, scenario: &Scenario, kind: Kind, repetition: u64) -> Result<End> {
    let ranges = scenario.kinds.get(&kind).ok_or_else(|| anyhow!("the scenario does not describe {}", kind.name()))?;
    let mut rng = rng(shared.seed, &kind.name(), repetition);
    let settings = Settings::draw(ranges, shared.split, &mut rng)?;
    let host =
        if matches!(kind, Kind::Outbound | Kind::Telemetry) { shared.server()? } else { shared.host(Role::Client)? };
    let planned = sessions::plan(shared, host, kind, &settings, rng.random())?;
    let mut group = Group::start(planned.command, Some(&shared.dir.log(&kind.name())))?;
    group.wait(Instant::now() + LONGEST, crate::stop::asked)
}

/// One client's life.
struct Life {
    shared: Arc<Shared>,
    counts: Arc<Counts>,
    host: Host,
    client: Client,
    kinds: Vec<(Kind, Ranges)>,
    rng: ChaCha8Rng,
}

impl Life {
    fn live(&mut self) {
        while !self.stopped() {
            if let Err(error) = self.session() {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                eprintln!("benign client {}: {error:#}", self.client.name);
            }
            self.pause();
        }
    }

    fn stopped(&self) -> bool {
        self.counts.stop.load(Ordering::Relaxed) || crate::stop::asked()
    }

    fn pause(&mut self) {
        let length = Settings::draw(
            &[("pause_ms".to_owned(), self.client.pause_ms.clone())].into(),
            self.shared.split,
            &mut self.rng,
        )
        .and_then(|settings| settings.number("pause_ms"));
        let end = Instant::now() + Duration::from_millis(length.unwrap_or(1000));
        while Instant::now() < end && !self.stopped() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn choose(&mut self) -> Result<(Kind, Settings)> {
        let weight = |kind: &Kind| self.client.does.get(kind).copied().unwrap_or(0);
        let total: u32 = self.kinds.iter().map(|(kind, _)| weight(kind)).sum();
        let mut point = self.rng.random_range(0..total.max(1));
        for (kind, ranges) in &self.kinds {
            if point < weight(kind) {
                return Ok((*kind, Settings::draw(ranges, self.shared.split, &mut self.rng)?));
            }
            point -= weight(kind);
        }
        Err(anyhow!("client `{}` has nothing to do", self.client.name))
    }

    fn session(&mut self) -> Result<()> {
        let (kind, settings) = self.choose()?;
        let Planned { command, direction, peer, files } =
            sessions::plan(&self.shared, &self.host, kind, &settings, self.rng.random())?;
        let peers = [IpAddr::V4(peer.v4), IpAddr::V6(peer.v6)];
        let name = kind.name();
        let mut session = Session {
            id: self.counts.sessions.fetch_add(1, Ordering::Relaxed),
            name: &name,
            class: Class::Benign,
            label: Class::Benign.number(),
            client: &self.client.name,
            peers: &peers,
            direction,
            settings: &settings,
            exit: None,
        };
        self.shared.log.write(&Event::BenignStart(&session))?;
        let log = self.shared.dir.log(&format!("benign-{}", self.client.name));
        let mut group = Group::start(command, Some(&log))?;
        let end = group.wait(Instant::now() + LONGEST, || self.stopped())?;
        if let End::Own(code) = end {
            session.exit = code;
            if code != Some(0) {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.shared.log.write(&Event::BenignEnd(&session))?;
        for file in files {
            // An upload that failed left nothing.
            let _maybe_absent = std::fs::remove_file(file);
        }
        Ok(())
    }
}
