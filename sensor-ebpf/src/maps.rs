//! The maps. Sizes are defaults; the sensor sets them before loading. A change of a value's layout needs a
//! new layout number in the sensor's pin folder.

use aya_ebpf::btf_maps::lpm_trie::LpmTrie;
use aya_ebpf::btf_maps::{Array, HashMap, PerCpuArray, RingBuf};
use aya_ebpf::macros::btf_map;
use ganglion_flow::counter::Counters;
use ganglion_flow::fragments::DatagramSet;
use ganglion_flow::half_open::HalfOpenSet;
use ganglion_flow::rules::{NewFlowLimit, Rule, RuleHits, RuleRate, ServiceKey};
use ganglion_flow::settings::Settings;
use ganglion_flow::source::SourceSet;
use ganglion_flow::{Addr, FlowKey, FlowState, Wire};

use crate::path::Passing;

/// Flows with more than one packet.
#[btf_map]
pub static FLOWS: HashMap<FlowKey, FlowState, 262_144> = HashMap::new();

/// Flows of one packet.
#[btf_map]
pub static HALF_OPEN: Array<HalfOpenSet, 16_384> = Array::new();

/// Datagrams that come in fragments.
#[btf_map]
pub static FRAGMENTS: Array<DatagramSet, { ganglion_flow::fragments::SETS }> = Array::new();

/// Addresses, as senders and as receivers.
#[btf_map]
pub static SOURCES: Array<SourceSet, 16_384> = Array::new();

/// Rules on single flows. Apart from `FLOWS`, because a write from userspace replaces a whole value.
#[btf_map]
pub static VERDICTS: HashMap<FlowKey, Rule, 65_536> = HashMap::new();

/// Rules on addresses.
#[btf_map]
pub static BLOCKS: HashMap<Addr, Rule, 65_536> = HashMap::new();

/// Rules on networks.
#[btf_map]
pub static BLOCK_NETS: LpmTrie<[u32; 4], Rule, 16_384> = LpmTrie::new();

/// Networks that no rule touches.
#[btf_map]
pub static ALLOW_NETS: LpmTrie<[u32; 4], u32, 16_384> = LpmTrie::new();

/// Services that no rule touches.
#[btf_map]
pub static ALLOW_SERVICES: HashMap<ServiceKey, u32, 1_024> = HashMap::new();

/// Flows that no rule touches: the operators' sessions.
#[btf_map]
pub static ALLOW_FLOWS: HashMap<FlowKey, u32, 4_096> = HashMap::new();

/// Limits on new flows towards an address.
#[btf_map]
pub static NEW_FLOW_LIMITS: HashMap<Addr, NewFlowLimit, 1_024> = HashMap::new();

/// What each rule matched.
#[btf_map]
pub static RULE_HITS: PerCpuArray<RuleHits, 65_536> = PerCpuArray::new();

/// What each limiting rule let through lately.
#[btf_map]
pub static RULE_RATES: Array<RuleRate, 65_536> = Array::new();

/// What became of packets and records.
#[btf_map]
pub static COUNTERS: PerCpuArray<Counters, 1> = PerCpuArray::new();

/// Records on their way to userspace.
#[btf_map]
pub static RECORDS: RingBuf<u64, 16_777_216> = RingBuf::new();

/// Room to build a flow in: a program's stack has 512 bytes.
#[btf_map]
pub static SCRATCH: PerCpuArray<FlowState, 1> = PerCpuArray::new();

/// The packet under way, per hook.
#[btf_map]
pub static PASSING: PerCpuArray<Passing, 4> = PerCpuArray::new();

/// The value of a new flow, per hook: all zero but for its tag.
#[btf_map]
pub static NEW_FLOW: PerCpuArray<FlowState, 4> = PerCpuArray::new();

/// What userspace may change while the programs run.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data")]
pub static mut SETTINGS: Settings = Settings { ..Settings::ZERO };

/// Reads one field of the settings, each time anew.
macro_rules! setting {
    ($field:ident) => {
        // SAFETY: `.data` is a map that lives as long as the program; userspace writes it with aligned stores.
        unsafe { core::ptr::read_volatile(&raw const $crate::maps::SETTINGS.$field) }
    };
}

pub(crate) use setting;
