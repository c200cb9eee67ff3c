//! The kernel equals the extractor: the same capture through both gives the same records, of flows and of addresses.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ganglion_extract::capture::{Capture, CaptureError, Frame, LinkType};
use ganglion_extract::ganglion::{Options, extract_records};
use ganglion_flow::record::{FlowRecord, Record, SourceRecord};
use ganglion_flow::state::DirState;
use ganglion_flow::{Counter, FlowKey, FlowState, Hook, Reason, Stage, Timeouts, Wire};

use crate::harness::{Kernel, XDP_PASS, bytes};

/// Captures of the repository: connections with resets and resends, FTP over both IPs, long VLAN sessions.
const PAIRS: [&str; 4] = ["fin_variants_odd_headers", "ftp_bruteforce", "ftp_data_dns_ipv6", "smb_vlan_long"];
/// `BPF_PROG_TEST_RUN` takes packets that fit one page with room before and behind.
const LONGEST_BYTES: usize = 3_400;
/// And none below an Ethernet header.
const SHORTEST_BYTES: usize = 14;

/// A minute.
const LONGEST_STEP_BACK_US: u64 = 60_000_000;
/// Flows of one packet, four for each; and of more.
const HALF_OPEN_SETS: u32 = 2_048;
const FLOWS: u32 = 8_192;

/// A packet: when, and what.
type Packet = (u64, Vec<u8>);

/// Packets of a capture that the programs can be run on; `None` where it is not Ethernet alone, can't be read, or its
/// time runs backwards for so long that the extractor begins anew.
fn packets(path: &Path) -> Option<Vec<Packet>> {
    let mut capture = Capture::open(path).ok()?;
    let mut packets = Vec::<Packet>::new();
    let mut newest_us = 0;
    loop {
        match capture.next() {
            Ok(Some(frame)) if frame.link != LinkType::Ethernet => return None,
            Ok(Some(frame)) if (SHORTEST_BYTES..LONGEST_BYTES).contains(&frame.bytes.len()) => {
                let time_us = u64::try_from(frame.time_ns).ok()? / 1_000;
                newest_us = time_us.max(newest_us);
                if newest_us - time_us > LONGEST_STEP_BACK_US {
                    return None;
                }
                packets.push((time_us, frame.bytes.to_vec()));
            }
            Ok(Some(_)) => {}
            // What comes before the damage will do.
            Ok(None) | Err(CaptureError::Damaged { .. }) => return Some(packets),
            Err(_) => return None,
        }
    }
}

/// The repository's captures, by name.
fn captures() -> impl Iterator<Item = (&'static str, Vec<Packet>)> {
    let pairs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../extract/tests/oracle/pairs");
    PAIRS.into_iter().map(move |name| {
        let packets = packets(&pairs.join(format!("{name}.pcap.gz")));
        (name, packets.unwrap_or_else(|| panic!("{name} can be read")))
    })
}

/// What the extractor makes of the packets.
fn offline(options: &Options, packets: &[Packet]) -> Vec<Record> {
    let mut records = Vec::new();
    let keep = |some: &[Record]| {
        records.extend_from_slice(some);
        ControlFlow::Continue(())
    };
    let ((), counts) = extract_records(options, keep, |extraction| {
        for (time_us, bytes) in packets {
            let time_ns = (time_us * 1_000) as i64;
            // The kernel knows of no bytes but those there are.
            let original_bytes = bytes.len() as u32;
            let link = LinkType::Ethernet;
            let _ = extraction.frame(&Frame { time_ns, link, interface: 0, original_bytes, bytes, offset: 0 });
        }
    });
    assert_eq!(counts.time_resets, 0);
    records
}

/// Records by flow, in the order in which each flow made them. A capture knows no hook.
fn by_flow(records: impl IntoIterator<Item = FlowRecord>) -> BTreeMap<[u8; FlowKey::LEN], Vec<FlowRecord>> {
    let mut flows = BTreeMap::<_, Vec<_>>::new();
    for mut record in records {
        record.header.hook = Hook::Offline as u8;
        flows.entry(bytes::<_, { FlowKey::LEN }>(&record.key)).or_default().push(record);
    }
    flows
}

/// Records by address and role, in the order in which each made them.
type BySource = BTreeMap<([u8; 16], u8), Vec<SourceRecord>>;

/// Those of flows, and those of addresses.
fn apart(records: Vec<Record>) -> (Vec<FlowRecord>, BySource) {
    let (mut flows, mut sources) = (Vec::new(), BySource::new());
    for record in records {
        match record {
            Record::Flow(flow) => flows.push(flow),
            Record::Source(of) => sources.entry((of.state.addr.octets(), of.state.role)).or_default().push(of),
        }
    }
    (flows, sources)
}

/// Ends all flows, and looks that the table took every packet.
fn finish(kernel: &mut Kernel, records: &mut Vec<Record>) {
    kernel.set(|s| s.flush_reason = Reason::Shutdown as u64);
    kernel.sweep();
    records.extend(kernel.records());
    for lost in [Counter::SkipFolded, Counter::SkipFull, Counter::SkipLock, Counter::SkipClosing, Counter::RecordsLost]
    {
        assert_eq!(kernel.count(lost), 0, "{}", lost.label());
    }
    kernel.assert_balanced();
}

/// What the kernel makes of them when its clock shows their times, and is swept at `sweeps_us` and before each packet.
fn in_kernel(packets: &[Packet], sweeps_us: &[u64]) -> Vec<Record> {
    let mut kernel = Kernel::with_tables(FLOWS, HALF_OPEN_SETS);
    let mut records = Vec::new();
    let mut sweeps_us = sweeps_us.iter().copied().peekable();
    for (time_us, bytes) in packets {
        while let Some(sweep_us) = sweeps_us.next_if(|sweep_us| sweep_us < time_us) {
            kernel.stop_clock_at_us(sweep_us);
            kernel.sweep();
        }
        kernel.stop_clock_at_us(*time_us);
        kernel.sweep();
        assert_eq!(kernel.xdp(bytes), XDP_PASS);
        records.extend(kernel.records());
    }
    // The extractor's clock shows the newest time.
    kernel.stop_clock_at_us(packets.iter().map(|packet| packet.0).max().unwrap_or(0));
    finish(&mut kernel, &mut records);
    records
}

#[track_caller]
fn assert_same(name: &str, kernel: Vec<FlowRecord>, offline: Vec<FlowRecord>) {
    let (mut kernel, offline) = (by_flow(kernel), by_flow(offline));
    for (key, records) in offline {
        let kernel = kernel.remove(&key).unwrap_or_default();
        let summary = |records: &[FlowRecord]| -> Vec<_> {
            let of = |r: &FlowRecord| (r.header.time_us, r.header.stage, r.header.reason, r.state.packets());
            records.iter().map(of).collect()
        };
        assert_eq!(summary(&kernel), summary(&records), "{name}: {:?}", records.first().map(|record| record.key));
        // Early and ended records alike: header, key and state, every field but the hook.
        assert_eq!(kernel, records, "{name}");
    }
    assert!(kernel.is_empty(), "{name}: flows of the kernel alone");
}

/// Compares all records; how many are of addresses.
fn with_the_clock_injected(name: &str, packets: &[Packet]) -> usize {
    let options = Options { snapshots: true, ..Options::default() };
    let (offline, addresses) = apart(offline(&options, packets));
    let mut sweeps_us: Vec<_> = offline.iter().map(|record| record.header.time_us).collect();
    sweeps_us.dedup();
    let (kernel, kernel_addresses) = apart(in_kernel(packets, &sweeps_us));
    let ended = offline.iter().filter(|record| record.header.stage == Stage::End as u8).count();
    let of_addresses = addresses.values().map(Vec::len).sum::<usize>();
    let (packets, records) = (packets.len(), offline.len());
    println!("{name}: {packets} packets, {records} records, {ended} of ended flows; {of_addresses} of addresses");
    assert!(ended > 0, "{name}: no flow at all");
    assert_same(name, kernel, offline);
    assert_eq!(kernel_addresses, addresses, "{name}");
    of_addresses
}

#[test]
fn with_the_clock_injected_every_field_is_equal() {
    let of_addresses: usize = captures().map(|(name, packets)| with_the_clock_injected(name, &packets)).sum();
    assert!(of_addresses > 0, "no address reached a level");
}

/// The state without what depends on when packets come.
fn without_clock(state: &FlowState) -> FlowState {
    let direction = |d: &DirState| DirState {
        iat_sq_us2: 0,
        first_us: 0,
        last_us: 0,
        iat_min_us: 0,
        iat_max_us: 0,
        // Bulks end with a silence of a second.
        bulk_start_us: 0,
        bulk_last_us: 0,
        bulk_bytes: 0,
        bulk_duration_us: 0,
        run_packets: 0,
        run_bytes: 0,
        bulks: 0,
        bulk_packets: 0,
        ..*d
    };
    FlowState {
        stages: 0,
        first_us: 0,
        last_us: 0,
        iat_sq_us2: 0,
        iat_min_us: 0,
        iat_max_us: 0,
        active_start_us: 0,
        active_sum_us: 0,
        active_sq_us2: 0,
        idle_sum_us: 0,
        idle_sq_us2: 0,
        active_count: 0,
        active_min_us: 0,
        active_max_us: 0,
        idle_count: 0,
        idle_min_us: 0,
        idle_max_us: 0,
        subflow_gaps: 0,
        time_reversals: 0,
        first_gaps_us: [0; 16],
        fwd: direction(&state.fwd),
        bwd: direction(&state.bwd),
        ..*state
    }
}

fn ends_without_clock(records: Vec<FlowRecord>) -> Vec<FlowRecord> {
    let ends = records.into_iter().filter(|record| record.header.stage == Stage::End as u8);
    ends.map(|mut record| {
        record.header.time_us = 0;
        record.state = without_clock(&record.state);
        record
    })
    .collect()
}

#[test]
fn without_injection_every_field_but_the_clocks_is_equal() {
    // Nothing may time out: the packets of minutes pass in a moment.
    let never = u64::MAX / 4;
    let timeouts = Timeouts { idle_us: never, active_us: never, half_open_us: never, linger_us: never };
    for (name, packets) in captures() {
        let offline = offline(&Options { timeouts, ..Options::default() }, &packets);
        let mut kernel = Kernel::with_tables(FLOWS, HALF_OPEN_SETS);
        let mut records = Vec::new();
        for (_, bytes) in &packets {
            assert_eq!(kernel.xdp(bytes), XDP_PASS);
            records.extend(kernel.records());
        }
        finish(&mut kernel, &mut records);
        assert_same(name, ends_without_clock(apart(records).0), ends_without_clock(apart(offline).0));
    }
}

#[test]
fn captures_of_attacks_and_protocols_are_equal_too() {
    let root = std::env::var_os("GANGLION_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let folders = ["attack", "general", "proto"].map(|name| root.join("data/pcap").join(name));
    let mut paths: Vec<_> = folders.iter().filter_map(|folder| folder.read_dir().ok()).flatten().collect();
    if paths.is_empty() {
        println!("SKIPPED: no captures at {}", root.display());
        return;
    }
    paths.sort_by_key(|entry| entry.as_ref().map(std::fs::DirEntry::path).ok());
    let usable = paths.into_iter().flatten().filter(|entry| entry.metadata().is_ok_and(|file| file.len() < 200_000));
    let usable = usable.filter_map(|entry| Some((entry.path(), packets(&entry.path())?)));
    let usable: Vec<_> =
        usable.filter(|(_, packets)| (30..1_500).contains(&packets.len())).step_by(11).take(8).collect();
    assert!(!usable.is_empty(), "no small Ethernet capture at {}", root.display());
    for (path, packets) in &usable {
        with_the_clock_injected(&path.display().to_string(), packets);
    }
}
