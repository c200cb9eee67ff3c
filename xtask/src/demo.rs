//! `cargo xtask demo`: the whole reflex on one machine. Builds everything, puts sensor and brain in front of
//! a real server, lets benign clients work and attacks come one after the other, and says what became of
//! each. Cleans up after itself, whatever happens.

mod agents;
mod judge;
mod poster;
mod records;
mod report;
mod view;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::lab::draw::Split;
use crate::lab::range::Range;
use crate::lab::relay::Relay;
use crate::lab::scenario::Scenario;
use crate::setup::{self, Purpose};
use agents::Agents;
use judge::Verdict;
use view::View;

/// The listed attacks, one of each kind that the laboratory makes; settings come from the testing ranges.
const ATTACKS: [&str; 10] = [
    "scan-syn",
    "flood-syn",
    "flood-udp",
    "flood-icmp",
    "ddos-syn",
    "flood-http",
    "slow-headers",
    "brute-ssh",
    "web-login",
    "bot-inside",
];
/// Benign load alone, before the first attack.
const WARM_UP: Duration = Duration::from_secs(12);
/// Between attacks, so that what one leaves behind is not taken for the next.
const PAUSE: Duration = Duration::from_secs(3);
/// After the last: time for records on their way.
const SETTLE: Duration = Duration::from_secs(4);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Draws the attacks' settings and the benign load
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also write the results as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also draw the last live view and the table as a picture
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Only these attacks of the list
    #[arg(long = "attack", value_name = "NAME")]
    attacks: Vec<String>,
    /// Count what would be dropped, drop nothing
    #[arg(long)]
    observe: bool,
    /// Hosts away from the server behind links such as delay=40ms,jitter=5ms,loss=1%, one way
    #[arg(long)]
    relay: Option<Relay>,
    #[command(flatten)]
    setup: setup::Ensure,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("the demo needs root: it loads kernel programs and makes network namespaces");
    }
    crate::stop::listen()?;
    args.setup.run(Purpose::Run)?;
    let files = agents::Files::build()?;
    let scenario = Scenario::load("range")?.behind(args.relay.as_ref());
    let names = chosen(args, &scenario)?;
    let mut range = Range::up(&scenario, args.seed, Split::Test)?;
    let mut agents = Agents::start(&range, files, !args.observe)?;
    let mut view = View::new(args.seed, names.len());
    range.start_benign()?;
    let verdicts = attacks(&mut range, &mut agents, &mut view, &names)?;
    view.phase("benign load alone, records settle");
    let benign = range.stop_benign();
    pause(&mut agents, &mut view, SETTLE)?;
    let status = agents.status()?;
    let hosts = range.hosts().to_vec();
    let seen = agents.seen();
    let recording = agents.stop()?;
    drop(range);
    view.close();

    let recording = records::read(&recording)?;
    let verdicts: Vec<Verdict> = verdicts.into_iter().map(|v| v.with_first_packet(&recording)).collect();
    let report = report::Report::new(args.seed, verdicts, benign, &hosts, &seen, &recording, &status);
    let table = report.table();
    println!("{table}");
    if let Some(path) = &args.json {
        report.write_json(path)?;
    }
    if let Some(path) = &args.svg {
        poster::write(path, &view.last_frame(), &table)?;
    }
    report.check()
}

fn attacks(range: &mut Range, agents: &mut Agents, view: &mut View, names: &[String]) -> Result<Vec<Verdict>> {
    view.phase("benign load alone");
    pause(agents, view, WARM_UP)?;
    let mut verdicts = Vec::new();
    for name in names {
        let attack = range.start_attack(name, 0)?;
        view.phase(&format!("{name} ({:?}) under way", attack.run().class));
        while !attack.is_over() {
            pause(agents, view, Duration::from_millis(250))?;
        }
        let run = attack.wait()?;
        crate::stop::check()?;
        view.phase(&format!("{name} is over"));
        pause(agents, view, PAUSE)?;
        let verdict = Verdict::of(run, &agents.seen());
        view.result(&verdict);
        verdicts.push(verdict);
    }
    Ok(verdicts)
}

/// Lets time pass while the view goes on.
fn pause(agents: &mut Agents, view: &mut View, length: Duration) -> Result<()> {
    let end = std::time::Instant::now() + length;
    loop {
        agents.check()?;
        view.draw(&agents.seen());
        let left = end.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        crate::stop::sleep(left.min(Duration::from_millis(250)))?;
    }
}

fn chosen(args: &Args, scenario: &Scenario) -> Result<Vec<String>> {
    for name in &args.attacks {
        if !ATTACKS.contains(&name.as_str()) {
            bail!("--attack {name}: not in the list ({})", ATTACKS.join(", "));
        }
    }
    let wanted = |name: &&&str| args.attacks.is_empty() || args.attacks.iter().any(|a| a == **name);
    let names: Vec<String> = ATTACKS.iter().filter(wanted).map(|&name| name.to_owned()).collect();
    for name in &names {
        scenario.attack(name)?;
    }
    Ok(names)
}
