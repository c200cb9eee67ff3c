//! A table whose flows fall silent, a hundredth before each sweep, while the programs' clock stands still.

use anyhow::{Context, Result};
use aya::Ebpf;
use aya::maps::{Array, MapData};
use ganglion_flow::half_open::{HalfOpenSet, SET_LEN};
use ganglion_flow::settings::Settings;
use ganglion_flow::state::status;
use ganglion_flow::{FlowKey, FlowState, US_PER_S, Wire};

use crate::bpf::boot_us;
use crate::kernel::{self, FLOWS, FlowMap, SETS};

/// Flows that expire in a sweep.
pub(super) const FLOWS_A_SWEEP: u32 = FLOWS / 100;
/// Flows of one packet: one a set.
pub(super) const HALF_OPEN: u32 = SETS;
/// Of those, how many expire.
pub(super) const HALF_OPEN_A_SWEEP: u32 = SETS / 100;
/// Packets of each flow with a full entry.
pub(super) const PACKETS: u64 = 2;
/// Live flows were seen within so many µs: well before any time-out, the clock goes on during a sweep.
const LATELY_US: u64 = 8 * US_PER_S;

/// The tables, as userspace changes them between sweeps.
pub(super) struct Ageing {
    ebpf: Ebpf,
    settings: Settings,
    flows: FlowMap<MapData>,
    /// What the programs' clock shows when a sweep begins, µs.
    now_us: u64,
    /// The next to fall silent, and the next to come in its place.
    next: u32,
    next_set: u32,
}

impl Ageing {
    /// Fills both tables.
    pub(super) fn new(ebpf: Ebpf, settings: Settings) -> Result<Self> {
        let flows = kernel::flow_map(&ebpf)?;
        let now_us = boot_us()? + 3_600 * US_PER_S;
        let mut ageing = Self { ebpf, settings, flows, now_us, next: 0, next_set: 0 };
        (0..FLOWS).try_for_each(|i| ageing.put(i, ageing.seen_lately(i)))?;
        (0..HALF_OPEN).try_for_each(|set| ageing.put_half_open(set, ageing.seen_lately(set)))?;
        Ok(ageing)
    }

    /// The programs' clock shows [`Self::now_us`], whatever time has passed.
    pub(super) fn set_clock(&mut self) -> Result<()> {
        self.settings.clock_offset_us = self.now_us - boot_us()?;
        kernel::apply(&mut self.ebpf, &self.settings)
    }

    /// Puts new flows in the place of those that the last sweep took, and lets a hundredth fall silent.
    pub(super) fn silence(&mut self) -> Result<()> {
        for _ in 0..FLOWS_A_SWEEP {
            let (due, gone) = (self.next % FLOWS, self.next.wrapping_sub(FLOWS_A_SWEEP) % FLOWS);
            if self.next >= FLOWS_A_SWEEP {
                self.put(gone, self.seen_lately(gone))?;
            }
            self.put(due, self.now_us - self.settings.idle_us - 1)?;
            self.next += 1;
        }
        for _ in 0..HALF_OPEN_A_SWEEP {
            let (due, gone) = (self.next_set % HALF_OPEN, self.next_set.wrapping_sub(HALF_OPEN_A_SWEEP) % HALF_OPEN);
            if self.next_set >= HALF_OPEN_A_SWEEP {
                self.put_half_open(gone, self.seen_lately(gone))?;
            }
            self.put_half_open(due, self.now_us - self.settings.half_open_us - 1)?;
            self.next_set += 1;
        }
        Ok(())
    }

    /// A time in the last seconds, spread over the flows.
    fn seen_lately(&self, i: u32) -> u64 {
        self.now_us - u64::from(i).wrapping_mul(0x9e37_79b9) % LATELY_US
    }

    fn put(&mut self, i: u32, last_us: u64) -> Result<()> {
        let (key, mut state): (FlowKey, FlowState) = kernel::flow(i, [last_us, last_us]);
        state.status |= status::ANSWERED | status::ESTABLISHED;
        (state.fwd.packets, state.bwd.packets) = (PACKETS / 2, PACKETS / 2);
        kernel::put(&mut self.flows, (key, state))
    }

    fn put_half_open(&mut self, set: u32, seen_us: u64) -> Result<()> {
        let map = self.ebpf.map_mut("HALF_OPEN").context("HALF_OPEN")?;
        let mut map: Array<_, [u8; SET_LEN]> = Array::try_from(map)?;
        let mut value = HalfOpenSet::ZERO;
        if let Some(slot) = value.ways.first_mut() {
            (slot.key, slot.seen_us, slot.segments) = (kernel::flow(set, [1, 1]).0, seen_us, 1);
        }
        Ok(map.set(set, kernel::bytes::<_, SET_LEN>(&value), 0)?)
    }
}
