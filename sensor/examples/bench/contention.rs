//! Two CPUs at once: on one flow, and on a flow each. What no lock, the kernel's lock and the try-lock cost, and what
//! they lose.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Barrier;

use anyhow::{Context, Result, anyhow, ensure};
use aya::Ebpf;
use aya::maps::{HashMap, MapData};
use ganglion_flow::settings::flag;
use ganglion_flow::{FlowKey, FlowState, Wire};
use ganglion_sensor::bench::{Keeper, packets};
use serde_json::{Value, json};

use crate::bpf;
use crate::frames::{BLOCKED, FREE, SERVER, tcp, tcp_reply};
use crate::kernel::{self, addr};
use crate::report::{number, quantiles, report, spread, table};

/// `bpf_spin_lock`, padding, the flow.
const SPIN_FLOW: usize = 8 + FlowState::LEN;
/// Every packet returns this.
const XDP_PASS: u32 = 2;

/// A way to keep the other CPU off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lock {
    Shipped,
    None,
    Spin,
}

impl Lock {
    const ALL: [Self; 3] = [Self::Shipped, Self::None, Self::Spin];

    const fn program(self) -> &'static str {
        match self {
            Self::Shipped => kernel::INGRESS,
            Self::None => "bench_update_unlocked",
            Self::Spin => "bench_update_spin",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Shipped => "Ganglion: try-lock, the whole path",
            Self::None => "update without a lock",
            Self::Spin => "update under bpf_spin_lock",
        }
    }
}

/// Which flows the two CPUs' packets belong to.
#[derive(Clone, Copy)]
enum Traffic {
    OneFlow,
    OneDirection,
    TwoFlows,
}

impl Traffic {
    const ALL: [Self; 3] = [Self::OneFlow, Self::OneDirection, Self::TwoFlows];

    const fn name(self) -> &'static str {
        match self {
            Self::OneFlow => "one flow, a direction each",
            Self::OneDirection => "one flow, one direction",
            Self::TwoFlows => "a flow each",
        }
    }

    fn packets(self) -> [Vec<u8>; 2] {
        match self {
            Self::OneFlow => [tcp(FREE), tcp_reply(FREE)],
            Self::OneDirection => [tcp(FREE), tcp(FREE)],
            Self::TwoFlows => [tcp(FREE), tcp(BLOCKED)],
        }
    }
}

/// What came of all rounds of one lock and one traffic.
#[derive(Default)]
struct Outcome {
    alone_ns: Vec<f64>,
    both_ns: Vec<f64>,
    sent: u64,
    counted: u64,
    /// By reason.
    skipped: BTreeMap<&'static str, u64>,
}

pub(crate) fn run(quick: bool) -> Result<Value> {
    ensure!(std::thread::available_parallelism()?.get() >= 2, "contention needs two CPUs");
    let (rounds, repeat) = if quick { (2, 500_000) } else { (7, 2_000_000) };
    let mut notes = vec![
        format!(
            "{rounds} rounds of {repeat} packets on CPU 0 alone, then as many on CPU 0 and 1 at once, mean of both"
        ),
        "lost = sent - counted - skipped: the packets that nothing says anything about".to_owned(),
        "directions have counts of their own: without a lock, a direction each loses what is kept of both".to_owned(),
    ];
    let mut rows = Vec::new();
    for traffic in Traffic::ALL {
        let mut outcomes = Lock::ALL.map(|lock| (lock, Outcome::default()));
        for _ in 0..rounds {
            for (lock, outcome) in &mut outcomes {
                round(*lock, traffic, repeat, outcome).with_context(|| lock.name())?;
            }
        }
        for (lock, outcome) in outcomes {
            let row = outcome.row(traffic, lock);
            if lock == Lock::Shipped {
                ensure!(outcome.lost() == 0, "{}: {} packets lost uncounted", traffic.name(), outcome.lost());
                notes.push(format!("{}: packets' equation exact, skipped {:?}", traffic.name(), outcome.skipped));
            }
            rows.push(row);
        }
    }
    let columns = [
        "traffic",
        "lock",
        "one CPU, ns",
        "two CPUs, ns",
        "p10 - p90",
        "sent",
        "counted",
        "skipped",
        "skipped, %",
        "lost",
    ];
    Ok(report(vec![table("two CPUs", &columns, rows)], notes))
}

impl Outcome {
    fn skips(&self) -> u64 {
        self.skipped.values().sum()
    }

    fn lost(&self) -> i64 {
        self.sent.wrapping_sub(self.counted + self.skips()).cast_signed()
    }

    fn row(&self, traffic: Traffic, lock: Lock) -> Vec<Value> {
        let share = self.skips() as f64 / self.sent as f64 * 100.0;
        let first = vec![json!(traffic.name()), json!(lock.name()), number(quantiles(&self.alone_ns)[1], 1)];
        let last =
            vec![json!(self.sent), json!(self.counted), json!(self.skips()), number(share, 3), json!(self.lost())];
        [first, spread(quantiles(&self.both_ns), 1).to_vec(), last].concat()
    }
}

/// One round on fresh tables: each CPU alone, then both at once.
fn round(lock: Lock, traffic: Traffic, repeat: u32, outcome: &mut Outcome) -> Result<()> {
    let mut ebpf = kernel::load(1024)?;
    kernel::apply(&mut ebpf, &kernel::settings(flag::SOURCES))?;
    fill(&mut ebpf, traffic, lock)?;
    let program = kernel::program(&mut ebpf, lock.program())?;
    let packets = traffic.packets();
    outcome.alone_ns.push(on_cpus(&program, &packets[..1], repeat)?);
    outcome.both_ns.push(on_cpus(&program, &packets, repeat)?);
    outcome.sent += 3 * u64::from(repeat);
    match lock {
        Lock::Shipped => shipped_books(&mut ebpf, 3 * u64::from(repeat), outcome),
        Lock::None => {
            let flows = kernel::flow_map(&ebpf)?;
            outcome.counted += flows.iter().map(|f| Ok(count(&f?.1))).sum::<Result<u64>>()?;
            Ok(())
        }
        Lock::Spin => {
            let flows = spin_map(&mut ebpf)?;
            outcome.counted += flows.iter().map(|f| Ok(count(&f?.1[8..]))).sum::<Result<u64>>()?;
            Ok(())
        }
    }
}

/// Packets that a flow's state has counted.
fn count(state: &[u8]) -> u64 {
    FlowState::get(state).map_or(0, |state| state.packets())
}

/// What the shipped programs say of the packets; an error unless the equation of invariant 1 is exact.
fn shipped_books(ebpf: &mut Ebpf, sent: u64, outcome: &mut Outcome) -> Result<()> {
    for name in ["ganglion_sweep_flows", "ganglion_sweep_half_open"] {
        kernel::iterator(ebpf, name)?;
    }
    let [flows, half_open, counters] = ["FLOWS", "HALF_OPEN", "COUNTERS"].map(|name| kernel::again(ebpf, name));
    let keeper = Keeper::new(ebpf, flows?, half_open?, counters?)?;
    let equation = packets(&keeper.counters()?, &keeper.live()?);
    ensure!(equation.left == sent, "{} packets seen of {sent}", equation.left);
    ensure!(equation.difference() == 0, "the packets' equation is off by {}: {equation:?}", equation.difference());
    for (term, value) in equation.terms.into_iter().filter(|(_, value)| *value > 0) {
        match term {
            "live" | "live_half_open" | "exported" => outcome.counted += value,
            reason => *outcome.skipped.entry(reason).or_default() += value,
        }
    }
    Ok(())
}

/// Opens the flows of programs that open none themselves.
fn fill(ebpf: &mut Ebpf, traffic: Traffic, lock: Lock) -> Result<()> {
    let senders = match traffic {
        Traffic::OneFlow | Traffic::OneDirection => &[FREE][..],
        Traffic::TwoFlows => &[FREE, BLOCKED],
    };
    for sender in senders {
        let (key, state) = opened(*sender);
        match lock {
            Lock::Shipped => {}
            Lock::None => kernel::put(&mut kernel::flow_map(ebpf)?, (key, state))?,
            Lock::Spin => {
                let mut value = [0; SPIN_FLOW];
                state.put(&mut value[8..]);
                spin_map(ebpf)?.insert(kernel::bytes::<_, { FlowKey::LEN }>(&key), value, 0)?;
            }
        }
    }
    Ok(())
}

/// The flow of [`tcp`] before its first packet.
fn opened(sender: [u8; 4]) -> (FlowKey, FlowState) {
    let (key, sender_is_a) = FlowKey::new(addr(sender), addr(SERVER), 40_000, 80, 6, 0);
    let mut state = FlowState::ZERO;
    state.status = if sender_is_a { ganglion_flow::state::status::INITIATOR_IS_A } else { 0 };
    (state.first_us, state.last_us, state.iat_min_us) = (1, 1, u32::MAX);
    (key, state)
}

type SpinMap<'e> = HashMap<&'e mut MapData, [u8; FlowKey::LEN], [u8; SPIN_FLOW]>;

fn spin_map(ebpf: &mut Ebpf) -> Result<SpinMap<'_>> {
    Ok(HashMap::try_from(ebpf.map_mut("BENCH_SPIN_FLOWS").context("BENCH_SPIN_FLOWS")?)?)
}

/// Runs a packet on each CPU from 0 on, at once; mean nanoseconds a packet.
fn on_cpus(program: &OwnedFd, packets: &[Vec<u8>], repeat: u32) -> Result<f64> {
    let barrier = Barrier::new(packets.len());
    let one = |cpu: usize, packet: &[u8]| -> Result<f64> {
        let bound = bpf::stay_on(cpu);
        // Past the barrier even after an error: the others wait there.
        barrier.wait();
        bound?;
        let (value, ns) = bpf::test_run(program.as_fd(), packet, repeat)?;
        ensure!(value == XDP_PASS, "returned {value}, not {XDP_PASS}");
        Ok(ns)
    };
    std::thread::scope(|scope| {
        let one = &one;
        let threads: Vec<_> =
            packets.iter().enumerate().map(|(cpu, packet)| scope.spawn(move || one(cpu, packet))).collect();
        let mut sum = 0.0;
        for thread in threads {
            sum += thread.join().map_err(|_| anyhow!("a thread panicked"))??;
        }
        Ok(sum / packets.len() as f64)
    })
}
