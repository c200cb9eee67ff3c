//! Floods: packets from one host, packets with forged sources, HTTP requests from one or many.

use std::process::Command;

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

/// Our own packets with the attacker's own address, where hping3 knows IPv4 only.
pub(super) fn own(stage: &Stage<'_>) -> Result<Plan> {
    let (attacker, server, family) = (stage.attacker(0)?, stage.shared.server()?, stage.family()?);
    let mut command = attacker.drive("flood")?;
    command.arg(server.address(family).to_string()).args(["--protocol", stage.variant()]);
    for setting in ["port", "rate", "seconds", "bytes"] {
        command.args([format!("--{setting}"), stage.number(setting)?.to_string()]);
    }
    command.args(["--seed", &stage.seed.to_string()]);
    Ok(single(attacker, server, family, command))
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

/// A new connection for each request, from one host or from many at once.
///
/// ab knows no rate and a veth pair no line speed: it is run in bursts, about two a second.
pub(super) fn http(stage: &Stage<'_>) -> Result<Plan> {
    const BURSTS_A_SECOND: u64 = 2;
    let server = stage.shared.server()?;
    let (hosts, seconds) = (stage.number("hosts")?, stage.number("seconds")?);
    let rate = (stage.number("rate")? / hosts.max(1)).max(1);
    let family = stage.family()?;
    let url = format!("{}{}", stage.url("http", server)?, stage.settings.text("path")?);
    let attackers = (0..usize::try_from(hosts)?).map(|number| stage.attacker(number)).collect::<Result<Vec<_>>>()?;
    let steps = match stage.settings.text("tool")? {
        "ab" => {
            let requests = (rate / BURSTS_A_SECOND).max(2);
            let connections = stage.number("connections")?.min(requests).to_string();
            let burst = || -> Vec<Command> {
                let mut commands: Vec<Command> = attackers.iter().map(|host| host.command("ab")).collect();
                for command in &mut commands {
                    command.args(["-q", "-r", "-s", "3", "-n", &requests.to_string(), "-c", &connections, &url]);
                }
                let mut rest = server.command("sleep");
                rest.arg("0.45");
                commands.push(rest);
                commands
            };
            (0..seconds * BURSTS_A_SECOND).map(|_| burst()).collect()
        }
        "steady" => {
            let connections = stage.number("connections")?.to_string();
            let steady = attackers.iter().map(|host| -> Result<Command> {
                let mut command = host.drive("poll")?;
                command.arg(server.address(family).to_string()).args([
                    "--fresh",
                    "--path",
                    stage.settings.text("path")?,
                ]);
                command.args(["--rate", &rate.to_string(), "--seconds", &seconds.to_string()]);
                command.args(["--connections", &connections]);
                Ok(command)
            });
            vec![steady.collect::<Result<_>>()?]
        }
        other => bail!("no flood tool `{other}` here"),
    };
    Ok(Plan {
        steps,
        attackers: attackers.iter().map(|host| host.address(family)).collect(),
        targets: vec![server.address(family)],
        direction: Direction::In,
        spoofed: false,
    })
}
