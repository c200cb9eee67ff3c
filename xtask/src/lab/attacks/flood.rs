//! Floods: packets from one host, packets with forged sources, HTTP requests from one or many.

use anyhow::{Result, bail};

use super::super::events::Direction;
use super::{Plan, Stage, single};

pub(super) fn hping3(stage: &Stage<'_>) -> Result<Plan> {
    let (attacker, server) = (stage.attacker(0)?, stage.shared.server()?);
    let rate = stage.number("rate")?;
    let mut command = attacker.command("hping3");
    command.args(["-q", "-n", "-i", &format!("u{}", 1_000_000 / rate)]);
    command.args(["-c", &(rate * stage.number("seconds")?).to_string()]);
    let bytes = stage.number("bytes")?;
    if bytes > 0 {
        command.args(["-d", &bytes.to_string()]);
    }
    match stage.variant() {
        "syn" => command.arg("-S"),
        "udp" => command.arg("--udp"),
        "icmp" => command.arg("--icmp"),
        other => bail!("hping3 has no protocol `{other}` here"),
    };
    if stage.variant() != "icmp" {
        command.args(["-p", &stage.number("port")?.to_string()]);
    }
    command.arg(server.v4.to_string());
    Ok(single(attacker, server, 4, command))
}

pub(super) fn forge(stage: &Stage<'_>) -> Result<Plan> {
    let (attacker, server) = (stage.attacker(0)?, stage.shared.server()?);
    let mut command = attacker.drive("forge")?;
    command.arg(server.v4.to_string()).args(["--protocol", stage.variant()]);
    for setting in ["port", "rate", "seconds", "bytes"] {
        command.args([format!("--{setting}"), stage.number(setting)?.to_string()]);
    }
    command.args(["--seed", &stage.seed.to_string()]);
    Ok(Plan { spoofed: true, ..single(attacker, server, 4, command) })
}

/// A new connection for each request, as fast as the server answers, but for few seconds.
pub(super) fn http(stage: &Stage<'_>) -> Result<Plan> {
    const MOST_REQUESTS: &str = "60000";
    let server = stage.shared.server()?;
    let seconds = stage.number("seconds")?;
    let connections = stage.number("connections")?.to_string();
    let url = format!("http://{}{}", server.v4, stage.settings.text("path")?);
    let (mut commands, mut attackers) = (Vec::new(), Vec::new());
    for number in 0..usize::try_from(stage.number("hosts")?)? {
        let attacker = stage.attacker(number)?;
        let mut command = attacker.command("nice");
        match stage.settings.text("tool")? {
            "ab" => {
                command.args(["ab", "-q", "-r", "-s", "3", "-t", &seconds.to_string(), "-n", MOST_REQUESTS]);
                command.args(["-c", &connections]);
            }
            "wrk" => {
                command.args(["wrk", "-t1", "-H", "Connection: close", "-c", &connections]);
                command.arg(format!("-d{seconds}s"));
            }
            other => bail!("no flood tool `{other}` here"),
        }
        command.arg(&url);
        commands.push(command);
        attackers.push(attacker.address(4));
    }
    Ok(Plan {
        steps: vec![commands],
        attackers,
        targets: vec![server.address(4)],
        direction: Direction::In,
        spoofed: false,
    })
}
