//! The sensor's sweep over a full table of which one flow in a hundred expires, beside walks that expire nothing.

mod ageing;

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Result, ensure};
use aya::maps::{MapData, RingBuf};
use ganglion_flow::Counter;
use ganglion_flow::record::{Reason, RecordHeader};
use ganglion_flow::settings::flag;
use ganglion_sensor::bench::Keeper;
use serde_json::{Value, json};

use crate::bpf::{self, thread_ns};
use crate::kernel::{self, FLOWS};
use crate::report::{number, quantiles, report, spread, table, verdict};
use ageing::{Ageing, FLOWS_A_SWEEP, HALF_OPEN, HALF_OPEN_A_SWEEP, PACKETS};

/// A sweep in so many seconds.
const PERIOD_S: f64 = 10.0;
/// Of one core.
const BUDGET_PERCENT: f64 = 2.0;

/// The full table, and who walks it.
struct Bench {
    ageing: Ageing,
    keeper: Keeper,
    ring: RingBuf<MapData>,
    walk: OwnedFd,
    flows: MapData,
}

/// CPU time of each walk in one round, ms.
#[derive(Clone, Copy)]
struct Round {
    sweep: f64,
    sweep_wall: f64,
    walk: f64,
    copy: f64,
}

pub(crate) fn run(quick: bool) -> Result<Value> {
    let mut bench = Bench::new()?;
    let sweeps: u32 = if quick { 4 } else { 13 };
    let mut rounds = Vec::new();
    for _ in 0..sweeps {
        rounds.push(bench.round()?);
    }
    let expired = bench.account(sweeps)?;
    let notes = vec![
        format!(
            "{FLOWS} live flows and {HALF_OPEN} of one packet; {FLOWS_A_SWEEP} and {HALF_OPEN_A_SWEEP} expire per sweep"
        ),
        format!("{} sweeps after a first one; the programs' clock is set, so that none waits", sweeps - 1),
    ];
    // The first round is cold.
    Ok(report(vec![times(&rounds[1..]), expired], notes))
}

fn times(rounds: &[Round]) -> Value {
    let of = |each: fn(&Round) -> f64| quantiles(&rounds.iter().map(each).collect::<Vec<_>>());
    let row = |what: &str, each: fn(&Round) -> f64, budget: Option<f64>| {
        let [low, median, high] = of(each);
        let share = median / (PERIOD_S * 1e3) * 100.0;
        let judged = budget.map_or(json!(""), |budget| verdict(high / (PERIOD_S * 1e3) * 100.0 < budget));
        let last = vec![number(share, 2), budget.map_or(json!(""), |budget| json!(budget)), judged];
        [vec![json!(what)], spread([low, median, high], 1).to_vec(), last].concat()
    };
    let rows = vec![
        row("sweep, CPU time", |r| r.sweep, Some(BUDGET_PERCENT)),
        row("sweep, wall time", |r| r.sweep_wall, None),
        row("walk that expires nothing (bpf_iter)", |r| r.walk, None),
        row("copy to userspace (BPF_MAP_LOOKUP_BATCH)", |r| r.copy, None),
    ];
    table("sweep", &["what", "ms", "p10 - p90", "% of a core, each 10 s", "budget", "verdict"], rows)
}

impl Bench {
    fn new() -> Result<Self> {
        let mut ebpf = kernel::load(FLOWS)?;
        let settings = kernel::settings(flag::SOURCES);
        kernel::apply(&mut ebpf, &settings)?;
        for name in ["ganglion_sweep_flows", "ganglion_sweep_half_open"] {
            kernel::iterator(&mut ebpf, name)?;
        }
        let walk = kernel::iterator(&mut ebpf, "bench_walk")?;
        let again = |name| kernel::again(&ebpf, name);
        let (flows, half_open, counters) = (again("FLOWS")?, again("HALF_OPEN")?, again("COUNTERS")?);
        let flows_too = again("FLOWS")?;
        let ring = kernel::ring(&mut ebpf)?;
        let keeper = Keeper::new(&mut ebpf, flows, half_open, counters)?;
        Ok(Self { ageing: Ageing::new(ebpf, settings)?, keeper, ring, walk, flows: flows_too })
    }

    /// Lets flows fall silent, then one of each walk; the records are taken out and counted.
    fn round(&mut self) -> Result<Round> {
        let ms = |from: f64| Ok::<_, anyhow::Error>((thread_ns()? - from) / 1e6);
        self.ageing.silence()?;
        let before = thread_ns()?;
        bpf::walk(self.walk.as_fd(), self.flows.fd().as_fd())?;
        let walk = ms(before)?;
        let before = thread_ns()?;
        let copied = self.keeper.copy_all()?;
        let copy = ms(before)?;
        ensure!(copied == u64::from(FLOWS), "{copied} flows in the table, not {FLOWS}");
        self.ageing.set_clock()?;
        let before = thread_ns()?;
        let wall = self.keeper.sweep()?;
        let sweep = ms(before)?;
        let found = self.records();
        ensure!(
            found == [FLOWS_A_SWEEP.into(), HALF_OPEN_A_SWEEP.into(), 0],
            "records of idle flows, of single packets, others: {found:?}, not {FLOWS_A_SWEEP}, {HALF_OPEN_A_SWEEP}, 0"
        );
        Ok(Round { sweep, sweep_wall: wall.as_secs_f64() * 1e3, walk, copy })
    }

    /// Empties the ring buffer: records of idle flows, of single packets, others.
    fn records(&mut self) -> [u64; 3] {
        let mut found = [0; 3];
        while let Some(item) = self.ring.next() {
            let reason = <RecordHeader as ganglion_flow::Wire>::get(&item).and_then(|h| Reason::from_u8(h.reason));
            found[match reason {
                Some(Reason::Idle) => 0,
                Some(Reason::HalfOpen) => 1,
                _ => 2,
            }] += 1;
        }
        found
    }

    /// What became of all that expired; an error where anything is missing.
    fn account(&self, sweeps: u32) -> Result<Value> {
        let counters = self.keeper.counters()?;
        let of = |counter: Counter| counters[counter as usize];
        let (flows, single) = (u64::from(sweeps * FLOWS_A_SWEEP), u64::from(sweeps * HALF_OPEN_A_SWEEP));
        let live = self.keeper.live()?;
        let rows = [
            ("records made", of(Counter::Records), flows + single),
            ("records lost", of(Counter::RecordsLost), 0),
            ("packets in them", of(Counter::Exported), flows * PACKETS + single),
            ("packets lost on export", of(Counter::ExportLost), 0),
            ("flows left", live.flows, (FLOWS - FLOWS_A_SWEEP).into()),
            ("flows of one packet left", live.half_open, (HALF_OPEN - HALF_OPEN_A_SWEEP).into()),
        ];
        for (what, found, expected) in rows {
            ensure!(found == expected, "{what}: {found}, not {expected}");
        }
        let rows = rows.map(|(what, found, expected)| vec![json!(what), json!(found), json!(expected)]);
        Ok(table("what expired", &["what", "found", "expected"], rows.to_vec()))
    }
}
