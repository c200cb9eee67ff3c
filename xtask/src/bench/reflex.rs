//! The reflex arc's latency: two namespaces and a cable, the real sensor, a brain that derives, scores and
//! answers every flow.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::process::{Group, output};

const P50_BUDGET_US: u64 = 1_000;
const P99_BUDGET_US: u64 = 5_000;
const SERVER: &str = "198.18.200.1";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Flows per second
    #[arg(long, default_value_t = 10_000)]
    rate: u64,
    /// How long
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    crate::stop::listen()?;
    super::done(&mut super::cargo([
        "build",
        "--release",
        "--quiet",
        "--package",
        "ganglion",
        "--bins",
        "--examples",
    ])?)?;
    let cable = Cable::new()?;
    let mut result = measure(args, &cable)?;
    result["flows_per_second_asked"] = json!(args.rate);
    if args.json {
        println!("{result}");
        return Ok(());
    }
    println!("bundle {}, {} flows/s for {} s", result["bundle"], result["flows_per_second"], args.seconds);
    println!("records {}, verdicts in the map {}", result["records"], result["verdicts"]);
    for (name, budget) in
        [("p50_us", Some(P50_BUDGET_US)), ("p90_us", None), ("p99_us", Some(P99_BUDGET_US)), ("max_us", None)]
    {
        let value = result[name].as_u64().unwrap_or(u64::MAX);
        let verdict = match budget {
            Some(budget) if value < budget => format!("budget {budget} µs"),
            Some(budget) => format!("budget {budget} µs  EXCEEDED"),
            None => String::new(),
        };
        println!("{name:<7} {value:>8}   {verdict}");
    }
    Ok(())
}

fn measure(args: &Args, cable: &Cable) -> Result<Value> {
    let release = super::release()?;
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name);
    let report = path("report.json");
    let mut brain = Command::new(release.join("examples/reflex"));
    brain.arg("serve").arg(path("brain.sock")).arg(super::root()?.join("models/lab-v1")).arg(&report);
    let mut brain = Party::start("brain", brain, path("brain.log"))?;
    brain.wait_for(&path("brain.sock"))?;
    let mut sensor = cable.command(&cable.server, &release.join("ganglion"));
    sensor.args(["sensor", "--interface", "v0", "--mode", "observe", "--detach-on-exit"]);
    sensor.arg("--control").arg(path("sensor.sock")).arg("--brain").arg(path("brain.sock"));
    sensor.arg("--pin-root").arg(Path::new("/sys/fs/bpf").join(&cable.server));
    let mut sensor = Party::start("sensor", sensor, path("sensor.log"))?;
    sensor.wait_for(&path("sensor.sock"))?;
    std::thread::sleep(Duration::from_secs(1));
    let mut load = cable.command(&cable.client, &release.join("examples/reflex"));
    load.args(["connect", SERVER, &args.rate.to_string(), &args.seconds.to_string()]);
    let flows: u64 = output(&mut load)?.trim().parse()?;
    std::thread::sleep(Duration::from_secs(1));
    if sensor.group.end(Duration::from_secs(30)).is_none_or(|status| !status.success()) {
        bail!("the sensor did not end well: {}", sensor.said());
    }
    // The brain reports when its sensor leaves.
    brain.wait_for(&report)?;
    let said = std::fs::read_to_string(&report)?;
    let mut result: Value = serde_json::from_str(&said).with_context(|| format!("the brain reports {said:?}"))?;
    result["flows_per_second"] = json!(flows / args.seconds.max(1));
    Ok(result)
}

/// A process that takes part, and where it writes what it has to say.
struct Party {
    name: &'static str,
    group: Group,
    log: PathBuf,
}

impl Party {
    fn start(name: &'static str, command: Command, log: PathBuf) -> Result<Self> {
        Ok(Self { name, group: Group::start(command, Some(&log))?, log })
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Until the process has made `path`.
    fn wait_for(&mut self, path: &Path) -> Result<()> {
        for _ in 0..100 {
            crate::stop::check()?;
            if path.exists() {
                return Ok(());
            }
            if let Some(status) = self.group.poll()? {
                bail!("the {} left ({status}): {}", self.name, self.said());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("the {} has not made {} after 10 s: {}", self.name, path.display(), self.said())
    }
}

/// Two namespaces with a cable between them; they go away when dropped.
struct Cable {
    server: String,
    client: String,
}

impl Cable {
    fn new() -> Result<Self> {
        let id = std::process::id();
        let cable = Self { server: format!("gr-{id}-a"), client: format!("gr-{id}-b") };
        let (a, b) = (cable.server.as_str(), cable.client.as_str());
        for words in [
            format!("netns add {a}"),
            format!("netns add {b}"),
            format!("link add v0 netns {a} type veth peer name v0 netns {b}"),
            // The sensor serves its metrics there.
            format!("-n {a} link set lo up"),
            format!("-n {a} addr add {SERVER}/24 dev v0"),
            format!("-n {b} addr add 198.18.200.2/24 dev v0"),
            format!("-n {a} link set v0 up"),
            format!("-n {b} link set v0 up"),
        ] {
            output(Command::new("ip").args(words.split(' ')))?;
        }
        Ok(cable)
    }

    fn command(&self, netns: &str, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{netns}")).arg("--").arg(program);
        command
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in [&self.server, &self.client] {
            let _never_made = output(Command::new("ip").args(["netns", "del", name]));
        }
    }
}
