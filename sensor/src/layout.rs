//! Pinned maps: their names with layout numbers, and what to do with pins of another shape.
//!
//! aya opens a pin without comparing it with the object. A wrong value size is a verifier error at best; a
//! ring buffer of another size hands out records that are none. So every pin is compared before loading, and
//! a group whose maps differ is set aside, never mixed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use aya::maps::{MapData, MapType};
use ganglion_flow::counter::COUNT;
use ganglion_flow::fragments::{self, DatagramSet};
use ganglion_flow::half_open::HalfOpenSet;
use ganglion_flow::rules::{NewFlowLimit, Rule, RuleHits, RuleRate, ServiceKey};
use ganglion_flow::settings::Settings;
use ganglion_flow::source::SourceSet;
use ganglion_flow::{Addr, FlowKey, FlowState, Wire};

use crate::config::Tables;
use crate::enforce::{NOTE_KEY, NOTE_VALUE};

/// Layout number of the flow group; raise it with any change to its values.
pub(crate) const FLOWS_LAYOUT: u32 = 3;
/// Layout number of the block group.
pub(crate) const BLOCKS_LAYOUT: u32 = 1;

/// Pin of the settings, which are not compared: every load writes its own.
pub(crate) const SETTINGS_PIN: &str = "settings-v1";
/// Pin of the ledger.
pub(crate) const LEDGER_PIN: &str = "ledger-v1";

/// Pin of the rules' notes, which the programs do not know.
pub(crate) const NOTES_PIN: &str = "notes-v1";

const ASIDE: &str = "old-";
const LPM_KEY: usize = 20;

/// Maps that live and die together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Flow state, counters, records: replaced as a whole when any of it has another shape.
    Flows,
    /// Rules and what they matched: carried over.
    Blocks,
}

/// One map as this release makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSpec {
    /// Its name in the object.
    pub name: &'static str,
    /// Its group.
    pub group: Group,
    /// Name of its pin.
    pub pin: String,
    /// What kind of map it is.
    pub kind: Kind,
    /// Bytes of a key.
    pub key: u32,
    /// Bytes of a value.
    pub value: u32,
    /// Entries, or bytes of a ring buffer.
    pub entries: u32,
}

/// Kinds of maps, as far as sizes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Preallocated hash.
    Hash,
    /// Longest-prefix match, allocated as needed.
    Lpm,
    /// Array.
    Array,
    /// One array per CPU.
    PerCpu,
    /// Ring buffer.
    Ring,
}

/// Why pins can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// Same layout number, other value: made by a build that forgot to raise the number.
    #[error(
        "pinned map {path} differs from this release ({difference}) under the same layout number; remove the pins \
         with `ganglion sensor --detach` (drops all blocks) or run the release that made them"
    )]
    Blocks {
        /// The pin.
        path: PathBuf,
        /// What differs.
        difference: Difference,
    },
    /// Rules of a layout this release does not know.
    #[error(
        "{path} holds blocks of another layout (this release: v{BLOCKS_LAYOUT}); run the release that made them, or \
         remove the pins with `ganglion sensor --detach` (drops all blocks)"
    )]
    BlocksLayout {
        /// The pin.
        path: PathBuf,
    },
    /// A pin can't be opened or moved.
    #[error("can't {what} pin {path}: {source}")]
    Pin {
        /// What was tried.
        what: &'static str,
        /// The pin.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// How a pin differs from what this release makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Key, value and entries found.
    pub found: (u32, u32, u32),
    /// Key, value and entries expected.
    pub expected: (u32, u32, u32),
}

impl Difference {
    /// Whether only the number of entries differs.
    pub fn is_size_only(&self) -> bool {
        (self.found.0, self.found.1) == (self.expected.0, self.expected.1)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("key bytes", self.found.0, self.expected.0),
            ("value bytes", self.found.1, self.expected.1),
            ("entries", self.found.2, self.expected.2),
        ];
        let mut first = true;
        for (what, found, expected) in parts.into_iter().filter(|(_, found, expected)| found != expected) {
            write!(f, "{}{found} {what} instead of {expected}", if first { "" } else { ", " })?;
            first = false;
        }
        Ok(())
    }
}

/// Every pinned map of the object, for tables of these sizes.
pub fn specs(tables: &Tables) -> Vec<MapSpec> {
    use Group::{Blocks, Flows};
    use Kind::{Array, Hash, Lpm, PerCpu, Ring};
    let key = FlowKey::LEN;
    let (sets, sources) = (tables.half_open_sets, tables.source_sets);
    let (rules, allow) = (tables.rules, tables.allow);
    let rows = [
        ("FLOWS", Flows, "flows", Hash, key, FlowState::LEN, tables.flows),
        ("HALF_OPEN", Flows, "half-open", Array, 4, HalfOpenSet::LEN, sets),
        ("FRAGMENTS", Flows, "fragments", Array, 4, DatagramSet::LEN, fragments::SETS as u32),
        ("SOURCES", Flows, "sources", Array, 4, SourceSet::LEN, sources),
        ("COUNTERS", Flows, "counters", PerCpu, 4, COUNT * 8, 1),
        ("RECORDS", Flows, "records", Ring, 0, 0, tables.records_bytes),
        ("VERDICTS", Blocks, "verdicts", Hash, key, Rule::LEN, rules),
        ("BLOCKS", Blocks, "blocks", Hash, Addr::LEN, Rule::LEN, rules),
        ("BLOCK_NETS", Blocks, "block-nets", Lpm, LPM_KEY, Rule::LEN, rules),
        ("NEW_FLOW_LIMITS", Blocks, "new-flow-limits", Hash, Addr::LEN, NewFlowLimit::LEN, rules),
        ("ALLOW_NETS", Blocks, "allow-nets", Lpm, LPM_KEY, 4, allow),
        ("ALLOW_SERVICES", Blocks, "allow-services", Hash, ServiceKey::LEN, 4, allow),
        ("ALLOW_FLOWS", Blocks, "allow-flows", Hash, key, 4, allow),
        ("RULE_HITS", Blocks, "rule-hits", PerCpu, 4, RuleHits::LEN, rules),
        ("RULE_RATES", Blocks, "rule-rates", Array, 4, RuleRate::LEN, rules),
    ];
    let make = |(name, group, pin, kind, key, value, entries)| {
        let layout = if group == Flows { FLOWS_LAYOUT } else { BLOCKS_LAYOUT };
        let (key, value) = (key as u32, value as u32);
        MapSpec { name, group, pin: format!("{pin}-v{layout}"), kind, key, value, entries }
    };
    rows.into_iter().map(make).collect()
}

impl MapSpec {
    /// Bytes of kernel memory the map takes when full, by the kernel's own layout; a little too high rather
    /// than too low.
    pub fn bytes(&self, cpus: u64) -> u64 {
        self.kind.bytes(u64::from(self.entries), u64::from(self.key), u64::from(self.value), cpus)
    }

    fn difference(&self, pin: &MapData) -> Option<Difference> {
        let info = pin.info().ok()?;
        let found = (info.key_size(), info.value_size(), info.max_entries());
        let expected = (self.key, self.value, self.entries);
        let same_kind = info.map_type().is_ok_and(|kind| kind == self.kind.map_type());
        (found != expected || !same_kind).then_some(Difference { found, expected })
    }
}

impl Kind {
    fn bytes(self, entries: u64, key: u64, value: u64, cpus: u64) -> u64 {
        let (key, value) = (key.next_multiple_of(8), value.next_multiple_of(8));
        match self {
            // `struct htab_elem` is 48 bytes; buckets of 16 bytes, a power of two of them.
            Self::Hash => entries * (48 + key + value) + entries.next_power_of_two() * 16,
            // Each prefix may need an intermediate node.
            Self::Lpm => entries * 2 * (40 + key + value),
            Self::Array => entries * value,
            Self::PerCpu => entries * value * cpus,
            Self::Ring => entries + 3 * 4096,
        }
    }

    fn map_type(self) -> MapType {
        match self {
            Self::Hash => MapType::Hash,
            Self::Lpm => MapType::LpmTrie,
            Self::Array => MapType::Array,
            Self::PerCpu => MapType::PerCpuArray,
            Self::Ring => MapType::RingBuf,
        }
    }
}

/// Memory of all maps together.
pub fn memory_bytes(tables: &Tables) -> u64 {
    let cpus = aya::util::nr_cpus().map_or(1, |n| n as u64);
    let scratch = 2 * FlowState::LEN as u64 * cpus;
    let notes = Kind::Hash.bytes(u64::from(tables.rules), NOTE_KEY as u64, NOTE_VALUE as u64, cpus);
    let own = Settings::LEN as u64 + u64::from(crate::ledger::CAPACITY) * 8 + notes;
    specs(tables).iter().map(|spec| spec.bytes(cpus)).sum::<u64>() + scratch + own
}

/// What was found under a pin folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Flow state of this shape is there and goes on.
    pub(crate) keeps_flows: bool,
    /// Groups whose pins were renamed out of the way.
    pub(crate) aside: Vec<Group>,
}

/// Compares the pins under `folder` with `specs` and sets aside what has another shape.
pub(crate) fn reconcile(folder: &Path, specs: &[MapSpec]) -> Result<Found, LayoutError> {
    refuse_other_blocks(folder, specs)?;
    let mut found = Found::default();
    for group in [Group::Flows, Group::Blocks] {
        let mut differs = false;
        let mut present = 0;
        for spec in specs.iter().filter(|s| s.group == group) {
            let path = folder.join(&spec.pin);
            if !path.exists() {
                continue;
            }
            present += 1;
            let pin = open(&path)?;
            if let Some(difference) = spec.difference(&pin) {
                if group == Group::Blocks && !difference.is_size_only() {
                    return Err(LayoutError::Blocks { path, difference });
                }
                tracing::warn!(pin = %path.display(), %difference, "pinned map has another shape: its group is set aside");
                differs = true;
            }
        }
        if differs {
            set_aside(folder, specs, group)?;
            found.aside.push(group);
        } else if group == Group::Flows {
            found.keeps_flows = present > 0;
        }
    }
    Ok(found)
}

fn open(path: &Path) -> Result<MapData, LayoutError> {
    MapData::from_pin(path).map_err(|error| LayoutError::Pin {
        what: "open",
        path: path.to_path_buf(),
        source: io::Error::other(error),
    })
}

fn refuse_other_blocks(folder: &Path, specs: &[MapSpec]) -> Result<(), LayoutError> {
    let bases: Vec<&str> = specs
        .iter()
        .filter(|s| s.group == Group::Blocks)
        .filter_map(|s| s.pin.rsplit_once("-v"))
        .map(|(b, _)| b)
        .collect();
    for name in pins(folder) {
        let Some((base, layout)) = name.rsplit_once("-v") else { continue };
        if bases.contains(&base) && layout.parse() != Ok(BLOCKS_LAYOUT) {
            return Err(LayoutError::BlocksLayout { path: folder.join(name) });
        }
    }
    Ok(())
}

fn pins(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn set_aside(folder: &Path, specs: &[MapSpec], group: Group) -> Result<(), LayoutError> {
    for spec in specs.iter().filter(|s| s.group == group) {
        let (from, to) = (folder.join(&spec.pin), folder.join(format!("{ASIDE}{}", spec.pin)));
        match std::fs::rename(&from, &to) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(LayoutError::Pin { what: "set aside", path: from, source });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Opens a map that was set aside, now or by a start that did not finish.
pub(crate) fn open_aside(folder: &Path, spec: &MapSpec) -> Option<MapData> {
    let map = MapData::from_pin(folder.join(format!("{ASIDE}{}", spec.pin))).ok()?;
    let difference = spec.difference(&map);
    difference.is_none_or(|d| d.is_size_only()).then_some(map)
}

/// Removes pins that were set aside, and flow pins of other layout numbers. Says how many.
pub(crate) fn remove_aside(folder: &Path, specs: &[MapSpec]) -> usize {
    let stale = |name: &String| {
        let base = |pin: &str| pin.rsplit_once("-v").map(|(base, _)| base.to_owned());
        name.starts_with(ASIDE)
            || (base(name).is_some_and(|b| specs.iter().any(|s| base(&s.pin).as_ref() == Some(&b)))
                && specs.iter().all(|s| s.pin != *name))
    };
    pins(folder).into_iter().filter(stale).filter(|name| std::fs::remove_file(folder.join(name)).is_ok()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_carry_their_layout() {
        let specs = specs(&Tables::default());
        assert!(specs.iter().any(|s| s.pin == "flows-v3") && specs.iter().any(|s| s.pin == "blocks-v1"));
        assert!(specs.iter().all(|s| !s.pin.contains('.')), "bpffs refuses dots");
    }

    #[test]
    fn a_difference_names_what_differs() {
        let difference = Difference { found: (40, 600, 64), expected: (40, 568, 64) };
        assert_eq!(difference.to_string(), "600 value bytes instead of 568");
        assert!(!difference.is_size_only());
        assert!(Difference { found: (4, 8, 1), expected: (4, 8, 2) }.is_size_only());
    }

    #[test]
    fn memory_of_the_defaults_is_bounded() {
        let bytes = memory_bytes(&Tables::default());
        assert!(bytes > 180 << 20 && bytes < 400 << 20, "{bytes}");
    }

    #[test]
    fn other_block_layouts_are_refused_and_old_flows_removed() {
        let folder = tempfile::tempdir().unwrap();
        let specs = specs(&Tables::default());
        std::fs::write(folder.path().join("flows-v0"), "").unwrap();
        std::fs::write(folder.path().join("old-counters-v1"), "").unwrap();
        std::fs::write(folder.path().join("settings-v1"), "").unwrap();
        assert_eq!(reconcile(folder.path(), &specs).unwrap(), Found::default());
        assert_eq!(remove_aside(folder.path(), &specs), 2);
        assert_eq!(pins(folder.path()), ["settings-v1"]);
        std::fs::write(folder.path().join("blocks-v0"), "").unwrap();
        assert!(matches!(reconcile(folder.path(), &specs), Err(LayoutError::BlocksLayout { .. })));
    }
}
