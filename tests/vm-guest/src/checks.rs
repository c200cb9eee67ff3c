//! What must hold on the oldest kernel: load, hooks, block, expiry, records, sweep, a clean end.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ganglion_features::Recording;
use ganglion_flow::record::Record;
use ganglion_flow::{Addr, Reason};
use ganglion_sensor::SensorConfig;
use ganglion_sensor::config::{Egress, Ingress, Mode, Tables, Timeouts};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime, clock_settime};

use crate::agent::Agent;
use crate::frames::{PORT, SERVER, Wire, delivered, listen};
use crate::veth::{self, Pair};

const FRIEND: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const ATTACKER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 66);

/// One sensor on a pair of interfaces, carried from check to check.
pub(crate) struct Scene {
    hook: &'static str,
    pair: Pair,
    socket: UdpSocket,
    recording: PathBuf,
    agent: Agent,
}

/// A check, and its name in the report.
pub(crate) type Check = (&'static str, fn(&mut Scene) -> Result<()>);

/// The checks on a running sensor, in their order.
pub(crate) const CHECKS: &[Check] = &[
    ("hooks", hooks),
    ("the verifier is far from its bound", verifier),
    ("packets are counted", counting),
    ("egress is counted", egress),
    ("fragments find their flow", fragments),
    ("extension headers and tunnels are read", headers),
    ("a block drops", block),
    ("a block expires", expiry),
    ("records reach the recording", records),
    ("the sweep expires flows", sweep),
    ("a step of the wall clock is followed", clock_step),
    ("nothing is lost", equations),
];

impl Scene {
    /// Makes the interfaces and starts the sensor: everything loads, the iterators included.
    pub(crate) fn open(hook: &'static str, ingress: Ingress) -> Result<Self> {
        let name = if ingress == Ingress::Clsact { "gc" } else { "gx" };
        let pair = Pair::new(name)?;
        veth::set_address(&pair.near, SERVER)?;
        let recording = PathBuf::from(format!("/tmp/{name}.gnl"));
        let config = SensorConfig {
            interfaces: vec![pair.near.clone()],
            mode: Mode::Enforce,
            ingress,
            egress: Egress::Auto,
            control_socket: format!("/run/{name}.sock").into(),
            record: Some(recording.clone()),
            metrics: None,
            detach_on_exit: true,
            inner: true,
            tables: Tables {
                flows: 1024,
                half_open_sets: 256,
                source_sets: 256,
                records_bytes: 1 << 20,
                rules: 64,
                allow: 64,
            },
            timeouts: Timeouts { idle_ms: 1000, half_open_ms: 1000, ..Timeouts::default() },
            ..SensorConfig::default()
        };
        let agent = Agent::start(config)?;
        Ok(Self { hook, pair, socket: listen()?, recording, agent })
    }

    /// Ends the sensor, which takes everything off.
    pub(crate) fn close(self) -> Result<()> {
        self.agent.stop()?;
        drop(self.socket);
        let pins = PathBuf::from("/sys/fs/bpf/ganglion").join(&self.pair.near);
        ensure!(!pins.exists(), "{} is still there", pins.display());
        veth::remove(&self.pair.near)
    }

    fn delivered(&self, source: Ipv4Addr, count: usize) -> Result<usize> {
        delivered(&self.pair, &self.socket, source, count)
    }
}

fn hooks(scene: &mut Scene) -> Result<()> {
    let status = scene.agent.status()?;
    let interface = status.interfaces.first().context("no interface")?;
    ensure!(interface.ingress == scene.hook, "ingress by {:?}, not {:?}", interface.ingress, scene.hook);
    ensure!(interface.egress == "clsact", "egress by {:?}", interface.egress);
    Ok(())
}

/// A million is the bound.
fn verifier(scene: &mut Scene) -> Result<()> {
    let programs = scene.agent.status()?.programs;
    ensure!(!programs.is_empty(), "no program");
    for program in programs {
        println!("guest: {} instructions walked to prove {}", program.verified_instructions, program.name);
        ensure!((1..700_000).contains(&program.verified_instructions), "{} is too near to it", program.name);
    }
    Ok(())
}

fn counting(scene: &mut Scene) -> Result<()> {
    let before = scene.agent.counter("seen")?;
    let arrived = scene.delivered(FRIEND, 5)?;
    ensure!(arrived == 5, "{arrived} of 5 packets arrived");
    let seen = scene.agent.counter("seen")? - before;
    ensure!(seen >= 5, "{seen} packets seen");
    Ok(())
}

fn egress(scene: &mut Scene) -> Result<()> {
    let before = scene.agent.counter("seen")?;
    let wire = Wire::new(&scene.pair.near, &scene.pair.far)?;
    for _ in 0..5 {
        wire.udp(SERVER, PORT, (FRIEND, 4000))?;
    }
    let seen = scene.agent.counter("seen")? - before;
    ensure!(seen >= 5, "{seen} of 5 outgoing packets seen");
    Ok(())
}

fn fragments(scene: &mut Scene) -> Result<()> {
    let wire = Wire::new(&scene.pair.far, &scene.pair.near)?;
    let before = scene.agent.counter("fragment")?;
    wire.fragments(FRIEND, 1, true)?;
    ensure!(scene.agent.counter("fragment")? == before, "the later fragment of a datagram found no flow");
    wire.fragments(FRIEND, 2, false)?;
    ensure!(scene.agent.counter("fragment")? == before + 1, "a fragment without a first one found a flow");
    Ok(())
}

fn headers(scene: &mut Scene) -> Result<()> {
    let wire = Wire::new(&scene.pair.far, &scene.pair.near)?;
    let unread = |scene: &mut Scene| -> Result<u64> {
        let counters = scene.agent.status()?.counters;
        Ok(["truncated", "malformed", "too_many_headers"].iter().filter_map(|name| counters.get(*name)).sum())
    };
    let (before, inner) = (unread(scene)?, scene.agent.counter("inner")?);
    wire.extensions()?;
    ensure!(unread(scene)? == before, "IPv6 extension headers are not read");
    wire.vxlan(FRIEND)?;
    ensure!(scene.agent.counter("inner")? == inner + 1, "the packet in VXLAN is not read");
    Ok(())
}

fn block(scene: &mut Scene) -> Result<()> {
    ensure!(scene.delivered(ATTACKER, 3)? == 3, "blocked before the block");
    scene.agent.block(&ATTACKER.to_string(), Duration::from_secs(4))?;
    let passed = scene.delivered(ATTACKER, 3)?;
    ensure!(passed == 0, "{passed} packets of a blocked address passed");
    ensure!(scene.delivered(FRIEND, 3)? == 3, "somebody else was dropped too");
    let dropped = scene.agent.counter("drop_block")?;
    ensure!(dropped >= 3, "{dropped} drops counted");
    Ok(())
}

fn expiry(scene: &mut Scene) -> Result<()> {
    within(Duration::from_secs(8), "the kernel lets packets pass again", || Ok(scene.delivered(ATTACKER, 1)? == 1))?;
    within(Duration::from_secs(5), "the block leaves the list", || Ok(scene.agent.blocks()?.is_empty()))
}

fn records(scene: &mut Scene) -> Result<()> {
    // 64 flows of one source: SOURCE records at 8 and 32.
    let wire = Wire::new(&scene.pair.far, &scene.pair.near)?;
    for port in 5000..5064 {
        wire.udp(ATTACKER, port, (SERVER, port))?;
    }
    let attacker = Addr::from(std::net::IpAddr::from(ATTACKER));
    within(Duration::from_secs(10), "a SOURCE record of the attacker", || {
        Ok(recorded(scene)?.iter().any(|r| matches!(r, Record::Source(s) if s.state.addr == attacker)))
    })
}

fn sweep(scene: &mut Scene) -> Result<()> {
    within(Duration::from_secs(20), "flows that the sweep ended", || {
        let ended = |record: &Record| match record {
            Record::Flow(flow) => [Reason::Idle as u8, Reason::HalfOpen as u8].contains(&flow.header.reason),
            Record::Source(_) => false,
        };
        Ok(recorded(scene)?.iter().any(ended))
    })?;
    within(Duration::from_secs(20), "an empty flow table", || {
        let status = scene.agent.status()?;
        Ok(status.live_flows + status.live_half_open == 0)
    })
}

/// The wall clock is set an hour ahead: flows are as old as before, and the recording says the new time of day.
fn clock_step(scene: &mut Scene) -> Result<()> {
    const HOUR: i64 = 3600;
    let (offset_before, last_before) = newest(scene)?;
    let now = clock_gettime(ClockId::CLOCK_REALTIME)?;
    clock_settime(ClockId::CLOCK_REALTIME, TimeSpec::new(now.tv_sec() + HOUR, now.tv_nsec()))?;
    scene.delivered(FRIEND, 2)?;
    within(Duration::from_secs(20), "a record after the step", || Ok(newest(scene)?.1 > last_before))?;
    let (offset_us, last_us) = newest(scene)?;
    let stepped_us = offset_us - offset_before;
    ensure!(stepped_us.abs_diff(HOUR * 1_000_000) < 1_000_000, "the offset moved by {stepped_us} µs");
    ensure!(last_us - last_before < 60_000_000, "records went from {last_before} to {last_us} µs since boot");
    let wall_us = clock_gettime(ClockId::CLOCK_REALTIME)?.tv_sec() * 1_000_000;
    let said_us = offset_us + i64::try_from(last_us)?;
    ensure!(said_us.abs_diff(wall_us) < 10_000_000, "a record of {said_us} µs at {wall_us} µs");
    Ok(())
}

/// The recording's offset to the wall clock, and the time of its newest record; µs.
fn newest(scene: &Scene) -> Result<(i64, u64)> {
    let bytes = std::fs::read(&scene.recording)?;
    let recording = Recording::open(&bytes)?;
    let offset_us = recording.boot_to_wall_offset_us();
    let last = recording.map_while(Result::ok).map(|record| record.header().time_us).max();
    Ok((offset_us, last.context("an empty recording")?))
}

fn recorded(scene: &Scene) -> Result<Vec<Record>> {
    let bytes = std::fs::read(&scene.recording)?;
    // The last record may be half written.
    Ok(Recording::open(&bytes)?.map_while(Result::ok).collect())
}

fn equations(scene: &mut Scene) -> Result<()> {
    let mut last = String::new();
    let balanced = within(Duration::from_secs(5), "balance", || {
        let status = scene.agent.status()?;
        last = format!("packets {:?}, records {:?}", status.packets, status.records);
        let differences = [status.packets, status.records].map(|e| e.unwrap_or_default().difference);
        Ok(differences == [0, 0])
    });
    balanced.with_context(|| last)
}

fn within(patience: Duration, what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + patience;
    while !holds()? {
        ensure!(Instant::now() < deadline, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
