//! Flows whose life is decided on two CPUs at once: packets meet sweeps that end their very flows, and each other.

use ganglion_flow::record::Record;
use ganglion_flow::{Counter, Reason};

use crate::harness::Kernel;
use crate::packets::{CLIENT, SERVER, udp};

/// Flows that ended, and the packets in their records.
fn ended(records: &[Record]) -> (u64, u64) {
    let ends = records.iter().filter_map(|record| match record {
        Record::Flow(flow) if flow.header.reason != Reason::Early as u8 => Some(flow.state.packets()),
        _ => None,
    });
    ends.fold((0, 0), |(flows, packets), more| (flows + 1, packets + more))
}

/// Flows that shall meet a sweep, and rounds of packets that they may take.
const ENOUGH: u64 = 50;
const ROUNDS: u64 = 8;
/// Runs of a packet in a round.
const TIMES: u32 = 1_000_000;

/// Sends `packets`, each on a CPU, while every flow is overdue whenever the sweep looks. What the sweep exports and
/// what is left is everything that came, less what is counted as skipped.
fn under_sweeps(packets: &[&[u8]]) {
    let mut kernel = Kernel::new();
    kernel.set(|s| (s.idle_us, s.half_open_us, s.linger_us) = (0, 0, 0));
    let (mut rounds, mut sweeps) = (0, 0);
    let (mut flows, mut exported) = (0, 0);
    // On a busy machine packets and sweeps take turns instead of meeting.
    while flows < ENOUGH && rounds < ROUNDS {
        let (records, done) = kernel.xdp_under_sweeps(packets, TIMES);
        let (ends, of) = ended(&records);
        (rounds, sweeps, flows, exported) = (rounds + 1, sweeps + done, flows + ends, exported + of);
    }
    let count = |counter| kernel.count(counter);
    println!(
        "{} packets on {} CPUs under {sweeps} sweeps: {flows} flows ended with {exported} packets, {} packets live, \
         {} skipped at the lock, {} between export and deletion",
        count(Counter::Seen),
        packets.len(),
        kernel.live_packets(),
        count(Counter::SkipLock),
        count(Counter::SkipClosing),
    );
    assert_eq!(count(Counter::Seen), rounds * packets.len() as u64 * u64::from(TIMES));
    assert!(flows > 0, "no flow met a sweep");
    assert_eq!((flows, exported), (count(Counter::FlowsEnded), count(Counter::Exported)));
    assert_eq!(count(Counter::ExportLost), 0, "the ring was emptied in time");
    kernel.assert_balanced();
}

#[test]
fn a_sweep_that_ends_a_busy_flow_loses_no_packet() {
    under_sweeps(&[&udp(CLIENT, SERVER, 40000, 53, 10)]);
}

#[test]
fn two_cpus_and_a_sweep_on_one_flow_lose_no_packet_in_silence() {
    under_sweeps(&[&udp(CLIENT, SERVER, 40000, 53, 10), &udp(SERVER, CLIENT, 53, 40000, 20)]);
}

/// Many flows end at once: their records need more than twice the ring buffer.
#[test]
fn a_sweep_waits_for_room_in_the_ring() {
    const FLOWS: u16 = 4000;
    let mut kernel = Kernel::with_flows(FLOWS.into());
    for port in 1..=FLOWS {
        kernel.xdp(&udp(CLIENT, SERVER, port, 53, 10));
        kernel.xdp(&udp(SERVER, CLIENT, 53, port, 20));
    }
    kernel.records();
    kernel.advance_us(61_000_000);
    // Where a walk stops and goes on, it may pass over a neighbour of what it deleted.
    kernel.sweep();
    kernel.sweep();
    let (flows, packets) = ended(&kernel.records());
    println!("{flows} flows ended with {packets} packets, {} records lost", kernel.count(Counter::RecordsLost));
    assert_eq!((flows, packets), (FLOWS.into(), 2 * u64::from(FLOWS)));
    assert_eq!((kernel.count(Counter::RecordsLost), kernel.live_packets()), (0, 0));
    kernel.assert_balanced();
}
