//! The kernel's maps, typed: keys and values go through their wire layout.

use std::marker::PhantomData;
use std::os::fd::AsFd;

use aya::maps::lpm_trie::Key;
use aya::maps::{Array, HashMap, LpmTrie, Map, MapData, MapError, PerCpuArray};
use ganglion_flow::half_open::{HalfOpenSet, SET_LEN};
use ganglion_flow::rules::{NewFlowLimit, Rule, RuleHits, RuleRate, ServiceKey};
use ganglion_flow::settings::Settings;
use ganglion_flow::{Addr, FlowKey, FlowState, Wire};

use crate::sys::{PerCpuEntry, Walk};
use crate::target::Net;

fn bytes<const N: usize>(value: &impl Wire) -> [u8; N] {
    let mut out = [0; N];
    // The tables below assert that `N` is the value's length.
    let _fits = value.put(&mut out);
    out
}

/// Whether a removal found nothing to remove.
fn is_absent(error: &MapError) -> bool {
    match error {
        MapError::KeyNotFound | MapError::ElementNotFound => true,
        MapError::SyscallError(e) => e.io_error.raw_os_error() == Some(libc::ENOENT),
        _ => false,
    }
}

/// A hash map with wire layouts.
pub(crate) struct Table<K, V, const KL: usize, const VL: usize> {
    map: HashMap<MapData, [u8; KL], [u8; VL]>,
    kinds: PhantomData<(K, V)>,
}

impl<K: Wire, V: Wire, const KL: usize, const VL: usize> Table<K, V, KL, VL> {
    const FITS: () = assert!(K::LEN == KL && V::LEN == VL);

    pub(crate) fn new(map: Map) -> Result<Self, MapError> {
        let () = Self::FITS;
        Ok(Self { map: HashMap::try_from(map)?, kinds: PhantomData })
    }

    pub(crate) fn insert(&mut self, key: &K, value: &V) -> Result<(), MapError> {
        self.map.insert(bytes::<KL>(key), bytes::<VL>(value), 0)
    }

    /// False when there was no such entry.
    pub(crate) fn remove(&mut self, key: &K) -> Result<bool, MapError> {
        match self.map.remove(&bytes::<KL>(key)) {
            Ok(()) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn entries(&self) -> Result<Vec<(K, V)>, MapError> {
        let decode = |(k, v): ([u8; KL], [u8; VL])| K::get(&k).zip(V::get(&v));
        self.map.iter().filter_map(|entry| entry.map(decode).transpose()).collect()
    }
}

/// A longest-prefix-match map with wire values.
pub(crate) struct NetTable<V, const VL: usize> {
    map: LpmTrie<MapData, [u8; 16], [u8; VL]>,
    kind: PhantomData<V>,
}

impl<V: Wire, const VL: usize> NetTable<V, VL> {
    const FITS: () = assert!(V::LEN == VL);

    pub(crate) fn new(map: Map) -> Result<Self, MapError> {
        let () = Self::FITS;
        Ok(Self { map: LpmTrie::try_from(map)?, kind: PhantomData })
    }

    fn key(net: &Net) -> Key<[u8; 16]> {
        Key::new(u32::from(net.prefix), net.addr.octets())
    }

    pub(crate) fn insert(&mut self, net: &Net, value: &V) -> Result<(), MapError> {
        self.map.insert(&Self::key(net), bytes::<VL>(value), 0)
    }

    pub(crate) fn remove(&mut self, net: &Net) -> Result<bool, MapError> {
        match self.map.remove(&Self::key(net)) {
            Ok(()) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn entries(&self) -> Result<Vec<(Net, V)>, MapError> {
        let decode = |(k, v): (Key<[u8; 16]>, [u8; VL])| {
            let prefix = u8::try_from(k.prefix_len()).ok()?;
            V::get(&v).map(|v| (Net { addr: Addr::from_octets(k.data()), prefix }, v))
        };
        self.map.iter().filter_map(|entry| entry.map(decode).transpose()).collect()
    }
}

/// Rules and exemptions.
pub(crate) struct RuleTables {
    pub(crate) verdicts: Table<FlowKey, Rule, 40, 24>,
    pub(crate) blocks: Table<Addr, Rule, 16, 24>,
    pub(crate) block_nets: NetTable<Rule, 24>,
    pub(crate) new_flow_limits: Table<Addr, NewFlowLimit, 16, 16>,
    pub(crate) allow_nets: NetTable<u32, 4>,
    pub(crate) allow_services: Table<ServiceKey, u32, 24, 4>,
    pub(crate) allow_flows: Table<FlowKey, u32, 40, 4>,
    pub(crate) hits: HitTable,
    pub(crate) rates: Array<MapData, [u8; 16]>,
}

/// What each slot matched.
pub(crate) struct HitTable {
    map: MapData,
    cpus: usize,
}

impl HitTable {
    pub(crate) fn new(map: Map) -> Result<Self, MapError> {
        let Map::PerCpuArray(map) = map else { return Err(MapError::InvalidMapType { map_type: 0 }) };
        // The kernel copies this many bytes per CPU, whatever the buffer.
        let size = map.info()?.value_size() as usize;
        if size != RuleHits::LEN {
            return Err(MapError::InvalidValueSize { size, expected: RuleHits::LEN });
        }
        let cpus = aya::util::nr_cpus().map_err(|(_, error)| MapError::IoError(error))?;
        Ok(Self { map, cpus })
    }

    /// What a slot matched, over all CPUs.
    pub(crate) fn sum(&self, slot: u32) -> Result<RuleHits, MapError> {
        let mut entry = PerCpuEntry::new(RuleHits::LEN, self.cpus);
        let mut sum = RuleHits::ZERO;
        for cpu in entry.read(self.map.fd().as_fd(), slot)?.filter_map(RuleHits::get) {
            sum.packets += cpu.packets;
            sum.bytes += cpu.bytes;
            sum.dropped += cpu.dropped;
            if cpu.first_drop_ns != 0 && (sum.first_drop_ns == 0 || cpu.first_drop_ns < sum.first_drop_ns) {
                sum.first_drop_ns = cpu.first_drop_ns;
            }
        }
        Ok(sum)
    }

    fn clear(&self, slot: u32) -> Result<(), MapError> {
        Ok(PerCpuEntry::new(RuleHits::LEN, self.cpus).write(self.map.fd().as_fd(), slot)?)
    }
}

impl RuleTables {
    /// Makes a slot fit for another rule.
    pub(crate) fn clear_slot(&mut self, slot: u32) -> Result<(), MapError> {
        self.hits.clear(slot)?;
        self.rates.set(slot, bytes::<16>(&RuleRate::ZERO), 0)
    }
}

/// The settings, the one struct in the programs' `.data`.
pub(crate) struct SettingsMap(Array<MapData, [u8; Settings::LEN]>);

impl SettingsMap {
    pub(crate) fn new(map: Map) -> Result<Self, MapError> {
        Array::try_from(map).map(Self)
    }

    pub(crate) fn write(&mut self, settings: &Settings) -> Result<(), MapError> {
        self.0.set(0, bytes::<{ Settings::LEN }>(settings), 0)
    }

    /// Reads the settings of a pinned `.data` map.
    pub(crate) fn read_data(map: MapData) -> Option<Settings> {
        let map: Array<_, [u8; Settings::LEN]> = Array::try_from(Map::Array(map)).ok()?;
        Settings::get(&map.get(&0, 0).ok()?)
    }
}

/// The packet counters, summed over CPUs.
pub(crate) struct CounterMap(PerCpuArray<MapData, [u64; ganglion_flow::counter::COUNT]>);

impl CounterMap {
    pub(crate) fn new(map: Map) -> Result<Self, MapError> {
        PerCpuArray::try_from(map).map(Self)
    }

    /// All counters in order of their index.
    pub(crate) fn read(&self) -> Result<[u64; ganglion_flow::counter::COUNT], MapError> {
        let mut sum = [0u64; ganglion_flow::counter::COUNT];
        for cpu in self.0.get(&0, 0)?.iter() {
            for (total, value) in sum.iter_mut().zip(cpu) {
                *total = total.wrapping_add(*value);
            }
        }
        Ok(sum)
    }
}

/// The tables of live flows; read whole, never written.
pub(crate) struct FlowTables {
    pub(crate) flows: MapData,
    pub(crate) half_open: MapData,
}

impl FlowTables {
    /// Visits every entry of `FLOWS`. Entries that change meanwhile may be torn by a packet; the counts of one
    /// entry may then be off by that packet.
    pub(crate) fn each_flow(&self, mut visit: impl FnMut(&FlowKey, &FlowState)) -> std::io::Result<()> {
        each_flow(&self.flows, &mut visit)
    }

    /// Visits every set of `HALF_OPEN`.
    pub(crate) fn each_half_open_set(&self, mut visit: impl FnMut(&HalfOpenSet)) -> std::io::Result<()> {
        each_half_open_set(&self.half_open, &mut visit)
    }
}

/// Visits every entry of a map laid out as `FLOWS`.
pub(crate) fn each_flow(map: &MapData, visit: &mut dyn FnMut(&FlowKey, &FlowState)) -> std::io::Result<()> {
    let mut walk = Walk::<{ FlowKey::LEN }, { FlowState::LEN }>::new(map.fd().as_fd(), 1024);
    while walk.step(&mut |key, value| {
        if let Some((key, flow)) = FlowKey::get(key).zip(FlowState::get(value)) {
            visit(&key, &flow);
        }
    })? {}
    Ok(())
}

/// Visits every set of a map laid out as `HALF_OPEN`.
pub(crate) fn each_half_open_set(map: &MapData, visit: &mut dyn FnMut(&HalfOpenSet)) -> std::io::Result<()> {
    let mut walk = Walk::<4, SET_LEN>::new(map.fd().as_fd(), 1024);
    while walk.step(&mut |_, value| {
        if let Some(set) = HalfOpenSet::get(value) {
            visit(&set);
        }
    })? {}
    Ok(())
}
