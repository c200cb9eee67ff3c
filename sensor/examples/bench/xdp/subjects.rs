//! What is measured: programs, each with its packet and its tables.

use std::os::fd::OwnedFd;

use anyhow::{Result, ensure};
use aya::Ebpf;
use aya::maps::{MapData, RingBuf};
use ganglion_flow::Counter;
use ganglion_flow::counter::COUNT;
use ganglion_flow::settings::flag;

use crate::frames::{self, BLOCKED, EXEMPT, FREE};
use crate::{bpf, kernel, peer};

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
/// What fits into the ring buffer between two times that it is emptied, with room to spare.
const RECORDS: u32 = 16_000;
/// Packets of new flows a round, which fill the table at most by half.
const NEW: u32 = 200_000;

/// One thing that is measured: a program and the packet it gets.
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) fd: OwnedFd,
    pub(super) packet: Vec<u8>,
    pub(super) expected: u32,
    /// Runs a batch, and batches a round.
    pub(super) repeat: u32,
    pub(super) batches: u32,
    /// Makes room after a batch; not timed.
    pub(super) clean: Option<Box<dyn FnMut() -> Result<()>>>,
    /// Nanoseconds of each round, without and with statistics.
    pub(super) runs_ns: [Vec<f64>; 2],
}

impl Subject {
    fn new(name: &'static str, fd: OwnedFd, packet: Vec<u8>) -> Self {
        Self {
            name,
            fd,
            packet,
            expected: XDP_PASS,
            repeat: 500_000,
            batches: 1,
            clean: None,
            runs_ns: [Vec::new(), Vec::new()],
        }
    }

    fn drops(mut self) -> Self {
        self.expected = XDP_DROP;
        self
    }

    fn times(mut self, repeat: u32, batches: u32) -> Self {
        (self.repeat, self.batches) = (repeat, batches);
        self
    }

    fn cleaned(mut self, clean: impl FnMut() -> Result<()> + 'static) -> Self {
        self.clean = Some(Box::new(clean));
        self
    }
}

/// The object, once for each state that tables can be in.
pub(super) struct Loaded {
    /// Few flows, no rules.
    pub(super) plain: Ebpf,
    /// Few flows, many rules.
    ruled: Ebpf,
    /// 262,144 flows, no rules.
    full: Ebpf,
    /// Flows come and go.
    fresh: Ebpf,
    /// Records are made.
    early: Ebpf,
}

impl Loaded {
    pub(super) fn new() -> Result<Self> {
        let sources = flag::ENFORCE | flag::SOURCES;
        let rules = flag::BLOCKS | flag::BLOCK_NETS | flag::ALLOW_NETS;
        let load = |flows, flags| -> Result<Ebpf> {
            let mut ebpf = kernel::load(flows)?;
            kernel::apply(&mut ebpf, &kernel::settings(flags))?;
            Ok(ebpf)
        };
        let mut ruled = load(1 << 16, sources | rules)?;
        kernel::fill_rules(&mut ruled)?;
        let full = load(kernel::FLOWS, sources)?;
        kernel::fill_flows(&full)?;
        let (fresh, early) = (load(kernel::FLOWS, sources)?, load(1 << 16, sources)?);
        Ok(Self { plain: load(1 << 16, sources)?, ruled, full, fresh, early })
    }

    /// That every record was written: a refused one costs less than a made one.
    pub(super) fn check_records(&self) -> Result<()> {
        let counters = kernel::again(&self.early, "COUNTERS")?;
        let counters: aya::maps::PerCpuArray<_, [u64; COUNT]> =
            aya::maps::PerCpuArray::try_from(aya::maps::Map::PerCpuArray(counters))?;
        let lost: u64 = counters.get(&0, 0)?.iter().map(|cpu| cpu[Counter::RecordsLost as usize]).sum();
        ensure!(lost == 0, "{lost} records met a full ring buffer: \"update with record\" is not what it says");
        Ok(())
    }
}

/// All subjects, in the order in which they run.
pub(super) fn all(loaded: &mut Loaded) -> Result<Vec<Subject>> {
    let mut subjects = vec![
        Subject::new("empty", bpf::empty_program()?, frames::tcp(FREE)),
        // Its "deny" object denies what is not listed: a listed address takes both look-ups and passes.
        Subject::new("xdp-filter dny_ip", peer::xdp_filter()?, frames::tcp(BLOCKED)),
        Subject::new("drop", kernel::program(&mut loaded.ruled, kernel::INGRESS)?, frames::tcp(BLOCKED)).drops(),
        Subject::new("pass, no flow", kernel::program(&mut loaded.plain, kernel::INGRESS)?, frames::arp()),
    ];
    subjects.extend(hot(loaded)?);
    subjects.extend(random(loaded)?);
    subjects.extend(new_flows(loaded)?);
    subjects.push(early(loaded)?);
    Ok(subjects)
}

/// Further packets of flows that lie in the caches.
fn hot(loaded: &mut Loaded) -> Result<Vec<Subject>> {
    let mut plain = |name, packet| {
        Ok::<_, anyhow::Error>(Subject::new(name, kernel::program(&mut loaded.plain, kernel::INGRESS)?, packet))
    };
    let mut subjects = vec![plain("update, empty maps", frames::tcp(FREE))?];
    subjects.push(plain("update, UDP", frames::udp(FREE))?);
    subjects.push(plain("update, IPv6", frames::tcp_v6())?);
    subjects.push(plain("update, VLAN", frames::tagged(FREE, &[(0x8100, 7)]))?);
    subjects.push(plain("update, two VLAN tags", frames::tagged(FREE, &[(0x88a8, 5), (0x8100, 7)]))?);
    // After the update, whose flow it finds.
    let floor = kernel::program(&mut loaded.plain, "bench_floor")?;
    subjects.insert(1, Subject::new("floor", floor, frames::tcp(FREE)));
    for (name, sender) in [("update, loaded maps", FREE), ("update, exempt from a block", EXEMPT)] {
        let ingress = kernel::program(&mut loaded.ruled, kernel::INGRESS)?;
        subjects.push(Subject::new(name, ingress, frames::tcp(sender)));
    }
    Ok(subjects)
}

/// Further packets of flows that do not.
fn random(loaded: &mut Loaded) -> Result<[Subject; 2]> {
    let mut full = |name, program| {
        let fd = kernel::program(&mut loaded.full, program)?;
        Ok::<_, anyhow::Error>(Subject::new(name, fd, frames::tcp(FREE)).times(1_000_000, 1))
    };
    Ok([full("random look-up", "bench_random_lookup")?, full("random update", "bench_random_update")?])
}

/// First and second packets of flows never seen before, from 131,072 senders.
fn new_flows(loaded: &mut Loaded) -> Result<[Subject; 2]> {
    let flows = kernel::flow_map(&loaded.fresh)?;
    let mut fresh = |name, program| {
        let fd = kernel::program(&mut loaded.fresh, program)?;
        Ok::<_, anyhow::Error>(Subject::new(name, fd, frames::tcp_syn()).times(NEW, 1))
    };
    let first = fresh("first packet", "bench_first_packet")?;
    let both = fresh("first and second packet", "bench_two_packets")?;
    Ok([first, both.cleaned(emptied(flows))])
}

/// Removes all flows.
fn emptied(mut flows: kernel::FlowMap<MapData>) -> impl FnMut() -> Result<()> {
    move || {
        let keys: Vec<_> = flows.keys().collect::<Result<_, _>>()?;
        keys.iter().try_for_each(|key| Ok(flows.remove(key)?))
    }
}

/// Packets that each make a record.
fn early(loaded: &mut Loaded) -> Result<Subject> {
    let program = kernel::program(&mut loaded.early, "bench_update_with_record")?;
    let mut ring = kernel::ring(&mut loaded.early)?;
    let subject = Subject::new("update with record", program, frames::udp(FREE)).times(RECORDS, 10);
    Ok(subject.cleaned(move || drained(&mut ring)))
}

fn drained(ring: &mut RingBuf<MapData>) -> Result<()> {
    while ring.next().is_some() {}
    Ok(())
}
