//! `cargo xtask lab ...`, for people.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use super::attack::AttackRun;
use super::draw::Split;
use super::range::Range;
use super::relay::Relay;
use super::scenario::{Kind, Scenario};
use super::{benign, record, run_dir, train};
use crate::process::{End, Group};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: LabCommand,
}

#[derive(Debug, Subcommand)]
enum LabCommand {
    /// Build a range that stays up
    Up(Where),
    /// Take down the range that `up` built
    Down,
    /// Remove what dead runs left
    Clean,
    /// List the scenario's attacks, or the ranges that are up
    List {
        #[arg(long, default_value = "range")]
        scenario: String,
        #[arg(long)]
        json: bool,
    },
    /// Run one attack, in the range that is up or in one of its own
    Run {
        attack: String,
        #[command(flatten)]
        place: Where,
        /// Another number, other settings
        #[arg(long, default_value_t = 0)]
        repetition: u64,
        /// Benign load beside it
        #[arg(long)]
        benign: bool,
        /// Keep what passes the server's interface (tcpdump)
        #[arg(long)]
        pcap: Option<PathBuf>,
        #[arg(long)]
        json: bool,
    },
    /// Run one benign session
    Session {
        kind: Kind,
        #[command(flatten)]
        place: Where,
        #[arg(long, default_value_t = 0)]
        repetition: u64,
        #[arg(long)]
        pcap: Option<PathBuf>,
    },
    /// Record benign load and attacks with the sensor
    Record(record::Args),
    /// Train the bundle that ships from recordings, and pin it
    Train(train::Args),
}

/// Which range, with which settings.
#[derive(Debug, clap::Args)]
struct Where {
    /// Scenario: a file, or a name in lab/scenarios
    #[arg(long, default_value = "range")]
    scenario: String,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, value_enum, default_value = "train")]
    split: Split,
    /// Hosts away from the server behind links such as delay=40ms,jitter=5ms,loss=1%, one way; ranges are drawn from
    #[arg(long)]
    relay: Option<Relay>,
}

pub(crate) fn run(args: Args) -> Result<()> {
    match args.command {
        LabCommand::Up(place) => up(&place),
        LabCommand::Down => down(),
        LabCommand::Clean => {
            let removed = run_dir::clean()?;
            println!("{}", if removed.is_empty() { "nothing was left over".to_owned() } else { removed.join(", ") });
            Ok(())
        }
        LabCommand::List { scenario, json } => list(&scenario, json),
        LabCommand::Run { attack, place, repetition, benign, pcap, json } => {
            let mut range = place.range()?;
            let capture = Capture::start(&range, pcap)?;
            if benign {
                range.start_benign()?;
                crate::stop::sleep(Duration::from_secs(3))?;
            }
            let run = range.run_attack(&attack, repetition)?;
            capture.stop();
            print(&run, json)?;
            crate::stop::check()
        }
        LabCommand::Session { kind, place, repetition, pcap } => {
            let range = place.range()?;
            let capture = Capture::start(&range, pcap)?;
            let end = benign::once(range.shared(), range.scenario(), kind, repetition)?;
            capture.stop();
            let log = std::fs::read_to_string(range.dir().log(&kind.name())).unwrap_or_default();
            if end == End::Own(Some(0)) {
                println!("{}{}: {end:?}", log, kind.name());
                return Ok(());
            }
            bail!("the session failed: {}", log.trim())
        }
        LabCommand::Record(args) => record::run(&args),
        LabCommand::Train(args) => train::run(&args),
    }
}

impl Where {
    fn scenario(&self) -> Result<Scenario> {
        Ok(Scenario::load(&self.scenario)?.behind(self.relay.as_ref()))
    }

    /// The range that is up, or a new one.
    fn range(&self) -> Result<Range> {
        match run_dir::kept() {
            Some(_) if self.relay.is_some() => bail!("a range is up: `--relay` is for one that is built now"),
            Some(dir) => Range::attach(dir, self.seed, self.split),
            None => Range::up(&self.scenario()?, self.seed, self.split),
        }
    }
}

fn up(place: &Where) -> Result<()> {
    if let Some(dir) = run_dir::kept() {
        bail!("{} is up already; `cargo xtask lab down` takes it down", dir.id);
    }
    let range = Range::up(&place.scenario()?, place.seed, place.split)?;
    for host in range.hosts() {
        println!("{:<16} {:<10} {:<14} {:<18} {}", host.name, format!("{:?}", host.role), host.v4, host.v6, host.netns);
    }
    let name = range.keep()?;
    println!("{name} is up; a shell in it: nsenter --net=/run/netns/{name}-server");
    Ok(())
}

fn down() -> Result<()> {
    let dir = run_dir::kept().context("no range is up")?;
    dir.remove()?;
    println!("{} is down", dir.id);
    Ok(())
}

fn list(scenario: &str, json: bool) -> Result<()> {
    let scenario = Scenario::load(scenario)?;
    let ranges: Vec<String> = run_dir::all().into_iter().map(|dir| dir.id).collect();
    if json {
        let attacks = scenario.attacks.iter().map(|attack| {
            serde_json::json!({ "name": attack.name, "class": attack.class, "tool": attack.tool, "variant": attack.variant })
        });
        let attacks: Vec<_> = attacks.collect();
        println!("{}", serde_json::json!({ "attacks": attacks, "ranges": ranges }));
        return Ok(());
    }
    for attack in &scenario.attacks {
        let class = format!("{:?}", attack.class);
        println!("{:<14} {} {:<13} {:?} {}", attack.name, attack.class.number(), class, attack.tool, attack.variant);
    }
    println!("up: {}", if ranges.is_empty() { "none".to_owned() } else { ranges.join(", ") });
    Ok(())
}

fn print(run: &AttackRun, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(run)?);
        return Ok(());
    }
    let seconds = (run.ended_boot_ns - run.started_boot_ns) / 1_000_000;
    let end = match (run.cut, run.exit) {
        (true, _) => "cut off".to_owned(),
        (_, Some(code)) => format!("exit {code}"),
        (_, None) => "ended by a signal".to_owned(),
    };
    println!("{} ({:?}): {seconds} ms, {end}, {}", run.name, run.class, serde_json::to_string(&run.settings)?);
    Ok(())
}

/// tcpdump on the server's interface, or nothing.
struct Capture(Option<Group>);

impl Capture {
    fn start(range: &Range, file: Option<PathBuf>) -> Result<Self> {
        let Some(file) = file else { return Ok(Self(None)) };
        let mut command = range.command_in_server("tcpdump")?;
        command
            .args(["-i", range.server()?.interface(), "-s", "200", "-U", "--immediate-mode", "-Z", "root", "-w"])
            .arg(&file);
        let group = Group::start(command, None)?;
        std::thread::sleep(Duration::from_millis(500));
        Ok(Self(Some(group)))
    }

    fn stop(self) {
        std::thread::sleep(Duration::from_millis(200));
        if let Some(mut group) = self.0 {
            group.end(Duration::from_secs(2));
        }
    }
}
