//! A SYN flood from everywhere harms no established flow, costs no memory, and does not hide.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ganglion_flow::record::{FlowRecord, Record};
use ganglion_flow::state::endpoints;
use ganglion_flow::{Addr, Reason, Role, Stage};
use serde_json::Value;

use crate::harness::connections::Segments;
use crate::harness::flood::{ADDRESSES, REAL_PORTS, Sent, SynFlood};
use crate::harness::net::{ATTACKER, FRIEND, SERVER, WATCHED, dropped, in_namespace, ip};
use crate::harness::{Agent, Connections, FakeBrain, Net, eventually};

const CONNECTIONS: usize = 200;
/// Packets of each address: over a million in all.
const ROUNDS: u32 = 9;
const RATE: u32 = 80_000;
/// What the bounded queues may take: 65,536 records of 624 bytes that wait for the brain, 64 batches of 256 KiB on the
/// way there, and their messages.
const QUEUES_BYTES: u64 = 128 << 20;
/// Of them, what waits for the brain.
const WAITING_BYTES: u64 = 65_536 * 624;
/// Between two looks at a process under load.
const SLACK_BYTES: u64 = 16 << 20;
/// A delayed acknowledgement takes 40 ms.
const REST: Duration = Duration::from_millis(500);

/// Answers to forged addresses leave by a gateway: else the server would ask for the hardware address of each.
fn prepare(net: &Net) {
    let server = net.server();
    ip(&["-n", &server, "route", "del", "198.18.0.0/15", "dev", WATCHED]);
    ip(&["-n", &server, "route", "add", FRIEND, "dev", WATCHED]);
    ip(&["-n", &server, "route", "add", "198.18.0.0/15", "via", FRIEND, "dev", WATCHED]);
    in_namespace(&net.world(), || {
        let range = format!("{REAL_PORTS} 65000");
        std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", range).unwrap();
    });
    in_namespace(&net.server(), || std::fs::write("/proc/sys/net/ipv4/tcp_synack_retries", "0").unwrap());
}

/// Packets towards the server and back, by client.
type Counts = BTreeMap<SocketAddr, Segments>;

/// What the sensor says of the live flows of these clients.
fn live(agent: &Agent, clients: &[SocketAddr]) -> Counts {
    let flows = agent.json(&["flows", "--limit", "10000"]);
    let packets = |flow: &Value| {
        let address: IpAddr = flow["source_address"].as_str()?.parse().ok()?;
        let client = SocketAddr::new(address, u16::try_from(flow["source_port"].as_u64()?).ok()?);
        let counts = (flow["forward_packets"].as_u64()?, flow["backward_packets"].as_u64()?);
        (flow["destination_address"] == SERVER && clients.contains(&client)).then_some((client, counts))
    };
    flows["flows"].as_array().unwrap().iter().filter_map(packets).collect()
}

/// What the wire carried by the server's sockets: its SYN-ACK was sent before there was a socket that counts.
fn carried(connections: &Connections, net: &Net) -> Counts {
    connections.segments(net).into_iter().map(|(client, (received, sent))| (client, (received, sent + 1))).collect()
}

/// Packets that the wire carried and the flows lack; a flow that is gone lacks all of them.
fn missing(flows: &Counts, wire: &Counts) -> u64 {
    let missing = |(client, (received, sent)): (&SocketAddr, &Segments)| {
        let (forth, back) = flows.get(client).copied().unwrap_or_default();
        assert!(forth <= *received && back <= *sent, "{client}: more than the wire carried");
        received - forth + sent - back
    };
    wire.iter().map(missing).sum()
}

/// End records, by initiator.
fn ends(records: &[Record]) -> Vec<(SocketAddr, FlowRecord)> {
    let end = |record: &Record| match record {
        Record::Flow(flow) if flow.header.stage == Stage::End as u8 => Some((initiator(flow), *flow)),
        _ => None,
    };
    records.iter().filter_map(end).collect()
}

fn initiator(flow: &FlowRecord) -> SocketAddr {
    let ((address, port), _) = endpoints(&flow.key, &flow.state);
    SocketAddr::new(address.into(), port)
}

/// The largest number of new flows in a window of ten seconds that a SOURCE record of the server says.
fn most_new_flows(records: &[Record]) -> u32 {
    let new = records.iter().filter_map(|record| match record {
        Record::Source(source) => Some(source.state.new_window),
        Record::Flow(_) => None,
    });
    new.max().unwrap_or(0)
}

/// A brain that keeps the records of real connections and of the server, and notes the addresses of all others.
fn brain(socket: &Path, forged: &Arc<Mutex<HashSet<IpAddr>>>) -> FakeBrain {
    let (forged, server) = (Arc::clone(forged), Addr::from(SERVER.parse::<IpAddr>().unwrap()));
    FakeBrain::keeping(socket, move |record| match record {
        Record::Flow(flow) if initiator(flow).port() >= REAL_PORTS => true,
        Record::Flow(flow) => {
            forged.lock().unwrap().insert(initiator(flow).ip());
            false
        }
        Record::Source(source) => source.state.addr == server && source.state.role == Role::Destination as u8,
    })
}

/// What came of the flood while it lasted.
struct Flooded {
    sent: Sent,
    /// Questions and answers on each connection.
    exchanges: u32,
    /// Of the sensor's process, every now and then; bytes.
    resident: Vec<u64>,
}

/// Floods the server while the connections go on talking.
fn flood(net: &Net, agent: &Agent, connections: &mut Connections) -> Flooded {
    let syns = SynFlood { target: SERVER.parse().unwrap(), service: connections.service, rounds: ROUNDS, rate: RATE };
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let exchanging = scope.spawn(|| {
            let mut exchanges = 0;
            while !over.load(Ordering::Relaxed) {
                connections.exchange();
                exchanges += 1;
            }
            exchanges
        });
        let watching = scope.spawn(|| {
            let mut resident = Vec::new();
            while !over.load(Ordering::Relaxed) {
                resident.push(agent.memory_bytes().0);
                std::thread::sleep(Duration::from_millis(100));
            }
            resident
        });
        let sent = syns.run(net);
        over.store(true, Ordering::Relaxed);
        Flooded { sent, exchanges: exchanging.join().unwrap(), resident: watching.join().unwrap() }
    })
}

/// Every flow of a client that ended, once all of them have; and what the server's SOURCE records say.
fn last_records(brain: &FakeBrain) -> Vec<Record> {
    let mut records = Vec::new();
    eventually("a record of every connection's end", Duration::from_secs(20), || {
        records.extend(brain.take_records());
        ends(&records).len() >= CONNECTIONS
    });
    std::thread::sleep(REST);
    records.extend(brain.take_records());
    records
}

/// Each connection is one flow, from its first packet to its reset, with all packets that are not counted as skipped.
fn assert_kept(after: &Counts, ended: &[(SocketAddr, FlowRecord)]) {
    assert_eq!(ended.len(), CONNECTIONS, "one end each");
    for (client, record) in ended {
        assert_eq!(record.header.reason, Reason::Rst as u8, "of {client}");
        let counts = (record.state.fwd.packets, record.state.bwd.packets);
        assert_eq!(Some(counts), after.get(client).map(|(forth, back)| (forth + 1, *back)), "of {client}");
    }
}

/// Memory stays below what the queues may hold, and settles before the flood's last third, but for what waits for the
/// brain: `shed` records tell that this queue filled, which may be late. Maps are as large as they were.
fn assert_memory_stays(before: (u64, u64), after: (u64, u64), resident: &[u64], shed: u64) {
    let third = |third: usize| resident.chunks(resident.len().div_ceil(3)).nth(third).unwrap().iter().max().unwrap();
    let [first, second, last] = [0, 1, 2].map(third);
    println!(
        "resident KiB: {} before, at most {}, {}, {} in each third of the flood, {} after; maps KiB: {} before, {} after",
        before.0 >> 10,
        first >> 10,
        second >> 10,
        last >> 10,
        after.0 >> 10,
        before.1 >> 10,
        after.1 >> 10
    );
    assert!(*last < before.0 + QUEUES_BYTES && after.0 < before.0 + QUEUES_BYTES);
    let waiting = if shed > 0 { WAITING_BYTES } else { 0 };
    assert!(*last < first.max(second) + waiting + SLACK_BYTES, "it grows");
    assert_eq!(before.1, after.1, "maps");
}

#[test]
fn a_syn_flood_from_every_address_pushes_out_no_established_flow() {
    let net = Net::new();
    prepare(&net);
    let (socket, forged) = (net.file("brain.sock"), Arc::default());
    let brain = brain(&socket, &forged);
    // However slow the machine: no flow is cut for its age.
    let settings = net.file("sensor.yaml");
    std::fs::write(&settings, "timeouts:\n  active_ms: 3600000\n").unwrap();
    let options = ["--brain", socket.to_str().unwrap(), "--config", settings.to_str().unwrap()];
    let agent = Agent::start(&net, &options);
    brain.connected();
    let mut connections = Connections::open(&net, &[FRIEND, ATTACKER], CONNECTIONS);
    let clients = connections.clients();
    connections.exchange();
    std::thread::sleep(REST);
    let missed = missing(&live(&agent, &clients), &carried(&connections, &net));
    assert!(missed <= agent.counter("skip_lock"), "before the flood, {missed} packets");
    let memory = agent.memory_bytes();

    let Flooded { sent, exchanges, resident } = flood(&net, &agent, &mut connections);
    let lost = dropped(&net.server(), WATCHED, 3);
    connections.exchange();
    std::thread::sleep(REST);
    let (after, wire) = (live(&agent, &clients), carried(&connections, &net));
    let missed = missing(&after, &wire);
    agent.assert_nothing_is_lost();
    let memory_after = agent.memory_bytes();
    connections.reset();
    let records = last_records(&brain);
    agent.assert_nothing_is_lost();

    let (status, ended, new) = (agent.status(), ends(&records), most_new_flows(&records));
    let packets: u64 = wire.values().map(|(forth, back)| forth + back).sum();
    println!("{sent}; {lost} lost on the cable; {exchanges} exchanges on each of {CONNECTIONS} connections meanwhile");
    println!("{} established flows kept, {} records of their ends", after.len(), ended.len());
    println!("{packets} packets on the wire of them, {missed} not in the flows");
    println!("SOURCE records of the server: {new} new flows in a window of 10 s");
    println!("forged addresses in FLOW records: {}", forged.lock().unwrap().len());
    println!("{:#}\n{:#}", status["equations"], status["counters"]);
    let shed = status["equations"]["records"]["terms"]["brain_slow"].as_u64().unwrap();
    assert_memory_stays(memory, memory_after, &resident, shed);
    assert!(sent.tuples > 1_000_000 && sent.addresses == ADDRESSES as usize);
    assert!(exchanges > 0, "data flowed during the flood");
    assert!(missed <= status["counters"]["skip_lock"].as_u64().unwrap());
    assert_kept(&after, &ended);
    assert!(new >= 8192, "the flood shows at its destination");
}
