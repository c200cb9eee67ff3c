//! The reflex arc's latency: two namespaces and a cable, the real sensor, a brain that derives, scores and
//! answers every flow.

use std::path::Path;
use std::process::{Command, Stdio};
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
    let (brain, control) = (dir.path().join("brain.sock"), dir.path().join("sensor.sock"));
    let mut serve = Command::new(release.join("examples/reflex"));
    serve.arg("serve").arg(&brain).arg(super::root()?.join("models/lab-v1"));
    let serve = serve.stdout(Stdio::piped()).spawn().context("starting the brain")?;
    wait_for(&brain)?;
    let mut sensor = cable.command(&cable.server, &release.join("ganglion"));
    sensor.args(["sensor", "--interface", "v0", "--mode", "observe", "--detach-on-exit", "--control"]).arg(&control);
    sensor.arg("--brain").arg(&brain).arg("--pin-root").arg(Path::new("/sys/fs/bpf").join(&cable.server));
    let log = dir.path().join("sensor.log");
    let mut sensor = Group::start(sensor, Some(&log))?;
    wait_for(&control).with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
    std::thread::sleep(Duration::from_secs(1));
    let mut load = cable.command(&cable.client, &release.join("examples/reflex"));
    load.args(["connect", SERVER, &args.rate.to_string(), &args.seconds.to_string()]);
    let flows: u64 = output(&mut load)?.trim().parse()?;
    std::thread::sleep(Duration::from_secs(1));
    if sensor.end(Duration::from_secs(30)).is_none_or(|status| !status.success()) {
        bail!("the sensor did not end well: {}", std::fs::read_to_string(&log).unwrap_or_default());
    }
    std::thread::sleep(Duration::from_millis(300));
    let mut serve = serve;
    serve.kill()?;
    let said = String::from_utf8(serve.wait_with_output()?.stdout)?;
    let mut result: Value = serde_json::from_str(said.trim()).with_context(|| format!("the brain said {said:?}"))?;
    result["flows_per_second"] = json!(flows / args.seconds.max(1));
    Ok(result)
}

fn wait_for(path: &Path) -> Result<()> {
    for _ in 0..100 {
        crate::stop::check()?;
        if path.exists() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("{} is not there after 10 s", path.display())
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
