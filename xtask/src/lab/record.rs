//! `cargo xtask lab record`: benign load and attacks with the sensor watching, kept as records and
//! an event log from which a model can be trained.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use rand::Rng;
use rand::seq::SliceRandom;
use serde::Serialize;

use super::benign::BenignTally;
use super::draw::{Split, rng};
use super::range::Range;
use super::relay::{Counts, Relay};
use super::scenario::Scenario;
use super::sensor::Sensor;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Scenario: a file, or a name in lab/scenarios
    #[arg(long, default_value = "range")]
    scenario: String,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, value_enum, default_value = "train")]
    split: Split,
    /// Folder for events.jsonl and records.gnl.zst
    #[arg(long)]
    out: PathBuf,
    /// Repeat the attacks until this time is over; without it, each runs once
    #[arg(long)]
    minutes: Option<u64>,
    /// Only these attacks
    #[arg(long = "attack")]
    attacks: Vec<String>,
    /// Benign load alone, for `--minutes`: false alarms are counted on that
    #[arg(long, conflicts_with = "attacks", requires = "minutes")]
    no_attacks: bool,
    /// Hosts away from the server behind links such as delay=40ms,jitter=5ms,loss=1%, one way; ranges are drawn from
    #[arg(long)]
    relay: Option<Relay>,
    /// The ganglion binary [default: target/release/ganglion]
    #[arg(long)]
    ganglion: Option<PathBuf>,
    /// How hard to compress: 12 takes seconds; 19 saves a third and takes minutes
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(i32).range(1..=22))]
    level: i32,
    /// No sensor: only the event log
    #[arg(long)]
    events_only: bool,
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    seed: u64,
    split: Split,
    attacks: u64,
    failed: Vec<String>,
    benign: BenignTally,
    #[serde(skip_serializing_if = "Option::is_none")]
    relay: Option<Counts>,
    records_bytes: u64,
    events: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let scenario = Scenario::load(&args.scenario)?.behind(args.relay.as_ref());
    let names = chosen(args, &scenario)?;
    let binary = args.ganglion.clone().unwrap_or_else(default_binary);
    if !args.events_only && !binary.exists() {
        bail!("{} is missing: `cargo build --release` makes it", binary.display());
    }
    fs::create_dir_all(&args.out).with_context(|| format!("creating {}", args.out.display()))?;
    let out = args.out.canonicalize()?;
    let (events, records) = (out.join("events.jsonl"), out.join("records.gnl"));

    let progress = spinner();
    progress.set_message("building the range");
    let mut range = Range::up_with_log(&scenario, args.seed, args.split, Some(&events))?;
    let mut sensor = match args.events_only {
        true => None,
        false => Some(Sensor::record(&range, &binary, &records)?),
    };
    range.start_benign()?;
    let (attacks, failed) = rounds(args, &mut range, &names, sensor.as_mut(), &progress)?;
    let benign = range.stop_benign();
    if let Some(sensor) = sensor {
        progress.set_message("writing out live flows");
        sensor.stop()?;
    }
    let relay = range.relayed()?;
    drop(range);
    progress.set_message("compressing");
    let records_bytes = if args.events_only { 0 } else { compress(&records, args.level)? };
    progress.finish_and_clear();
    report(args, &Report { seed: args.seed, split: args.split, attacks, failed, benign, relay, records_bytes, events })
}

/// Every round runs each attack once, in an order of its own.
fn rounds(
    args: &Args,
    range: &mut Range,
    names: &[String],
    mut sensor: Option<&mut Sensor>,
    progress: &ProgressBar,
) -> Result<(u64, Vec<String>)> {
    let end = args.minutes.map(|minutes| Instant::now() + Duration::from_secs(minutes * 60));
    let over = || end.is_some_and(|end| Instant::now() >= end);
    let (mut done, mut failed) = (0, Vec::new());
    let mut rng = rng(args.seed, "record", 0);
    wait(range, progress, rng.random_range(3..6))?;
    while names.is_empty() && !over() {
        wait(range, progress, 1)?;
        if let Some(sensor) = sensor.as_deref_mut() {
            sensor.check()?;
        }
    }
    for round in 0.. {
        let mut order = names.to_vec();
        order.shuffle(&mut rng);
        for name in &order {
            progress.set_message(format!("round {}, {name}", round + 1));
            let run = range.run_attack(name, round)?;
            crate::stop::check()?;
            done += 1;
            if run.failed() {
                failed.push(format!("{name} #{round}: exit {:?}", run.exit));
            }
            if let Some(sensor) = sensor.as_deref_mut() {
                sensor.check()?;
            }
            wait(range, progress, rng.random_range(2..6))?;
            if over() {
                return Ok((done, failed));
            }
        }
        if end.is_none() || over() {
            break;
        }
    }
    Ok((done, failed))
}

fn wait(range: &Range, progress: &ProgressBar, seconds: u64) -> Result<()> {
    let tally = range.benign_tally();
    progress.set_message(format!("{} benign sessions so far, {} failed", tally.sessions, tally.failed));
    crate::stop::sleep(Duration::from_secs(seconds))
}

fn chosen(args: &Args, scenario: &Scenario) -> Result<Vec<String>> {
    for name in &args.attacks {
        scenario.attack(name)?;
    }
    if args.no_attacks {
        return Ok(Vec::new());
    }
    if args.attacks.is_empty() {
        return Ok(scenario.attacks.iter().map(|attack| attack.name.clone()).collect());
    }
    Ok(args.attacks.clone())
}

pub(super) fn default_binary() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    crate::process::target_dir(root).join("release/ganglion")
}

/// The largest window that decoders take without being asked to.
const WINDOW_LOG: u32 = 27;

/// Replaces the raw records by `records.gnl.zst`; returns its size.
fn compress(records: &Path, level: i32) -> Result<u64> {
    let to = records.with_extension("gnl.zst");
    let from = File::open(records).with_context(|| format!("opening {}", records.display()))?;
    let file = File::create(&to).with_context(|| format!("creating {}", to.display()))?;
    let mut encoder = zstd::Encoder::new(file, level)?;
    // Records of a flood resemble each other over a long distance.
    encoder.long_distance_matching(true)?;
    encoder.window_log(WINDOW_LOG)?;
    let copied = std::io::copy(&mut BufReader::with_capacity(1 << 20, from), &mut encoder);
    copied.and_then(|_| encoder.finish()).with_context(|| format!("compressing {}", records.display()))?;
    fs::remove_file(records)?;
    Ok(fs::metadata(&to)?.len())
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} [{elapsed}] {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn report(args: &Args, report: &Report) -> Result<()> {
    if args.json {
        println!("{}", serde_json::to_string(report)?);
        return Ok(());
    }
    println!(
        "{} attacks, {} benign sessions ({} failed)",
        report.attacks, report.benign.sessions, report.benign.failed
    );
    if let Some(Counts { taken, delivered, lost, no_room, refused, waiting }) = report.relay {
        println!(
            "relay:   {taken} frames: {delivered} delivered, {lost} lost by chance, {no_room} without room, \
             {refused} refused, {waiting} under way"
        );
    }
    println!("events:  {}", report.events.display());
    if report.records_bytes > 0 {
        println!("records: {} bytes compressed", report.records_bytes);
    }
    for failure in &report.failed {
        println!("failed:  {failure}");
    }
    Ok(())
}
