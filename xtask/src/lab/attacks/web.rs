//! Attacks on the web server that need few packets: slow ones, and malicious requests.

use anyhow::{Result, bail};

use super::super::site::LARGE;
use super::{Plan, Stage, single};

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
    command.arg(server.v4.to_string()).args(["--kind", stage.variant()]);
    command.args(["--requests", &stage.number("requests")?.to_string()]);
    command.args(["--pause-ms", &stage.number("pause_ms")?.to_string()]);
    command.args(["--seed", &stage.seed.to_string()]);
    if stage.settings.text("keep_alive")? == "yes" {
        command.arg("--keep-alive");
    }
    Ok(single(attacker, server, 4, command))
}
