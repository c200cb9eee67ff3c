//! Loads the object with pinned maps and hands out its parts.

use std::os::fd::AsFd;
use std::path::Path;

use aya::maps::{Array, Map, MapData, MapError, RingBuf};
use aya::{Btf, Ebpf, EbpfLoader};

use crate::layout::{self, Found, MapSpec};
use crate::ledger::{self, Ledger};
use crate::maps::{CounterMap, FlowTables, HitTable, NetTable, RuleTables, SettingsMap, Table};
use crate::sys::{self, SharedCounters};

/// Why the kernel half can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The object was refused as a whole.
    #[error("the kernel refused the object: {0}; a verifier message above it is a bug worth reporting")]
    Object(#[from] aya::EbpfError),
    /// A program was refused.
    #[error("the kernel refused program {program}: {source}")]
    Program {
        /// Which.
        program: &'static str,
        /// What aya said, with the verifier's log.
        source: aya::programs::ProgramError,
    },
    /// The object lacks a part: sensor and kernel half are of different builds.
    #[error("the object has no {0}: the kernel half was built from other sources, build again")]
    Missing(&'static str),
    /// A map can't be used.
    #[error("map {map}: {source}")]
    Map {
        /// Which.
        map: &'static str,
        /// What aya said.
        source: MapError,
    },
    /// The kernel has no type information.
    #[error("kernel type information (BTF): {0}; a kernel with CONFIG_DEBUG_INFO_BTF=y is needed")]
    Btf(#[from] aya::BtfError),
    /// The ledger can't be mapped.
    #[error("the ledger {what}: {source}")]
    Ledger {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The settings can't be pinned.
    #[error("can't pin the settings: {0}")]
    PinSettings(#[from] aya::pin::PinError),
    /// A pin can't be put in place.
    #[error("can't put pin {path} in place: {source}")]
    Rename {
        /// The pin.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The loaded object and its maps.
pub(crate) struct Loaded {
    pub(crate) ebpf: Ebpf,
    /// Taken once, by the enforcer.
    pub(crate) rules: Option<RuleTables>,
    pub(crate) settings: Option<SettingsMap>,
    pub(crate) counters: CounterMap,
    pub(crate) flows: FlowTables,
    pub(crate) records: RingBuf<MapData>,
    pub(crate) ledger: Ledger,
}

/// The seed of the set-associative tables: that of the tables there are, or a new one.
pub(crate) fn seed(folder: &Path, found: &Found) -> u64 {
    let kept = MapData::from_pin(folder.join(layout::SETTINGS_PIN)).ok().and_then(SettingsMap::read_data);
    match kept {
        Some(settings) if found.keeps_flows => settings.seed,
        _ => rand::random(),
    }
}

/// Loads the object; its maps are opened from their pins or made and pinned.
pub(crate) fn load(object: &[u8], folder: &Path, specs: &[MapSpec]) -> Result<Loaded, LoadError> {
    let mut loader = EbpfLoader::new();
    for spec in specs {
        loader.map_max_entries(spec.name, spec.entries).map_pin_path(spec.name, folder.join(&spec.pin));
    }
    let mut ebpf = loader.load(object)?;
    let rules = rule_tables(&mut ebpf)?;
    let settings = take(&mut ebpf, ".data")?;
    pin_fresh_settings(&settings, folder)?;
    let settings = named(".data", SettingsMap::new(settings))?;
    let counters = named("COUNTERS", CounterMap::new(take(&mut ebpf, "COUNTERS")?))?;
    let flows = FlowTables {
        flows: data(take(&mut ebpf, "FLOWS")?, "FLOWS")?,
        half_open: data(take(&mut ebpf, "HALF_OPEN")?, "HALF_OPEN")?,
    };
    let records = named("RECORDS", RingBuf::try_from(take(&mut ebpf, "RECORDS")?))?;
    let ledger = open_ledger(folder)?;
    let mut loaded = Loaded { ebpf, rules: Some(rules), settings: Some(settings), counters, flows, records, ledger };
    load_programs(&mut loaded.ebpf)?;
    Ok(loaded)
}

fn named<T>(map: &'static str, result: Result<T, MapError>) -> Result<T, LoadError> {
    result.map_err(|source| LoadError::Map { map, source })
}

fn take(ebpf: &mut Ebpf, map: &'static str) -> Result<Map, LoadError> {
    ebpf.take_map(map).ok_or(LoadError::Missing(map))
}

fn data(map: Map, name: &'static str) -> Result<MapData, LoadError> {
    match map {
        Map::HashMap(data) | Map::Array(data) => Ok(data),
        _ => Err(LoadError::Missing(name)),
    }
}

fn rule_tables(ebpf: &mut Ebpf) -> Result<RuleTables, LoadError> {
    Ok(RuleTables {
        verdicts: named("VERDICTS", Table::new(take(ebpf, "VERDICTS")?))?,
        blocks: named("BLOCKS", Table::new(take(ebpf, "BLOCKS")?))?,
        block_nets: named("BLOCK_NETS", NetTable::new(take(ebpf, "BLOCK_NETS")?))?,
        new_flow_limits: named("NEW_FLOW_LIMITS", Table::new(take(ebpf, "NEW_FLOW_LIMITS")?))?,
        allow_nets: named("ALLOW_NETS", NetTable::new(take(ebpf, "ALLOW_NETS")?))?,
        allow_services: named("ALLOW_SERVICES", Table::new(take(ebpf, "ALLOW_SERVICES")?))?,
        allow_flows: named("ALLOW_FLOWS", Table::new(take(ebpf, "ALLOW_FLOWS")?))?,
        hits: named("RULE_HITS", HitTable::new(take(ebpf, "RULE_HITS")?))?,
        rates: named("RULE_RATES", take(ebpf, "RULE_RATES")?.try_into())?,
    })
}

/// Opens the ledger, or makes and pins an empty one.
fn open_ledger(folder: &Path) -> Result<Ledger, LoadError> {
    let path = folder.join(layout::LEDGER_PIN);
    if !path.exists() {
        let map = named("ledger", Array::<MapData, u64>::create(ledger::CAPACITY, sys::MMAPABLE))?;
        map.pin(&path)?;
    }
    let map = named("ledger", MapData::from_pin(&path))?;
    SharedCounters::map(map.fd().as_fd(), ledger::CAPACITY as usize)
        .map(Ledger::shared)
        .map_err(|source| LoadError::Ledger { what: "can't be mapped", source })
}

fn load_programs(ebpf: &mut Ebpf) -> Result<(), LoadError> {
    use aya::programs::{Iter, ProgramError, SchedClassifier, Xdp};
    let btf = Btf::from_sys_fs()?;
    let mut each = |program: &'static str, load: &dyn Fn(&mut aya::programs::Program) -> Result<(), ProgramError>| {
        let found = ebpf.program_mut(program).ok_or(LoadError::Missing(program))?;
        load(found).map_err(|source| LoadError::Program { program, source })
    };
    each(INGRESS, &|p| <&mut Xdp>::try_from(p)?.load())?;
    each(INGRESS_TC, &|p| <&mut SchedClassifier>::try_from(p)?.load())?;
    each(EGRESS, &|p| <&mut SchedClassifier>::try_from(p)?.load())?;
    each(SWEEP_FLOWS, &|p| <&mut Iter>::try_from(p)?.load("bpf_map_elem", &btf))?;
    each(SWEEP_HALF_OPEN, &|p| <&mut Iter>::try_from(p)?.load("bpf_map_elem", &btf))
}

/// Ingress at XDP.
pub(crate) const INGRESS: &str = "ganglion_ingress";
/// Ingress at TC.
pub(crate) const INGRESS_TC: &str = "ganglion_ingress_tc";
/// Egress at TC.
pub(crate) const EGRESS: &str = "ganglion_egress";
/// Expiry of flows.
pub(crate) const SWEEP_FLOWS: &str = "ganglion_sweep_flows";
/// Expiry of single-packet flows.
pub(crate) const SWEEP_HALF_OPEN: &str = "ganglion_sweep_half_open";

/// Puts the pin of the settings in use in the place of those of the process before.
pub(crate) fn commit_settings(folder: &Path) -> Result<(), LoadError> {
    let path = folder.join(layout::SETTINGS_PIN);
    std::fs::rename(folder.join(FRESH_SETTINGS), &path).map_err(|source| LoadError::Rename { path, source })
}

const FRESH_SETTINGS: &str = "settings-new";

/// Pins the new programs' settings beside those of the programs still attached.
fn pin_fresh_settings(settings: &Map, folder: &Path) -> Result<(), LoadError> {
    let fresh = folder.join(FRESH_SETTINGS);
    let _left_by_a_crash = std::fs::remove_file(&fresh);
    Ok(settings.pin(&fresh)?)
}
