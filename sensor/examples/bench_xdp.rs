//! Nanoseconds per packet of the kernel half, by `BPF_PROG_TEST_RUN`, interleaved with xdp-filter's
//! deny-by-address program and with an empty one. `cargo xtask bench xdp` runs it.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::Duration;

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

/// One thing that is measured: a program and the packet it gets.
struct Subject {
    name: &'static str,
    fd: OwnedFd,
    packet: Vec<u8>,
    expected: u32,
    runs_ns: Vec<f64>,
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
        subject("update, loaded maps", program(&mut loaded, "ganglion_ingress")?, tcp(FREE), 2),
        subject("update, UDP", program(&mut plain, "ganglion_ingress")?, udp(FREE), 2),
        subject("random look-up", program(&mut cold, "bench_random_lookup")?, tcp(FREE), 2),
        subject("random update", program(&mut cold, "bench_random_update")?, tcp(FREE), 2),
    ];
    for round in 0..rounds {
        for subject in &mut subjects {
            let repeat = if subject.name.starts_with("random") { 1_000_000 } else { 500_000 };
            let (value, ns) = test_run(subject.fd.as_fd().as_raw_fd(), &subject.packet, repeat)?;
            ensure!(value == subject.expected, "{} returned {value}, not {}", subject.name, subject.expected);
            if round > 0 {
                subject.runs_ns.push(ns.as_nanos() as f64);
            }
        }
    }
    report(&subjects, json);
    Ok(())
}

fn subject(name: &'static str, fd: OwnedFd, packet: Vec<u8>, expected: u32) -> Subject {
    Subject { name, fd, packet, expected, runs_ns: Vec::new() }
}

/// Prints each subject's median and spread, and the four ratios of the budget.
fn report(subjects: &[Subject], json: bool) {
    let by_name: BTreeMap<&str, &Subject> = subjects.iter().map(|s| (s.name, s)).collect();
    let rows = [
        ("drop of a blocked source", "drop", "xdp-filter dny_ip", 1.15),
        ("update of a hot flow, empty maps", "update, empty maps", "xdp-filter dny_ip", 2.2),
        ("update of a hot flow, loaded maps", "update, loaded maps", "xdp-filter dny_ip", 3.5),
        ("update of 262,144 flows at random", "random update", "random look-up", 1.6),
    ];
    let mut lines = Vec::new();
    for (what, subject, peer, budget) in rows {
        let ratios: Vec<f64> =
            by_name[subject].runs_ns.iter().zip(&by_name[peer].runs_ns).map(|(a, b)| a / b).collect();
        lines.push((what, peer, budget, quantiles(&ratios)));
    }
    if json {
        let subjects: Vec<String> = subjects
            .iter()
            .map(|s| {
                let [low, median, high] = quantiles(&s.runs_ns);
                format!(r#"{{"name":"{}","ns":{{"p10":{low},"median":{median},"p90":{high}}}}}"#, s.name)
            })
            .collect();
        let rows: Vec<String> = lines
            .iter()
            .map(|(what, peer, budget, [low, median, high])| {
                format!(
                    r#"{{"what":"{what}","peer":"{peer}","budget":{budget},"ratio":{{"p10":{low:.3},"median":{median:.3},"p90":{high:.3}}},"holds":{}}}"#,
                    median <= budget
                )
            })
            .collect();
        println!(r#"{{"subjects":[{}],"budget":[{}]}}"#, subjects.join(","), rows.join(","));
        return;
    }
    println!("{:<24} {:>10} {:>16}", "program", "median ns", "p10 - p90");
    for s in subjects {
        let [low, median, high] = quantiles(&s.runs_ns);
        println!("{:<24} {median:>10.0} {low:>8.0} - {high:<6.0}", s.name);
    }
    println!("\n{:<36} {:>7} {:>15} {:>7}  peer", "row of the budget", "ratio", "p10 - p90", "budget");
    for (what, peer, budget, [low, median, high]) in lines {
        let verdict = if median <= budget { "" } else { "  EXCEEDED" };
        println!("{what:<36} {median:>7.2} {low:>7.2} - {high:<5.2} {budget:>7.2}  {peer}{verdict}");
    }
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

/// Runs the program `repeat` times on the packet; its last return value and the mean time of a run.
fn test_run(fd: i32, packet: &[u8], repeat: u32) -> Result<(u32, Duration)> {
    let at = packet.as_ptr() as u64;
    let mut attr = [0u32; 20];
    attr[0] = fd as u32;
    attr[2] = packet.len() as u32;
    attr[4] = at as u32;
    attr[5] = (at >> 32) as u32;
    attr[8] = repeat;
    bpf(10, &mut attr)?;
    Ok((attr[1], Duration::from_nanos(u64::from(attr[9]))))
}
