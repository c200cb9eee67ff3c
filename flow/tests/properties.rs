//! A flow's state against a naive computation over the list of its packets, and whatever order two CPUs take turns in.

use ganglion_flow::packet::{TCP, UDP};
use ganglion_flow::state::{DirState, status};
use ganglion_flow::{FlowState, Packet, Wire};
use proptest::collection::vec;
use proptest::prelude::*;

const S: u64 = 1_000_000;

/// An arrival: when, from the initiator or the responder, what, and on which CPU.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    time_us: u64,
    forward: bool,
    packet: Packet,
    cpu: bool,
}

fn packet(tcp: bool) -> impl Strategy<Value = Packet> {
    let payload = prop_oneof![2 => Just(0u32), 3 => 1u32..1_460, 1 => 1_460u32..60_000];
    let segments = prop_oneof![6 => Just(1u32), 1 => 2u32..44];
    (any::<u8>(), payload, segments, 5u16..16, prop_oneof![Just(0u16), any::<u16>()]).prop_map(
        move |(flags, payload_bytes, segments, words, window)| {
            let header_bytes = if tcp { words * 4 } else { 8 };
            let segment_bytes =
                if segments > 1 { payload_bytes.div_ceil(segments).min(payload_bytes / (segments - 1)) } else { 0 };
            Packet {
                protocol: if tcp { TCP } else { UDP },
                flags: if tcp { flags } else { 0 },
                header_bytes,
                window: if tcp { window } else { 0 },
                payload_bytes,
                wire_bytes: payload_bytes + segments * (34 + u32::from(header_bytes)),
                segments,
                segment_bytes,
                ..Packet::ZERO
            }
        },
    )
}

/// Packets in order of time, the first from the initiator, all of one protocol. No two at the same µs: which of them
/// interrupts the other's bulk would be a matter of taste.
fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let gap_us = prop_oneof![6 => 1..50_000u64, 2 => 1..2 * S, 1 => 4 * S..40 * S];
    let arrival = move |tcp| (gap_us.clone(), any::<bool>(), packet(tcp), any::<bool>());
    any::<bool>().prop_flat_map(move |tcp| vec(arrival(tcp), 1..80)).prop_map(|all| {
        let mut time_us = 7 * S;
        let one = |(number, (gap_us, forward, packet, cpu)): (usize, (u64, bool, Packet, bool))| {
            time_us += gap_us;
            Arrival { time_us, forward: forward || number == 0, packet, cpu }
        };
        all.into_iter().enumerate().map(one).collect()
    })
}

fn state<'a>(arrivals: impl IntoIterator<Item = &'a Arrival>) -> FlowState {
    let mut state = FlowState::ZERO;
    for arrival in arrivals {
        if state.packets() == 0 {
            state.open(&arrival.packet, arrival.forward, false, arrival.time_us);
        } else {
            state.update(&arrival.packet, arrival.forward, arrival.time_us);
        }
    }
    state
}

/// Payload of each wire packet of an arrival.
fn sizes(packet: &Packet) -> Vec<u64> {
    let mut sizes = vec![u64::from(packet.segment_bytes); packet.segments as usize];
    let before = u64::from(packet.segment_bytes) * u64::from(packet.segments - 1);
    sizes[packet.segments as usize - 1] = u64::from(packet.payload_bytes) - before;
    sizes
}

fn gaps(times: &[u64]) -> Vec<u64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn squares(values: &[u64]) -> u64 {
    values.iter().map(|value| value * value).sum()
}

/// Packets with the flag of header bit `bit`: what a train has once (FIN, PSH …) and what each of its packets has (ACK).
fn flagged(packets: &[Packet], bit: usize) -> u32 {
    let each = |packet: &Packet| if bit == 4 { packet.segments } else { 1 };
    packets.iter().filter(|packet| packet.flags >> bit & 1 == 1).map(each).sum()
}

/// Runs of packets with payload from one side with nothing of the other's between and no silence beyond a second:
/// their packets, bytes and duration, where they are bulks.
fn bulks(arrivals: &[Arrival], forward: bool) -> Vec<(u32, u64, u64)> {
    let mut runs: Vec<Vec<Arrival>> = Vec::new();
    for arrival in arrivals.iter().filter(|arrival| arrival.packet.payload_bytes > 0) {
        match runs.last_mut() {
            Some(run) if run[0].forward == arrival.forward && arrival.time_us - run[run.len() - 1].time_us <= S => {
                run.push(*arrival);
            }
            _ => runs.push(vec![*arrival]),
        }
    }
    let bulk = |run: &Vec<Arrival>| {
        let packets = run.iter().map(|arrival| arrival.packet.segments).sum();
        let bytes = run.iter().map(|arrival| u64::from(arrival.packet.payload_bytes)).sum();
        (packets, bytes, run[run.len() - 1].time_us - run[0].time_us)
    };
    runs.iter().filter(|run| run[0].forward == forward).map(bulk).filter(|(packets, ..)| *packets >= 4).collect()
}

/// One direction, counted naively.
fn check_direction(found: &DirState, arrivals: &[Arrival], forward: bool) -> Result<(), TestCaseError> {
    let own: Vec<_> = arrivals.iter().filter(|arrival| arrival.forward == forward).collect();
    let packets: Vec<Packet> = own.iter().map(|arrival| arrival.packet).collect();
    let Some(first) = packets.first() else {
        prop_assert_eq!(*found, DirState::ZERO);
        return Ok(());
    };
    let times: Vec<u64> = own.iter().map(|arrival| arrival.time_us).collect();
    let (sizes, gaps): (Vec<u64>, _) = (packets.iter().flat_map(sizes).collect(), gaps(&times));
    let sum = |of: fn(&Packet) -> u32| packets.iter().map(|packet| u64::from(of(packet))).sum::<u64>();
    prop_assert_eq!(found.packets, sizes.len() as u64);
    prop_assert_eq!(found.arrivals as usize, own.len());
    prop_assert_eq!(found.wire_bytes, sum(|packet| packet.wire_bytes));
    prop_assert_eq!(found.payload_bytes, sizes.iter().sum::<u64>());
    prop_assert_eq!(found.payload_sq_bytes2, squares(&sizes));
    prop_assert_eq!(Some(u64::from(found.payload_min)), sizes.iter().copied().min());
    prop_assert_eq!(Some(u64::from(found.payload_max)), sizes.iter().copied().max());
    prop_assert_eq!(u64::from(found.header_bytes), sum(|packet| u32::from(packet.header_bytes) * packet.segments));
    prop_assert_eq!(Some(found.header_min), packets.iter().map(|packet| packet.header_bytes).min());
    prop_assert_eq!(
        u64::from(found.data_packets),
        sum(|packet| if packet.payload_bytes > 0 { packet.segments } else { 0 })
    );
    prop_assert_eq!((found.first_us, found.last_us), (times[0], times[times.len() - 1]));
    prop_assert_eq!(found.iat_sq_us2, squares(&gaps));
    prop_assert_eq!(u64::from(found.iat_min_us), gaps.iter().copied().min().unwrap_or(u32::MAX.into()));
    prop_assert_eq!(u64::from(found.iat_max_us), gaps.iter().copied().max().unwrap_or(0));
    for bit in 0..8 {
        prop_assert_eq!(found.flags[bit], flagged(&packets, bit), "bit {}", bit);
    }
    if first.protocol == TCP {
        let last = packets[packets.len() - 1];
        prop_assert_eq!((found.window_first, found.window_last), (first.window, last.window));
        prop_assert_eq!(u64::from(found.zero_windows), sum(|packet| (packet.window == 0).into()));
    }
    let bulks = bulks(arrivals, forward);
    prop_assert_eq!(found.bulks as usize, bulks.len());
    prop_assert_eq!(found.bulk_packets, bulks.iter().map(|bulk| bulk.0).sum::<u32>());
    prop_assert_eq!(found.bulk_bytes, bulks.iter().map(|bulk| bulk.1).sum::<u64>());
    prop_assert_eq!(found.bulk_duration_us, bulks.iter().map(|bulk| bulk.2).sum::<u64>());
    Ok(())
}

/// Lengths of the active periods that a silence of more than 5 s ended, without those of one packet; and the silences.
fn periods(times: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let (mut active, mut idle, mut start) = (Vec::new(), Vec::new(), times[0]);
    for pair in times.windows(2) {
        if pair[1] - pair[0] > 5 * S {
            active.push(pair[0] - start);
            idle.push(pair[1] - pair[0]);
            start = pair[1];
        }
    }
    active.retain(|length| *length > 0);
    (active, idle)
}

/// Count, sum, squares, smallest and largest, 0 where there is none.
fn summary(values: &[u64]) -> (usize, u64, u64, u64, u64) {
    let (min, max) = (values.iter().copied().min().unwrap_or(0), values.iter().copied().max().unwrap_or(0));
    (values.len(), values.iter().sum(), squares(values), min, max)
}

/// What does not depend on the order of arrivals, added up over both directions' states.
type Totals = [(u64, u64, u64, u64, u32, u32, u32, [u32; 8]); 2];

fn totals(states: &[FlowState]) -> Totals {
    let add = |of: fn(&FlowState) -> &DirState| {
        let mut sum = (0, 0, 0, 0, 0, 0, 0, [0; 8]);
        for direction in states.iter().map(of) {
            sum.0 += direction.packets;
            sum.1 += direction.wire_bytes;
            sum.2 += direction.payload_bytes;
            sum.3 += direction.payload_sq_bytes2;
            sum.4 += direction.header_bytes;
            sum.5 += direction.data_packets;
            sum.6 += direction.arrivals;
            sum.7.iter_mut().zip(direction.flags).for_each(|(sum, packets)| *sum += packets);
        }
        sum
    };
    [add(|state| &state.fwd), add(|state| &state.bwd)]
}

proptest! {
    #[test]
    fn a_state_holds_what_a_naive_computation_gives(arrivals in arrivals()) {
        let state = state(&arrivals);
        check_direction(&state.fwd, &arrivals, true)?;
        check_direction(&state.bwd, &arrivals, false)?;
        let times: Vec<u64> = arrivals.iter().map(|arrival| arrival.time_us).collect();
        let gaps = gaps(&times);
        prop_assert_eq!((state.first_us, state.last_us), (times[0], times[times.len() - 1]));
        prop_assert_eq!(state.iat_sq_us2, squares(&gaps));
        prop_assert_eq!(u64::from(state.iat_min_us), gaps.iter().copied().min().unwrap_or(u32::MAX.into()));
        prop_assert_eq!(u64::from(state.iat_max_us), gaps.iter().copied().max().unwrap_or(0));
        prop_assert_eq!(state.subflow_gaps as usize, gaps.iter().filter(|gap| **gap > S).count());
        let (active, idle) = periods(&times);
        let found = (state.active_count as usize, state.active_sum_us, state.active_sq_us2);
        prop_assert_eq!((found.0, found.1, found.2, state.active_min_us.into(), state.active_max_us.into()), summary(&active));
        let found = (state.idle_count as usize, state.idle_sum_us, state.idle_sq_us2);
        prop_assert_eq!((found.0, found.1, found.2, state.idle_min_us.into(), state.idle_max_us.into()), summary(&idle));
        let trains = arrivals.iter().filter(|arrival| arrival.packet.segments > 1);
        prop_assert_eq!(state.merged_packets, trains.map(|arrival| arrival.packet.segments).sum::<u32>());
        prop_assert_eq!(state.time_reversals, 0);
        for (i, arrival) in arrivals.iter().take(16).enumerate() {
            let size = arrival.packet.payload_bytes.min(i16::MAX as u32) as i16;
            prop_assert_eq!(state.first_sizes[i], if arrival.forward { size } else { -size });
            prop_assert_eq!(u64::from(state.first_gaps_us[i]), if i == 0 { 0 } else { gaps[i - 1] });
        }
        prop_assert_eq!(usize::from(state.first_count), arrivals.len().min(16));
    }

    /// Two CPUs take the lock of one flow in any order: nothing is lost, and a packet whose time has passed by then is
    /// counted as such.
    #[test]
    fn totals_do_not_depend_on_which_cpu_comes_first(arrivals in arrivals(), turns in vec(any::<bool>(), 1..100)) {
        let (first, rest) = arrivals.split_first().unwrap();
        let mut cpus = [false, true].map(|cpu| rest.iter().filter(move |arrival| arrival.cpu == cpu).peekable());
        let mut order = vec![first];
        let mut turns = turns.into_iter().cycle();
        while order.len() < arrivals.len() {
            let turn = usize::from(turns.next().unwrap());
            let turn = if cpus[turn].peek().is_some() { turn } else { 1 - turn };
            order.extend(cpus[turn].next());
        }
        let mut newest = 0;
        let late = order.iter().filter(|arrival| {
            let late = arrival.time_us < newest;
            newest = newest.max(arrival.time_us);
            late
        });
        let late = late.count();
        let (mixed, ordered) = (state(order), state(&arrivals));
        prop_assert_eq!(totals(&[mixed]), totals(&[ordered]));
        prop_assert_eq!(mixed.time_reversals as usize, late);
        prop_assert_eq!((mixed.first_us, mixed.last_us), (ordered.first_us, ordered.last_us));
        let extremes = |state: &FlowState| [state.fwd, state.bwd].map(|d| (d.payload_min, d.payload_max, d.header_min));
        prop_assert_eq!(extremes(&mixed), extremes(&ordered));
        prop_assert_eq!((mixed.flags_seen, mixed.merged_packets), (ordered.flags_seen, ordered.merged_packets));
    }

    /// The parts of a flow, each counted in a state of its own, add up to the flow.
    #[test]
    fn the_totals_of_any_parts_add_up(arrivals in arrivals()) {
        let part = |cpu: bool| {
            let mut state = FlowState { status: status::INITIATOR_IS_A, last_us: S, ..FlowState::ZERO };
            for arrival in arrivals.iter().filter(|arrival| arrival.cpu == cpu) {
                if state.is_cut() {
                    state.resume(&arrival.packet, arrival.forward, arrival.time_us);
                } else {
                    state.update(&arrival.packet, arrival.forward, arrival.time_us);
                }
            }
            state
        };
        prop_assert_eq!(totals(&[part(false), part(true)]), totals(&[state(&arrivals)]));
    }
}
