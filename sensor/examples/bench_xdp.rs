//! Nanoseconds per packet of the kernel half, by `BPF_PROG_TEST_RUN`, interleaved with xdp-filter's
//! deny-by-address program and with an empty one. `cargo xtask bench xdp` runs it.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use aya::maps::{Array, HashMap, LpmTrie, Map, MapData, PerCpuHashMap, PerCpuValues, lpm_trie};
use aya::programs::{ProgramInfo, Xdp};
use aya::{Ebpf, EbpfLoader};
use ganglion_flow::rules::{Action, Rule};
use ganglion_flow::settings::{Settings, flag};
use ganglion_flow::state::status;
use ganglion_flow::{Addr, FlowKey, FlowState, Wire};

const FLOWS: u32 = 262_144;
const XDP_FILTER: &str = "/usr/lib/x86_64-linux-gnu/bpf/xdpfilt_dny_ip.o";
const BLOCKED: [u8; 4] = [198, 18, 0, 1];
const FREE: [u8; 4] = [198, 19, 0, 1];
const SERVER: [u8; 4] = [198, 18, 255, 2];

/// Rows whose budget is a ratio of whole runs, as first set.
const ROWS: [Row; 4] = [
    Row { what: "drop of a blocked source", subject: "drop", peer: "xdp-filter dny_ip", budget: 1.15 },
    Row {
        what: "update of a hot flow, empty maps",
        subject: "update, empty maps",
        peer: "xdp-filter dny_ip",
        budget: 2.2,
    },
    Row {
        what: "update of a hot flow, loaded maps",
        subject: "update, loaded maps",
        peer: "xdp-filter dny_ip",
        budget: 3.5,
    },
    Row { what: "update of 262,144 flows at random", subject: "random update", peer: "random look-up", budget: 1.6 },
];
/// Rows whose budget is a ratio of what programs add to an empty run (docs/adr/0004-floor.md).
const NET_ROWS: [Row; 2] = [
    Row { what: "update of a hot flow, empty maps", subject: "update, empty maps", peer: "floor", budget: 1.5 },
    Row { what: "update of a hot flow, loaded maps", subject: "update, loaded maps", peer: "floor", budget: 1.8 },
];
/// The kernel's count and time of each program's runs: off, and on as the sensor keeps it (invariant 6).
const STATISTICS: [&str; 2] = ["off", "on"];

/// A row of the budget: a subject beside its peer.
struct Row {
    what: &'static str,
    subject: &'static str,
    peer: &'static str,
    budget: f64,
}

/// One thing that is measured: a program and the packet it gets.
struct Subject {
    name: &'static str,
    fd: OwnedFd,
    packet: Vec<u8>,
    expected: u32,
    /// Nanoseconds of each round, for each of [`STATISTICS`].
    runs_ns: [Vec<f64>; 2],
}

fn main() -> Result<()> {
    let json = std::env::args().any(|a| a == "--json");
    let rounds = if std::env::args().any(|a| a == "--quick") { 3 } else { 15 };
    let mut plain = load(1 << 16)?;
    let mut loaded = load(1 << 16)?;
    let mut cold = load(FLOWS)?;
    fill_rules(&mut loaded)?;
    settings(&mut loaded, flag::ENFORCE | flag::SOURCES | flag::BLOCKS | flag::BLOCK_NETS | flag::ALLOW_NETS)?;
    settings(&mut plain, flag::ENFORCE | flag::SOURCES)?;
    settings(&mut cold, flag::ENFORCE | flag::SOURCES)?;
    fill_flows(&mut cold)?;
    let mut subjects = vec![
        subject("empty", empty_program()?, tcp(FREE), 2),
        // Its "deny" object denies what is not listed: a listed address takes both look-ups and passes.
        subject("xdp-filter dny_ip", xdp_filter()?, tcp(BLOCKED), 2),
        subject("drop", program(&mut loaded, "ganglion_ingress")?, tcp(BLOCKED), 1),
        subject("update, empty maps", program(&mut plain, "ganglion_ingress")?, tcp(FREE), 2),
        // After the update, whose flow it finds.
        subject("floor", program(&mut plain, "bench_floor")?, tcp(FREE), 2),
        subject("update, loaded maps", program(&mut loaded, "ganglion_ingress")?, tcp(FREE), 2),
        subject("update, UDP", program(&mut plain, "ganglion_ingress")?, udp(FREE), 2),
        subject("random look-up", program(&mut cold, "bench_random_lookup")?, tcp(FREE), 2),
        subject("random update", program(&mut cold, "bench_random_update")?, tcp(FREE), 2),
    ];
    let mut disturbed = 0;
    for round in 0..rounds {
        for on in 0..STATISTICS.len() {
            let statistics = if on == 1 { Some(statistics()?) } else { None };
            measure(&mut subjects, on, round > 0)?;
            drop(statistics);
            disturbed += u32::from(on == 0 && are_statistics_on(&mut plain)?);
        }
    }
    if disturbed > 0 {
        eprintln!("another process had the kernel count runs in {disturbed} of {rounds} rounds: `off` is none there");
    }
    report(&subjects, json);
    Ok(())
}

fn subject(name: &'static str, fd: OwnedFd, packet: Vec<u8>, expected: u32) -> Subject {
    Subject { name, fd, packet, expected, runs_ns: [Vec::new(), Vec::new()] }
}

/// One round.
fn measure(subjects: &mut [Subject], on: usize, counts: bool) -> Result<()> {
    for subject in subjects {
        let repeat = if subject.name.starts_with("random") { 1_000_000 } else { 500_000 };
        let (value, ns) = test_run(subject.fd.as_fd().as_raw_fd(), &subject.packet, repeat)?;
        ensure!(value == subject.expected, "{} returned {value}, not {}", subject.name, subject.expected);
        if counts {
            subject.runs_ns[on].push(ns);
        }
    }
    Ok(())
}

/// Has the kernel count and time runs for as long as the descriptor is open.
fn statistics() -> Result<OwnedFd> {
    let fd = bpf(32, &mut [0])?;
    // SAFETY: a descriptor that the kernel just made.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn are_statistics_on(ebpf: &mut Ebpf) -> Result<bool> {
    let fd = program(ebpf, "ganglion_ingress")?;
    let program: &mut Xdp = ebpf.program_mut("ganglion_ingress").context("ganglion_ingress")?.try_into()?;
    let before = program.info()?.run_count();
    test_run(fd.as_raw_fd(), &tcp(FREE), 1)?;
    Ok(program.info()?.run_count() > before)
}

/// The row's ratio in each round, with what an empty run takes subtracted from both where `net`.
fn ratios(subjects: &[Subject], row: &Row, on: usize, net: bool) -> [f64; 3] {
    let runs = |name: &str| subjects.iter().find(|s| s.name == name).map_or(&[][..], |s| &s.runs_ns[on]);
    let less = if net { 1.0 } else { 0.0 };
    let each = runs(row.subject).iter().zip(runs(row.peer)).zip(runs("empty"));
    quantiles(&each.map(|((a, b), empty)| (a - less * empty) / (b - less * empty)).collect::<Vec<_>>())
}

/// Prints each subject's median and spread, and the ratios of the budget.
fn report(subjects: &[Subject], json: bool) {
    let rows = || ROWS.iter().map(|row| (row, false)).chain(NET_ROWS.iter().map(|row| (row, true)));
    if json {
        let subjects_json: Vec<String> = subjects.iter().map(subject_json).collect();
        let rows: Vec<String> = rows().map(|(row, net)| row_json(subjects, row, net)).collect();
        println!(r#"{{"subjects":[{}],"budget":[{}]}}"#, subjects_json.join(","), rows.join(","));
        return;
    }
    println!("{:<24} {:>27} {:>27}", "run statistics", STATISTICS[0], STATISTICS[1]);
    println!("{:<24} {:>9} {:>17} {:>9} {:>17}", "program", "median ns", "p10 - p90", "median ns", "p10 - p90");
    for s in subjects {
        let [off, on] = [0, 1].map(|on| spread(quantiles(&s.runs_ns[on]), 1));
        println!("{:<24} {off} {on}", s.name);
    }
    for (net, title) in [(false, "ratio of whole runs"), (true, "ratio less the empty run")] {
        println!(
            "\n{title:<36} {:>9} {:>17} {:>9} {:>17} {:>7}  peer",
            "off", "p10 - p90", "on", "p10 - p90", "budget"
        );
        for (row, _) in rows().filter(|(_, is_net)| *is_net == net) {
            let [off, on] = [0, 1].map(|on| ratios(subjects, row, on, net));
            let verdict = if off[1] <= row.budget { "" } else { "  EXCEEDED" };
            let (what, budget, peer) = (row.what, row.budget, row.peer);
            println!("{what:<36} {} {} {budget:>7.2}  {peer}{verdict}", spread(off, 2), spread(on, 2));
        }
    }
}

fn spread([low, median, high]: [f64; 3], digits: usize) -> String {
    format!("{median:>9.digits$} {:>17}", format!("{low:.digits$} - {high:.digits$}"))
}

fn quantiles_json(values: [f64; 3]) -> String {
    let [low, median, high] = values;
    format!(r#"{{"p10":{low:.3},"median":{median:.3},"p90":{high:.3}}}"#)
}

fn subject_json(s: &Subject) -> String {
    let [off, on] = [0, 1].map(|on| quantiles_json(quantiles(&s.runs_ns[on])));
    format!(r#"{{"name":"{}","ns":{off},"ns_with_statistics":{on}}}"#, s.name)
}

fn row_json(subjects: &[Subject], row: &Row, net: bool) -> String {
    let [off, on] = [0, 1].map(|on| ratios(subjects, row, on, net));
    format!(
        r#"{{"what":"{}","peer":"{}","less_empty_run":{net},"budget":{},"ratio":{},"ratio_with_statistics":{},"holds":{}}}"#,
        row.what,
        row.peer,
        row.budget,
        quantiles_json(off),
        quantiles_json(on),
        off[1] <= row.budget
    )
}

fn quantiles(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
    [at(0.1), at(0.5), at(0.9)]
}

fn load(flows: u32) -> Result<Ebpf> {
    let ebpf = EbpfLoader::new().map_max_entries("FLOWS", flows).load(ganglion_sensor::object::OBJECT)?;
    Ok(ebpf)
}

/// Loads the named XDP program and hands out its descriptor.
fn program(ebpf: &mut Ebpf, name: &str) -> Result<OwnedFd> {
    let program: &mut Xdp = ebpf.program_mut(name).with_context(|| format!("no program {name}"))?.try_into()?;
    if program.fd().is_err() {
        program.load().with_context(|| format!("loading {name}"))?;
    }
    Ok(program.fd()?.try_clone()?.as_fd().try_clone_to_owned()?)
}

fn settings(ebpf: &mut Ebpf, flags: u64) -> Result<()> {
    let mut settings = Settings::new(16_384, 16_384, 7);
    settings.flags = flags;
    let mut data: Array<_, [u8; Settings::LEN]> = Array::try_from(ebpf.map_mut(".data").context(".data")?)?;
    data.set(0, bytes::<_, { Settings::LEN }>(&settings), 0)?;
    Ok(())
}

fn bytes<T: Wire, const N: usize>(value: &T) -> [u8; N] {
    let mut out = [0; N];
    value.put(&mut out);
    out
}

fn addr(octets: [u8; 4]) -> Addr {
    Addr::v4(u32::from_be_bytes(octets))
}

/// Five allowed networks, ten thousand blocked addresses, a hundred blocked networks.
fn fill_rules(ebpf: &mut Ebpf) -> Result<()> {
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

/// All flows that the random prologue makes, as if each had had two packets.
fn fill_flows(ebpf: &mut Ebpf) -> Result<()> {
    let mut flows: HashMap<_, [u8; FlowKey::LEN], [u8; FlowState::LEN]> =
        HashMap::try_from(ebpf.map_mut("FLOWS").context("FLOWS")?)?;
    let mut state = FlowState::ZERO;
    state.first_us = 1;
    state.last_us = 1;
    state.stages = 0xff;
    for i in 0..FLOWS {
        let low = (i & 0xffff) as u16;
        let src = Addr::v4(u32::from_be_bytes([FREE[0], FREE[1], (low >> 8) as u8, low as u8]));
        let (key, sender_is_a) = FlowKey::new(src, addr(SERVER), 40_000 + (i >> 16) as u16, 80, 6, 0);
        state.status = if sender_is_a { status::INITIATOR_IS_A } else { 0 };
        state.lock = key.tag();
        flows.insert(bytes::<_, { FlowKey::LEN }>(&key), bytes::<_, { FlowState::LEN }>(&state), 0)?;
    }
    Ok(())
}

/// Loads xdp-filter's program with one blocked address. aya refuses its object and libbpf pins its maps at
/// fixed places, so bpftool loads it into a bpffs that this process alone sees.
fn xdp_filter() -> Result<OwnedFd> {
    private_bpffs().context("a bpffs of this process's own")?;
    let status = Command::new("bpftool")
        .args(["prog", "load", XDP_FILTER, "/sys/fs/bpf/filter", "type", "xdp"])
        .stderr(Stdio::null())
        .status()
        .context("bpftool: run `cargo xtask setup --for dev`")?;
    ensure!(status.success(), "bpftool does not load {XDP_FILTER}: is xdp-tools installed?");
    let map = Map::PerCpuHashMap(MapData::from_pin("/sys/fs/bpf/filter_ipv4")?);
    let mut map: PerCpuHashMap<_, u32, u64> = PerCpuHashMap::try_from(map)?;
    let cpus = aya::util::nr_cpus().map_err(|(what, error)| anyhow::anyhow!("{what}: {error}"))?;
    // Flags and a count per CPU; bits 0 and 1 match receiver and sender.
    map.insert(u32::from_ne_bytes(BLOCKED), PerCpuValues::try_from(vec![3u64; cpus])?, 0)?;
    let program = ProgramInfo::from_pin("/sys/fs/bpf/filter")?;
    Ok(program.fd()?.as_fd().try_clone_to_owned()?)
}

fn private_bpffs() -> std::io::Result<()> {
    let check = |result: i32| if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) };
    // SAFETY: constant, terminated strings; the mounts change for this process alone.
    unsafe {
        check(libc::unshare(libc::CLONE_NEWNS))?;
        let private = libc::MS_REC | libc::MS_PRIVATE;
        check(libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), private, std::ptr::null()))?;
        check(libc::mount(c"bpf".as_ptr(), c"/sys/fs/bpf".as_ptr(), c"bpf".as_ptr(), 0, std::ptr::null()))
    }
}

fn frame(src: [u8; 4], protocol: u8, transport: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let total = 128 - 14u16;
    frame.extend([0x45, 0, (total >> 8) as u8, total as u8, 0, 0, 0, 0, 64, protocol, 0, 0]);
    frame.extend(src);
    frame.extend(SERVER);
    frame.extend(transport);
    frame.resize(128, 0);
    frame
}

fn tcp(src: [u8; 4]) -> Vec<u8> {
    let mut header = vec![0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 2, 0];
    header.resize(20, 0);
    frame(src, 6, &header)
}

fn udp(src: [u8; 4]) -> Vec<u8> {
    frame(src, 17, &[0x9c, 0x40, 0, 53, 0, 94, 0, 0])
}

fn bpf(command: libc::c_long, attr: &mut [u32]) -> Result<i32> {
    // SAFETY: `attr` is a whole bpf_attr for the command.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), size_of_val(attr)) };
    if result < 0 {
        bail!("bpf({command}): {}", std::io::Error::last_os_error());
    }
    Ok(result as i32)
}

/// `return XDP_PASS`, assembled by hand.
fn empty_program() -> Result<OwnedFd> {
    let code: [u64; 2] = [0x0000_0002_0000_00b7, 0x95];
    let (code_at, license_at) = (code.as_ptr() as u64, c"GPL".as_ptr() as u64);
    let xdp = 6;
    let mut attr = [
        xdp,
        2,
        code_at as u32,
        (code_at >> 32) as u32,
        license_at as u32,
        (license_at >> 32) as u32,
        0,
        0,
        0,
        0,
        0,
        0,
    ];
    let fd = bpf(5, &mut attr)?;
    // SAFETY: a descriptor that the kernel just made.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Runs the program `repeat` times on the packet; its last return value and the mean time of a run, ns. The kernel's
/// own mean has no digits behind the point, where a run takes five.
fn test_run(fd: i32, packet: &[u8], repeat: u32) -> Result<(u32, f64)> {
    let at = packet.as_ptr() as u64;
    let mut attr = [0u32; 20];
    attr[0] = fd as u32;
    attr[2] = packet.len() as u32;
    attr[4] = at as u32;
    attr[5] = (at >> 32) as u32;
    attr[8] = repeat;
    let before = thread_ns()?;
    bpf(10, &mut attr)?;
    Ok((attr[1], (thread_ns()? - before) / f64::from(repeat)))
}

/// Time that this thread had a processor.
fn thread_ns() -> Result<f64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a whole timespec.
    ensure!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) } == 0, "no clock of this thread");
    Ok(time.tv_sec as f64 * 1e9 + time.tv_nsec as f64)
}
