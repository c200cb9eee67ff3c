//! Attacks on the web server that need few packets: slow ones, and malicious requests.

use anyhow::{Result, bail};

use super::super::draw::rng;
use super::super::site::LARGE;
use super::login::write;
use super::{Plan, Stage, single};
use crate::drive::probed_path;

pub(super) fn slow(stage: &Stage<'_>) -> Result<Plan> {
    let (attacker, server) = (stage.attacker(0)?, stage.shared.server()?);
    let mut command = attacker.command("slowhttptest");
    for (flag, setting) in [("-c", "connections"), ("-r", "rate"), ("-i", "interval_s"), ("-l", "seconds")] {
        command.args([flag, &stage.number(setting)?.to_string()]);
    }
    let base = format!("http://{}", server.v4);
    match stage.variant() {
        "headers" => command.args(["-H", "-x", "24", "-p", "3", "-u", &base]),
        "body" => command.args(["-B", "-s", "8192", "-x", "24", "-p", "3", "-u", &format!("{base}/login")]),
        // A window of a few bytes, of which 32 are read every 5 s, on a large file.
        "read" => {
            let url = format!("{base}{LARGE}");
            command.args(["-X", "-w", "10", "-y", "64", "-n", "5", "-z", "32", "-k", "3", "-p", "3", "-u", &url])
        }
        other => bail!("slowhttptest has no mode `{other}` here"),
    };
    Ok(single(attacker, server, 4, command))
}

pub(super) fn probe(stage: &Stage<'_>) -> Result<Plan> {
    let (attacker, server) = (stage.attacker(0)?, stage.shared.server()?);
    let mut command = attacker.drive("web")?;
    command.arg(server.address(stage.family()?).to_string()).args(["--kind", stage.variant()]);
    command.args(["--requests", &stage.number("requests")?.to_string()]);
    command.args(["--pause-ms", &stage.number("pause_ms")?.to_string()]);
    command.args(["--seed", &stage.seed.to_string()]);
    if stage.settings.text("keep_alive")? == "yes" {
        command.arg("--keep-alive");
    }
    Ok(single(attacker, server, stage.family()?, command))
}

/// ffuf tries paths from a list, over kept connections as far as the server keeps them.
pub(super) fn ffuf(stage: &Stage<'_>) -> Result<Plan> {
    let (attacker, server) = (stage.attacker(0)?, stage.shared.server()?);
    let mut rng = rng(stage.seed, "ffuf", 0);
    let paths: Vec<String> = (0..stage.number("requests")?).map(|_| probed_path(&mut rng)).collect();
    let (folder, list) = write(stage, "paths", &(paths.join("\n") + "\n"))?;
    let pause_s = stage.number("pause_ms")? as f64 / 1000.0;
    let mut command = attacker.command("ffuf");
    // It keeps its settings where it thinks it is at home.
    command.current_dir(&folder).env("HOME", &folder).args(["-s", "-mc", "all", "-w"]).arg(&list);
    command.args(["-t", &stage.number("threads")?.to_string(), "-p", &pause_s.to_string()]);
    command.args(["-maxtime", &stage.attack.at_most_s.to_string()]);
    command.args(["-u", &format!("{}/FUZZ", stage.url("http", server)?)]);
    Ok(single(attacker, server, stage.family()?, command))
}
