//! Loads the object with small tables, runs packets through it, reads what it left.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use aya::maps::{Array, HashMap, LpmTrie, MapData, PerCpuArray, RingBuf, lpm_trie};
use aya::programs::{Iter, SchedClassifier, TestRun, TestRunOptions, Xdp};
use aya::{Btf, Ebpf, EbpfLoader};
use ganglion_flow::counter::COUNT;
use ganglion_flow::half_open::{HalfOpen, HalfOpenSet, SET_LEN};
use ganglion_flow::record::Record;
use ganglion_flow::rules::{NewFlowLimit, Rule, RuleHits};
use ganglion_flow::settings::{Settings, flag};
use ganglion_flow::source::SourceSet;
use ganglion_flow::{Addr, Counter, FlowKey, FlowState, Role, SourceState, Wire};

pub(crate) const XDP_DROP: u32 = 1;
pub(crate) const XDP_PASS: u32 = 2;
pub(crate) const TC_DROP: u32 = 2;
pub(crate) const TC_PASS: u32 = u32::MAX;
pub(crate) const SETS: u32 = 256;

/// Bytes of a wire layout.
pub(crate) fn bytes<T: Wire, const N: usize>(value: &T) -> [u8; N] {
    let mut out = [0; N];
    assert!(value.put(&mut out));
    out
}

/// The loaded programs and their maps.
pub(crate) struct Kernel {
    ebpf: Ebpf,
    settings: Settings,
    records: RingBuf<MapData>,
    /// Taken out to make room for a sweep.
    taken: Vec<Record>,
}

impl Kernel {
    /// Loads everything; `flows` is the size of the flow table.
    pub(crate) fn with_flows(flows: u32) -> Self {
        Self::with_tables(flows, SETS)
    }

    /// The same, with so many sets of flows of one packet.
    pub(crate) fn with_tables(flows: u32, half_open_sets: u32) -> Self {
        let mut ebpf = EbpfLoader::new()
            .map_max_entries("FLOWS", flows)
            .map_max_entries("HALF_OPEN", half_open_sets)
            .map_max_entries("SOURCES", SETS)
            .map_max_entries("RECORDS", 1 << 20)
            .load(ganglion_sensor::object::OBJECT)
            .expect("the object loads");
        let xdp: &mut Xdp = ebpf.program_mut("ganglion_ingress").unwrap().try_into().unwrap();
        xdp.load().unwrap_or_else(|e| panic!("the verifier takes ganglion_ingress: {}", tail(&e)));
        for name in ["ganglion_ingress_tc", "ganglion_egress"] {
            let tc: &mut SchedClassifier = ebpf.program_mut(name).unwrap().try_into().unwrap();
            tc.load().unwrap_or_else(|e| panic!("the verifier takes {name}: {}", tail(&e)));
        }
        let btf = Btf::from_sys_fs().expect("the kernel has BTF");
        for name in ["ganglion_sweep_flows", "ganglion_sweep_half_open"] {
            let iter: &mut Iter = ebpf.program_mut(name).unwrap().try_into().unwrap();
            iter.load("bpf_map_elem", &btf).unwrap_or_else(|e| panic!("the verifier takes {name}: {}", tail(&e)));
        }
        let records = RingBuf::try_from(ebpf.take_map("RECORDS").unwrap()).unwrap();
        let settings = Settings::new(half_open_sets, SETS, 7);
        let mut kernel = Self { ebpf, settings, records, taken: Vec::new() };
        kernel.settings.flags |= flag::ENFORCE;
        kernel.settings.clock_offset_us = to_window_start_us();
        kernel.apply();
        kernel
    }

    /// Loads everything with room for 1,024 flows.
    pub(crate) fn new() -> Self {
        Self::with_flows(1024)
    }

    fn apply(&mut self) {
        let mut data: Array<_, [u8; Settings::LEN]> = Array::try_from(self.ebpf.map_mut(".data").unwrap()).unwrap();
        data.set(0, bytes::<_, { Settings::LEN }>(&self.settings), 0).unwrap();
    }

    /// Changes the settings while the programs run.
    pub(crate) fn set(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.apply();
    }

    /// Moves the programs' clock forward.
    pub(crate) fn advance_us(&mut self, us: u64) {
        self.set(|s| s.clock_offset_us += us);
    }

    /// Stops the programs' clock at this time.
    pub(crate) fn stop_clock_at_us(&mut self, us: u64) {
        self.set(|s| (s.clock_shift, s.clock_offset_us) = (63, us));
    }

    /// Runs the XDP program once.
    pub(crate) fn xdp(&mut self, packet: &[u8]) -> u32 {
        let program: &mut Xdp = self.ebpf.program_mut("ganglion_ingress").unwrap().try_into().unwrap();
        let result = program.test_run(TestRunOptions { data_in: Some(packet), ..Default::default() });
        result.expect("TEST_RUN").return_value
    }

    /// Runs the XDP program `repeat` times on each of two CPUs at once.
    pub(crate) fn xdp_on_two_cpus(&self, packets: [&[u8]; 2], repeat: u32) {
        let program: &Xdp = self.ebpf.program("ganglion_ingress").unwrap().try_into().unwrap();
        std::thread::scope(|scope| {
            for (cpu, packet) in packets.into_iter().enumerate() {
                scope.spawn(move || fire(program, cpu, packet, repeat));
            }
        });
    }

    /// Runs a TC program once.
    pub(crate) fn tc(&mut self, name: &str, packet: &[u8]) -> u32 {
        let program: &mut SchedClassifier = self.ebpf.program_mut(name).unwrap().try_into().unwrap();
        let result = program.test_run(TestRunOptions { data_in: Some(packet), ..Default::default() });
        result.expect("TEST_RUN").return_value
    }

    /// Runs the egress program once.
    pub(crate) fn egress(&mut self, packet: &[u8]) -> u32 {
        self.tc("ganglion_egress", packet)
    }

    /// Every program with the number of instructions that the verifier walked to prove it.
    pub(crate) fn verified_instructions(&self) -> BTreeMap<String, u32> {
        self.ebpf
            .programs()
            .filter_map(|(name, program)| Some((name.to_owned(), program.info().ok()?.verified_instruction_count()?)))
            .collect()
    }

    /// Counters that are not zero, summed over CPUs.
    pub(crate) fn counters(&self) -> BTreeMap<&'static str, u64> {
        let map: PerCpuArray<_, [u8; COUNT * 8]> = PerCpuArray::try_from(self.ebpf.map("COUNTERS").unwrap()).unwrap();
        let values = map.get(&0, 0).unwrap();
        Counter::ALL
            .iter()
            .map(|&c| {
                let sum = values.iter().map(|cpu| <[u64; COUNT]>::get(cpu).unwrap()[c as usize]).sum::<u64>();
                (c.label(), sum)
            })
            .filter(|&(_, n)| n > 0)
            .collect()
    }

    /// One counter.
    pub(crate) fn count(&self, counter: Counter) -> u64 {
        self.counters().get(counter.label()).copied().unwrap_or(0)
    }

    /// All records written since the last call.
    pub(crate) fn records(&mut self) -> Vec<Record> {
        take(&mut self.records, &mut self.taken);
        std::mem::take(&mut self.taken)
    }

    /// The state of a flow.
    pub(crate) fn flow(&self, key: &FlowKey) -> Option<FlowState> {
        let map: HashMap<_, [u8; FlowKey::LEN], [u8; FlowState::LEN]> =
            HashMap::try_from(self.ebpf.map("FLOWS").unwrap()).unwrap();
        map.get(&bytes(key), 0).ok().and_then(|state| FlowState::get(&state))
    }

    /// The only packet of a flow.
    pub(crate) fn half_open(&self, key: &FlowKey) -> Option<HalfOpen> {
        let map: Array<_, [u8; SET_LEN]> = Array::try_from(self.ebpf.map("HALF_OPEN").unwrap()).unwrap();
        let index = key.hash(self.settings.seed) & self.settings.half_open_mask;
        let set = HalfOpenSet::get(&map.get(&index, 0).unwrap()).unwrap();
        set.ways.into_iter().find(|slot| !slot.is_empty() && slot.key == *key)
    }

    /// Whether tunnelled packets count in the flow inside.
    pub(crate) fn tunnels(&mut self, inside: bool) {
        self.set(|s| s.flags = if inside { s.flags | flag::INNER } else { s.flags & !flag::INNER });
    }

    /// What the address table says of an address.
    pub(crate) fn source(&self, addr: Addr, role: Role) -> Option<SourceState> {
        let map: Array<_, [u8; SourceSet::LEN]> = Array::try_from(self.ebpf.map("SOURCES").unwrap()).unwrap();
        map.iter()
            .flat_map(|set| SourceSet::get(&set.unwrap()).unwrap().ways)
            .find(|entry| entry.first_us != 0 && entry.addr == addr && entry.role == role as u8)
    }

    /// Writes a value of a flow as it is, lock word and all.
    pub(crate) fn put_flow(&mut self, key: &FlowKey, state: &FlowState) {
        let map = self.ebpf.map_mut("FLOWS").unwrap();
        let mut map: HashMap<_, [u8; FlowKey::LEN], [u8; FlowState::LEN]> = HashMap::try_from(map).unwrap();
        map.insert(bytes::<_, { FlowKey::LEN }>(key), bytes::<_, { FlowState::LEN }>(state), 0).unwrap();
    }

    /// Packets in live flows, of both tables.
    pub(crate) fn live_packets(&self) -> u64 {
        use ganglion_flow::state::status;
        let flows: HashMap<_, [u8; FlowKey::LEN], [u8; FlowState::LEN]> =
            HashMap::try_from(self.ebpf.map("FLOWS").unwrap()).unwrap();
        let full: u64 = flows
            .iter()
            .map(|entry| FlowState::get(&entry.unwrap().1).unwrap())
            .filter(|state| !state.has(status::ENDED))
            .map(|state| state.packets())
            .sum();
        let half: Array<_, [u8; SET_LEN]> = Array::try_from(self.ebpf.map("HALF_OPEN").unwrap()).unwrap();
        let half: u64 = half
            .iter()
            .flat_map(|set| HalfOpenSet::get(&set.unwrap()).unwrap().ways)
            .filter(|slot| !slot.is_empty())
            .map(|slot| u64::from(slot.segments))
            .sum();
        full + half
    }

    /// The packet equation of invariant 1; panics with all terms when it does not balance.
    pub(crate) fn assert_balanced(&self) {
        let counters = self.counters();
        let seen = counters.get("seen").copied().unwrap_or(0);
        let ignored = ["seen", "seen_bytes", "would_drop", "records", "records_lost", "flows_opened", "flows_ended"];
        let others = ["sources_replaced", "sources_skipped", "allowed", "fragments_replaced", "inner"];
        let terms: u64 =
            counters.iter().filter(|(l, _)| !ignored.contains(l) && !others.contains(l)).map(|(_, n)| n).sum();
        assert_eq!(seen, terms + self.live_packets(), "live {} of {counters:?}", self.live_packets());
    }

    /// Puts a rule on an address.
    pub(crate) fn block(&mut self, addr: Addr, rule: Rule) {
        let map = self.ebpf.map_mut("BLOCKS").unwrap();
        let mut map: HashMap<_, [u8; 16], [u8; Rule::LEN]> = HashMap::try_from(map).unwrap();
        map.insert(bytes::<_, 16>(&addr), bytes::<_, { Rule::LEN }>(&rule), 0).unwrap();
        self.set(|s| s.flags |= flag::BLOCKS);
    }

    /// Puts a rule on a flow.
    pub(crate) fn verdict(&mut self, key: FlowKey, rule: Rule) {
        let map = self.ebpf.map_mut("VERDICTS").unwrap();
        let mut map: HashMap<_, [u8; FlowKey::LEN], [u8; Rule::LEN]> = HashMap::try_from(map).unwrap();
        map.insert(bytes::<_, { FlowKey::LEN }>(&key), bytes::<_, { Rule::LEN }>(&rule), 0).unwrap();
        self.set(|s| s.flags |= flag::VERDICTS);
    }

    /// Limits new flows towards an address.
    pub(crate) fn limit_new_flows(&mut self, addr: Addr, limit: NewFlowLimit) {
        let map = self.ebpf.map_mut("NEW_FLOW_LIMITS").unwrap();
        let mut map: HashMap<_, [u8; 16], [u8; NewFlowLimit::LEN]> = HashMap::try_from(map).unwrap();
        map.insert(bytes::<_, 16>(&addr), bytes::<_, { NewFlowLimit::LEN }>(&limit), 0).unwrap();
        self.set(|s| s.flags |= flag::NEW_FLOW_LIMITS);
    }

    /// Puts a value under a key into a plain hash map, and sets a flag.
    pub(crate) fn insert<const K: usize>(&mut self, name: &str, key: [u8; K], set: u64) {
        let mut map: HashMap<_, [u8; K], u32> = HashMap::try_from(self.ebpf.map_mut(name).unwrap()).unwrap();
        map.insert(key, 1, 0).unwrap();
        self.set(|s| s.flags |= set);
    }

    /// Puts a network into a prefix map, and sets a flag.
    pub(crate) fn insert_net<const V: usize>(&mut self, name: &str, addr: Addr, prefix: u32, value: [u8; V], set: u64) {
        let map = self.ebpf.map_mut(name).unwrap();
        let mut map: LpmTrie<_, [u32; 4], [u8; V]> = LpmTrie::try_from(map).unwrap();
        map.insert(&lpm_trie::Key::new(prefix, addr.words()), value, 0).unwrap();
        self.set(|s| s.flags |= set);
    }

    /// What a rule matched, summed over CPUs.
    pub(crate) fn hits(&self, slot: u32) -> RuleHits {
        let map: PerCpuArray<_, [u8; RuleHits::LEN]> =
            PerCpuArray::try_from(self.ebpf.map("RULE_HITS").unwrap()).unwrap();
        map.get(&slot, 0).unwrap().iter().map(|cpu| RuleHits::get(cpu).unwrap()).fold(RuleHits::ZERO, |a, b| RuleHits {
            packets: a.packets + b.packets,
            bytes: a.bytes + b.bytes,
            dropped: a.dropped + b.dropped,
            first_drop_ns: a.first_drop_ns.max(b.first_drop_ns),
        })
    }

    /// Runs both sweeps to their end.
    pub(crate) fn sweep(&mut self) {
        for link in self.sweeps() {
            walk(&link, || take(&mut self.records, &mut self.taken));
        }
    }

    /// Runs the XDP program `times` times on each packet, each on a CPU. Meanwhile one sweep follows the other on the
    /// last CPU, and records are taken out. Records and the number of sweeps are returned.
    pub(crate) fn xdp_under_sweeps(&mut self, packets: &[&[u8]], times: u32) -> (Vec<Record>, u32) {
        let (sweeps, mut done) = (self.sweeps(), 0);
        let Self { ebpf, records, taken, .. } = self;
        let program: &Xdp = ebpf.program("ganglion_ingress").unwrap().try_into().unwrap();
        std::thread::scope(|scope| {
            let cpus = packets.iter().copied().enumerate();
            let fire = |(cpu, packet)| scope.spawn(move || fire(program, cpu, packet, times));
            let threads: Vec<_> = cpus.map(fire).collect();
            while threads.iter().any(|thread| !thread.is_finished()) {
                sweeps.iter().for_each(|link| walk(link, || take(records, taken)));
                done += 1;
                take(records, taken);
            }
        });
        (self.records(), done)
    }

    /// Both sweeps, tied to their maps.
    fn sweeps(&mut self) -> [OwnedFd; 2] {
        [("ganglion_sweep_flows", "FLOWS"), ("ganglion_sweep_half_open", "HALF_OPEN")].map(|(program, map)| {
            let map_fd = match self.ebpf.map(map).unwrap() {
                aya::maps::Map::HashMap(data) | aya::maps::Map::Array(data) => data.fd().as_fd().as_raw_fd(),
                other => panic!("{map} is {other:?}"),
            };
            let iter: &mut Iter = self.ebpf.program_mut(program).unwrap().try_into().unwrap();
            iter_link(iter.fd().unwrap().as_fd().as_raw_fd(), map_fd)
        })
    }
}

/// Decodes what the ring buffer holds.
fn take(ring: &mut RingBuf<MapData>, into: &mut Vec<Record>) {
    while let Some(item) = ring.next() {
        into.push(Record::decode(&item).expect("a well-formed record"));
    }
}

/// One walk of a sweep, which pauses where it wants room in the ring buffer.
fn walk(link: &OwnedFd, mut make_room: impl FnMut()) {
    let mut file = std::fs::File::from(iter_create(link.as_raw_fd()));
    loop {
        match file.read(&mut [0; 64]) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => make_room(),
            Err(error) => panic!("a walk ended early: {error}"),
        }
    }
}

fn fire(program: &Xdp, cpu: usize, packet: &[u8], repeat: u32) {
    stay_on(cpu);
    program.test_run(TestRunOptions { data_in: Some(packet), repeat, ..Default::default() }).expect("TEST_RUN");
}

/// Binds this thread to a CPU, where there is such a one.
fn stay_on(cpu: usize) {
    // SAFETY: a set of CPUs is plain bits; the call reads it whole.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
    }
}

fn bpf(command: libc::c_long, attr: &[u32]) -> OwnedFd {
    // SAFETY: `attr` is a whole bpf_attr for the command, and both commands return a new descriptor.
    unsafe {
        let fd = libc::syscall(libc::SYS_bpf, command, attr.as_ptr(), size_of_val(attr));
        assert!(fd >= 0, "bpf({command}): {}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(fd as i32)
    }
}

fn iter_link(program: i32, map: i32) -> OwnedFd {
    const BPF_LINK_CREATE: libc::c_long = 28;
    const BPF_TRACE_ITER: u32 = 28;
    let info = [map as u32];
    let at = info.as_ptr() as u64;
    bpf(BPF_LINK_CREATE, &[program as u32, 0, BPF_TRACE_ITER, 0, at as u32, (at >> 32) as u32, 4, 0])
}

fn iter_create(link: i32) -> OwnedFd {
    const BPF_ITER_CREATE: libc::c_long = 33;
    bpf(BPF_ITER_CREATE, &[link as u32, 0])
}

/// The end of a verifier log: the part that says what is wrong.
fn tail(error: &aya::programs::ProgramError) -> String {
    let text = format!("{error:?}").replace("\\n", "\n");
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// How far the next window of the address table is away: tests start with it, so that none turns under them.
fn to_window_start_us() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a whole timespec.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut now) }, 0);
    let now_us = now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000;
    ganglion_flow::source::WINDOW_US - now_us % ganglion_flow::source::WINDOW_US
}
