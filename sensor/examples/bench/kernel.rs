//! The kernel half as the benchmarks load it: programs, settings, filled maps.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result};
use aya::maps::{Array, HashMap, LpmTrie, Map, MapData, RingBuf, lpm_trie};
use aya::programs::{Iter, ProgramInfo, SchedClassifier, Xdp};
use aya::{Btf, Ebpf, EbpfLoader};
use ganglion_flow::rules::{Action, Rule};
use ganglion_flow::settings::Settings;
use ganglion_flow::state::status;
use ganglion_flow::{Addr, FlowKey, FlowState, Wire};

use crate::frames::{EXEMPT, FREE, SERVER};

/// Flows in a full table.
pub(crate) const FLOWS: u32 = 262_144;
/// Sets of the tables of single-packet flows and of addresses: the sensor's defaults.
pub(crate) const SETS: u32 = 16_384;
/// The program at XDP.
pub(crate) const INGRESS: &str = "ganglion_ingress";

/// `FLOWS`, to be written from here.
pub(crate) type FlowMap<T> = HashMap<T, [u8; FlowKey::LEN], [u8; FlowState::LEN]>;

/// Loads the object with a table of so many flows.
pub(crate) fn load(flows: u32) -> Result<Ebpf> {
    Ok(EbpfLoader::new().map_max_entries("FLOWS", flows).load(ganglion_sensor::object::OBJECT)?)
}

/// Loads the named XDP program and hands out its descriptor.
pub(crate) fn program(ebpf: &mut Ebpf, name: &str) -> Result<OwnedFd> {
    let program: &mut Xdp = ebpf.program_mut(name).with_context(|| format!("no program {name}"))?.try_into()?;
    if program.fd().is_err() {
        program.load().with_context(|| format!("loading {name}"))?;
    }
    Ok(program.fd()?.try_clone()?.as_fd().try_clone_to_owned()?)
}

/// Loads the named iterator program and hands out its descriptor.
pub(crate) fn iterator(ebpf: &mut Ebpf, name: &str) -> Result<OwnedFd> {
    let program: &mut Iter = ebpf.program_mut(name).with_context(|| format!("no program {name}"))?.try_into()?;
    program.load("bpf_map_elem", &Btf::from_sys_fs()?).with_context(|| format!("loading {name}"))?;
    Ok(program.fd()?.try_clone()?.as_fd().try_clone_to_owned()?)
}

/// What the kernel says of each program that ships.
pub(crate) fn shipped(ebpf: &mut Ebpf) -> Result<Vec<(&'static str, ProgramInfo)>> {
    let mut all = Vec::new();
    for name in [INGRESS, "ganglion_ingress_tc", "ganglion_egress", "ganglion_sweep_flows", "ganglion_sweep_half_open"]
    {
        let program = ebpf.program_mut(name).with_context(|| format!("no program {name}"))?;
        let info = match program {
            aya::programs::Program::Iter(_) => iterator(ebpf, name).and_then(|_| info(ebpf, name))?,
            aya::programs::Program::SchedClassifier(_) => {
                let program: &mut SchedClassifier = program.try_into()?;
                program.load().with_context(|| format!("loading {name}"))?;
                program.info()?
            }
            _ => self::program(ebpf, name).and_then(|_| info(ebpf, name))?,
        };
        all.push((name, info));
    }
    Ok(all)
}

/// What the kernel says of a loaded program.
pub(crate) fn info(ebpf: &Ebpf, name: &str) -> Result<ProgramInfo> {
    Ok(ebpf.program(name).with_context(|| format!("no program {name}"))?.info()?)
}

/// The sensor's defaults.
pub(crate) fn settings(flags: u64) -> Settings {
    let mut settings = Settings::new(SETS, SETS, 7);
    settings.flags = flags;
    settings
}

/// Writes the settings.
pub(crate) fn apply(ebpf: &mut Ebpf, settings: &Settings) -> Result<()> {
    let mut data: Array<_, [u8; Settings::LEN]> = Array::try_from(ebpf.map_mut(".data").context(".data")?)?;
    Ok(data.set(0, bytes::<_, { Settings::LEN }>(settings), 0)?)
}

/// A wire layout's bytes.
pub(crate) fn bytes<T: Wire, const N: usize>(value: &T) -> [u8; N] {
    let mut out = [0; N];
    value.put(&mut out);
    out
}

/// The data of a map beside the object's own handle on it.
pub(crate) fn again(ebpf: &Ebpf, name: &str) -> Result<MapData> {
    let map = ebpf.map(name).with_context(|| format!("no map {name}"))?;
    let (Map::HashMap(data) | Map::Array(data) | Map::RingBuf(data) | Map::PerCpuArray(data)) = map else {
        anyhow::bail!("{name} is of another kind");
    };
    Ok(MapData::from_fd(data.fd().as_fd().try_clone_to_owned()?)?)
}

/// `FLOWS` of the object.
pub(crate) fn flow_map(ebpf: &Ebpf) -> Result<FlowMap<MapData>> {
    Ok(HashMap::try_from(Map::HashMap(again(ebpf, "FLOWS")?))?)
}

/// The ring buffer.
pub(crate) fn ring(ebpf: &mut Ebpf) -> Result<RingBuf<MapData>> {
    Ok(RingBuf::try_from(ebpf.take_map("RECORDS").context("RECORDS")?)?)
}

pub(crate) fn addr(octets: [u8; 4]) -> Addr {
    Addr::v4(u32::from_be_bytes(octets))
}

/// Five allowed networks, ten thousand blocked addresses and one that is allowed too, a hundred blocked networks.
pub(crate) fn fill_rules(ebpf: &mut Ebpf) -> Result<()> {
    let rule = Rule {
        expires_ns: u64::MAX,
        slot: 1,
        limit: 0,
        action: Action::Drop as u8,
        class: 3,
        prefix: 0,
        zero: 0,
        proof: 1,
    };
    let value = bytes::<_, { Rule::LEN }>(&rule);
    let mut blocks: HashMap<_, [u8; 16], [u8; Rule::LEN]> =
        HashMap::try_from(ebpf.map_mut("BLOCKS").context("BLOCKS")?)?;
    for i in 0..10_000u32 {
        blocks.insert(bytes::<_, 16>(&Addr::v4(0xc612_0000 + i)), value, 0)?;
    }
    // Its exemption is looked up with every packet: nobody vouched that there is none.
    blocks.insert(bytes::<_, 16>(&addr(EXEMPT)), bytes::<_, { Rule::LEN }>(&Rule { proof: 0, ..rule }), 0)?;
    let nets = ebpf.map_mut("BLOCK_NETS").context("BLOCK_NETS")?;
    let mut nets: LpmTrie<_, [u32; 4], [u8; Rule::LEN]> = LpmTrie::try_from(nets)?;
    for i in 0..100u8 {
        nets.insert(&lpm_trie::Key::new(96 + 24, addr([198, 18, 100 + i, 0]).words()), value, 0)?;
    }
    let nets = ebpf.map_mut("ALLOW_NETS").context("ALLOW_NETS")?;
    let mut nets: LpmTrie<_, [u32; 4], u32> = LpmTrie::try_from(nets)?;
    for i in 0..5u8 {
        nets.insert(&lpm_trie::Key::new(96 + 24, addr([198, 19, 200 + i, 0]).words()), 1, 0)?;
    }
    Ok(())
}

/// Key and value of the `i`-th of the flows that the random prologue makes, as if it had had two packets.
pub(crate) fn flow(i: u32, times_us: [u64; 2]) -> (FlowKey, FlowState) {
    let low = (i & 0xffff) as u16;
    let src = addr([FREE[0], FREE[1], (low >> 8) as u8, low as u8]);
    let (key, sender_is_a) = FlowKey::new(src, addr(SERVER), 40_000 + (i >> 16) as u16, 80, 6, 0);
    let mut state = FlowState::ZERO;
    [state.first_us, state.last_us] = times_us;
    state.stages = 0xff;
    state.status = if sender_is_a { status::INITIATOR_IS_A } else { 0 };
    state.lock = key.tag();
    (key, state)
}

/// Puts a flow into the table.
pub(crate) fn put<T>(flows: &mut FlowMap<T>, (key, state): (FlowKey, FlowState)) -> Result<()>
where
    T: std::borrow::BorrowMut<MapData>,
{
    Ok(flows.insert(bytes::<_, { FlowKey::LEN }>(&key), bytes::<_, { FlowState::LEN }>(&state), 0)?)
}

/// All flows that the random prologue makes.
pub(crate) fn fill_flows(ebpf: &Ebpf) -> Result<()> {
    let mut flows = flow_map(ebpf)?;
    (0..FLOWS).try_for_each(|i| put(&mut flows, flow(i, [1, 1])))
}
