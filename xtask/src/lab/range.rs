//! The range itself: up from a scenario, down when dropped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};

use super::attack::{AttackRun, RunningAttack};
use super::benign::{Benign, BenignTally};
use super::draw::Split;
use super::events::{Event, EventLog};
use super::host::{self, HOST_NETS_V4, Host, NET_V4, Role};
use super::relay::{self, Counts};
use super::run_dir::RunDir;
use super::scenario::Scenario;
use super::{network, services};
use crate::process::Group;

/// What attacks and benign sessions share with the range.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) dir: RunDir,
    pub(crate) hosts: Vec<Host>,
    pub(crate) seed: u64,
    pub(crate) split: Split,
    pub(crate) log: EventLog,
}

impl Shared {
    /// The host everything is about.
    pub(crate) fn server(&self) -> Result<&Host> {
        self.host(Role::Server)
    }

    /// The first host with this role.
    pub(crate) fn host(&self, role: Role) -> Result<&Host> {
        self.hosts.iter().find(|host| host.role == role).ok_or_else(|| anyhow!("the range has no {role:?}"))
    }

    /// A file of zeros to send.
    pub(crate) fn blank_file(&self, name: &str, kb: u64) -> Result<PathBuf> {
        let path = self.dir.path.join("tmp").join(name);
        let file = std::fs::File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        file.set_len(kb * 1000)?;
        Ok(path)
    }
}

/// A range that is up. Dropping it ends every process in it and removes every trace of it.
#[derive(Debug)]
pub(crate) struct Range {
    shared: Arc<Shared>,
    scenario: Scenario,
    services: Vec<Group>,
    relay: Option<relay::Running>,
    benign: Option<Benign>,
    /// Cleans up if this process is killed; none for a range that somebody else made.
    janitor: Option<Child>,
    next_attacker: usize,
}

impl Range {
    /// Builds namespaces and network, starts the servers; without an event log.
    pub(crate) fn up(scenario: &Scenario, seed: u64, split: Split) -> Result<Self> {
        Self::up_with_log(scenario, seed, split, None)
    }

    /// The same, with an event log in `log`.
    pub(crate) fn up_with_log(scenario: &Scenario, seed: u64, split: Split, log: Option<&Path>) -> Result<Self> {
        if !nix::unistd::geteuid().is_root() {
            bail!("the range needs root: it makes network namespaces");
        }
        crate::stop::listen()?;
        super::run_dir::clean()?;
        let log = log.map(EventLog::create).transpose()?.unwrap_or_default();
        let dir = RunDir::create(&scenario.name, seed, split)?;
        let hosts = match host::all(&dir.id, scenario, seed, split) {
            Ok(hosts) => hosts,
            Err(error) => {
                dir.remove()?;
                return Err(error);
            }
        };
        let janitor = dir.janitor();
        // From here on Drop cleans up, whatever fails.
        let shared = Arc::new(Shared { dir, hosts, seed, split, log });
        let mut range = Self {
            shared,
            scenario: scenario.clone(),
            services: Vec::new(),
            relay: None,
            benign: None,
            janitor: None,
            next_attacker: 0,
        };
        range.janitor = match janitor {
            Ok(janitor) => Some(janitor),
            Err(error) => {
                range.shared.dir.remove()?;
                return Err(error);
            }
        };
        network::switch(&range.shared.dir.id)?;
        range.relay = relay::start(&range.shared.dir, seed, &range.shared.hosts)?;
        network::connect_all(&range.shared.dir.id, &range.shared.hosts)?;
        range.services = services::start(&range.shared.dir, &range.shared.hosts)?;
        range.write_header()?;
        Ok(range)
    }

    /// The range that `lab up` made; dropping it leaves it up.
    pub(crate) fn attach(dir: RunDir, seed: u64, split: Split) -> Result<Self> {
        crate::stop::listen()?;
        let scenario = Scenario::load(&dir.state()?.scenario)?;
        let hosts = host::all(&dir.id, &scenario, seed, split)?;
        let shared = Arc::new(Shared { dir, hosts, seed, split, log: EventLog::default() });
        Ok(Self { shared, scenario, services: Vec::new(), relay: None, benign: None, janitor: None, next_attacker: 0 })
    }

    fn write_header(&self) -> Result<()> {
        let Shared { hosts, seed, split, log, .. } = &*self.shared;
        log.write(&Event::Range {
            version: 1,
            scenario: &self.scenario.name,
            seed: *seed,
            split: *split,
            interface: self.shared.server()?.interface(),
            network: NET_V4,
            host_networks: &HOST_NETS_V4,
            hosts,
        })?;
        Ok(())
    }

    /// Lets the range stay up when this process ends; returns its name.
    pub(crate) fn keep(mut self) -> Result<String> {
        self.shared.dir.keep()?;
        if let Some(mut janitor) = self.janitor.take() {
            janitor.wait()?;
        }
        std::mem::take(&mut self.services).into_iter().for_each(std::mem::forget);
        std::mem::forget(self.relay.take());
        Ok(self.shared.dir.id.clone())
    }

    /// Starts every client's benign load, until [`Self::stop_benign`] or the end.
    pub(crate) fn start_benign(&mut self) -> Result<()> {
        if self.benign.is_none() {
            self.benign = Some(Benign::start(&self.shared, &self.scenario)?);
        }
        Ok(())
    }

    /// Stops benign load; returns what it did.
    pub(crate) fn stop_benign(&mut self) -> BenignTally {
        self.benign.take().map(Benign::stop).unwrap_or_default()
    }

    /// What benign load has done so far.
    pub(crate) fn benign_tally(&self) -> BenignTally {
        self.benign.as_ref().map(Benign::tally).unwrap_or_default()
    }

    /// Runs an attack to its end.
    pub(crate) fn run_attack(&mut self, name: &str, repetition: u64) -> Result<AttackRun> {
        self.start_attack(name, repetition)?.wait()
    }

    /// Starts an attack; each repetition has settings of its own, and attackers take turns.
    pub(crate) fn start_attack(&mut self, name: &str, repetition: u64) -> Result<RunningAttack> {
        self.check()?;
        let attack = self.scenario.attack(name)?;
        let running = RunningAttack::start(&self.shared, attack, repetition, self.next_attacker)?;
        self.next_attacker += running.run().attackers.len();
        Ok(running)
    }

    /// An error if part of the network is gone.
    fn check(&mut self) -> Result<()> {
        self.relay.as_mut().map_or(Ok(()), relay::Running::check)
    }

    /// What became of frames between hosts and the switch; nothing without a relay.
    pub(crate) fn relayed(&self) -> Result<Option<Counts>> {
        self.relay.as_ref().map(relay::Running::counts).transpose()
    }

    /// The host that the sensor guards.
    pub(crate) fn server(&self) -> Result<&Host> {
        self.shared.server()
    }

    /// A program in the server's network, with the machine's own mounts: bpffs stays visible.
    pub(crate) fn command_in_server(&self, program: &str) -> Result<Command> {
        Ok(self.server()?.command(program))
    }

    /// Every host.
    pub(crate) fn hosts(&self) -> &[Host] {
        &self.shared.hosts
    }

    /// The scenario this was built from.
    pub(crate) fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The run's folder, for sockets and logs that go away with it.
    pub(crate) fn dir(&self) -> &RunDir {
        &self.shared.dir
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Range {
    fn drop(&mut self) {
        self.stop_benign();
        let Some(mut janitor) = self.janitor.take() else { return };
        if let Err(error) = self.shared.dir.remove() {
            eprintln!("cleaning up {}: {error:#}", self.shared.dir.id);
        }
        self.services.clear();
        // Its input ends, it finds nothing left to do.
        drop(janitor.stdin.take());
        drop(janitor.wait());
    }
}
