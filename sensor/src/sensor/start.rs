//! The privileged half: check, load, take over, attach, then drop the privileges.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use aya::maps::{MapData, RingBuf};
use ganglion_flow::settings::{InterfaceRole, Settings, flag};
use nix::fcntl::{Flock, FlockArg};

use super::SensorError;
use crate::attach;
use crate::config::{Ingress, SensorConfig};
use crate::core::{self, Core};
use crate::drain::{Batch, Queue};
use crate::enforce::{Enforcer, KernelRules, NoteMap};
use crate::layout::{self, MapSpec};
use crate::load::{self, Loaded};
use crate::preflight::{self, Interface, PreflightError};
use crate::recording::{Epoch, Writer};
use crate::sweep::Sweeper;
use crate::upgrade::{self, OldFlows};
use crate::{control, object, privileges, sys};

/// A sensor whose programs are attached and whose privileges are dropped, not yet serving.
pub struct Sensor {
    pub(super) core: Arc<Core>,
    pub(super) folder: PathBuf,
    pub(super) ring: RingBuf<MapData>,
    pub(super) old_flows: OldFlows,
    pub(super) batches: Option<tokio::sync::mpsc::UnboundedReceiver<Batch>>,
    pub(super) doors: Doors,
    /// Statistics of programs are on while it is open.
    pub(super) _stats: Option<OwnedFd>,
}

/// What is opened before anything is loaded, so that a start that can't be finished changes nothing.
pub(super) struct Doors {
    pub(super) control: UnixListener,
    pub(super) metrics: Option<TcpListener>,
    pub(super) recording: Option<Writer>,
    /// One sensor per pin folder.
    pub(super) _lock: Flock<File>,
}

impl Sensor {
    /// Checks, loads, attaches and drops privileges. Enforcement runs from here on, served or not.
    ///
    /// # Errors
    /// Says what failed, on what, and what to do. Programs attached before stay as they were.
    pub fn start(config: SensorConfig) -> Result<Self, SensorError> {
        config.validate()?;
        preflight::machine()?;
        let interfaces = preflight::interfaces(&config)?;
        let folder = preflight::pin_folder(&config)?;
        let lock = lock(&folder)?;
        refuse_occupied(&interfaces, &folder, &config)?;
        let control = control::bind(&config.control_socket)?;
        let recording = config.record.as_deref().map(|path| Writer::open(path, Epoch::now())).transpose()?;
        let metrics = config.metrics.map(bind_metrics).transpose()?;
        let fresh = is_empty(&folder);
        let doors = Doors { control, metrics, recording, _lock: lock };
        let names = config.interfaces.clone();
        let started = Self::load(config, folder.clone(), &interfaces, doors).inspect_err(|_| {
            // What a start that failed made is of no use; what it found stays.
            if fresh {
                attach::detach(&folder, &names);
                if let Err(error) = super::remove_pins(&folder) {
                    tracing::warn!(%error, folder = %folder.display(), "pins of this start can't be removed");
                }
            }
        })?;
        let keep = privileges::needed(&started.core.config, &started.core.attached);
        if !started.core.config.keep_privileges {
            privileges::drop_all_but(&keep).map_err(|e| SensorError::Privileges(e.to_string()))?;
        }
        Ok(started)
    }

    fn load(
        config: SensorConfig,
        folder: PathBuf,
        interfaces: &[Interface],
        doors: Doors,
    ) -> Result<Self, SensorError> {
        let specs = layout::specs(&config.tables);
        let memory_bytes = layout::memory_bytes(&config.tables);
        tracing::info!(mib = memory_bytes >> 20, bytes = memory_bytes, "kernel memory of all maps when full");
        let found = layout::reconcile(&folder, &specs)?;
        let seed = load::seed(&folder, &found);
        let old_flows = OldFlows::open(&folder, &specs);
        let mut loaded = load::load(object::OBJECT, &folder, &specs)?;
        if found.keeps_flows {
            let lost = loaded.ledger.settle_restart();
            tracing::info!(records_lost = lost, "flow tables of the process before go on");
        } else {
            loaded.ledger.reset();
        }
        let settings = settings(&config, seed);
        let enforcer = take_over(&mut loaded, settings, &config, &folder, &specs)?;
        let attached = attach::attach(&mut loaded.ebpf, &folder, interfaces, &config)?;
        load::commit_settings(&folder)?;
        let removed = layout::remove_aside(&folder, &specs);
        if removed > 0 {
            tracing::info!(removed, "removed pins of other layouts");
        }
        let sweeper = Sweeper::new(&mut loaded.ebpf, &loaded.flows)?;
        let (queue, batches) = match &config.brain {
            Some(_) => Some(Queue::new(config.queue_records)).unzip(),
            None => (None, None),
        };
        let core = Core {
            enforcer: Mutex::new(enforcer),
            counters: loaded.counters,
            flows: loaded.flows,
            ledger: Arc::new(loaded.ledger),
            queue,
            sweeper,
            ebpf: Mutex::new(loaded.ebpf),
            attached,
            memory_bytes,
            started: Instant::now(),
            live: Mutex::new(None),
            config,
        };
        let core = Arc::new(core);
        let ring = loaded.records;
        Ok(Self { core, folder, ring, old_flows, batches, doors, _stats: stats() })
    }
}

fn bind_metrics(address: SocketAddr) -> Result<TcpListener, SensorError> {
    let listener = TcpListener::bind(address).and_then(|l| l.set_nonblocking(true).map(|()| l));
    listener.map_err(|source| SensorError::Metrics { address, source })
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// One sensor per pin folder, whatever its control socket.
fn lock(folder: &Path) -> Result<Flock<File>, SensorError> {
    let failed = |source| PreflightError::Folder { path: folder.to_path_buf(), source };
    let file = File::open(folder).map_err(failed)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|_| PreflightError::InUse { path: folder.to_path_buf() }.into())
}

/// Stops before anything is loaded when a stranger's XDP program holds an interface.
fn refuse_occupied(interfaces: &[Interface], folder: &Path, config: &SensorConfig) -> Result<(), PreflightError> {
    if config.replace || matches!(config.ingress, Ingress::Tcx | Ingress::Clsact) {
        return Ok(());
    }
    for interface in interfaces {
        let pins = attach::Pins::new(folder, &interface.name);
        let ours = [&pins.xdp, &pins.xdp_generic].iter().any(|p| sys::link_interface(p) == Some(interface.index));
        if let Some(id) = interface.xdp_program.filter(|_| !ours) {
            let program = preflight::program_name(id);
            return Err(PreflightError::Occupied { interface: interface.name.clone(), program, id });
        }
    }
    Ok(())
}

fn settings(config: &SensorConfig, seed: u64) -> Settings {
    let mut settings = Settings::new(config.tables.half_open_sets, config.tables.source_sets, seed);
    settings.flags = 0;
    // Proofs of the process before are void.
    settings.allow_generation = rand::random::<u32>().max(1);
    if config.sources {
        settings.flags |= flag::SOURCES;
    }
    if config.vlan_domain {
        settings.flags |= flag::VLAN_DOMAIN;
    }
    if config.inner {
        settings.flags |= flag::INNER;
    }
    settings.idle_us = config.timeouts.idle_ms * 1000;
    settings.active_us = config.timeouts.active_ms * 1000;
    settings.half_open_us = config.timeouts.half_open_ms * 1000;
    settings.linger_us = config.timeouts.linger_ms * 1000;
    settings.role = InterfaceRole::from(config.role) as u32;
    settings.domain = u32::from(config.domain);
    settings
}

/// Takes rules and exemptions over, and writes the settings: all before the new programs see a packet.
fn take_over(
    loaded: &mut Loaded,
    settings: Settings,
    config: &SensorConfig,
    folder: &Path,
    specs: &[MapSpec],
) -> Result<Enforcer<KernelRules>, SensorError> {
    let rules = |e: crate::enforce::EnforceError| SensorError::Rules(e.to_string());
    let Some((tables, settings_map)) = loaded.rules.take().zip(loaded.settings.take()) else {
        return Err(SensorError::Rules("they are taken already".into()));
    };
    let notes =
        NoteMap::open(folder, config.tables.rules).map_err(|e| SensorError::Rules(format!("their notes: {e}")))?;
    let maps = KernelRules { tables, settings: settings_map, notes };
    let mut enforcer = Enforcer::restore(maps, settings, config.tables.rules).map_err(rules)?;
    let old = upgrade::old_rules(folder, specs);
    enforcer.adopt(old.rules, old.exemptions);
    let enforcer = Mutex::new(enforcer);
    core::refresh_protection(&enforcer, config);
    let mut enforcer = enforcer.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Nobody waits for the rules yet.
    enforcer.prove(usize::MAX);
    enforcer.set_mode(config.mode).map_err(rules)?;
    if enforcer.len() > 0 {
        tracing::info!(rules = enforcer.len(), "rules in force go on");
    }
    Ok(enforcer)
}

fn stats() -> Option<OwnedFd> {
    match aya::sys::enable_stats(aya::sys::Stats::RunTime) {
        Ok(fd) => Some(fd),
        Err(error) => {
            tracing::warn!(%error, "run counts of programs are not kept");
            None
        }
    }
}
