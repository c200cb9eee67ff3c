//! Port scans.

use std::net::IpAddr;
use std::process::Command;

use anyhow::{Result, bail};

use super::super::host::{Host, mac};
use super::{Plan, Stage, single};

pub(super) fn nmap(stage: &Stage<'_>) -> Result<Plan> {
    let (attacker, server) = (stage.attacker(0)?, stage.shared.server()?);
    let family = stage.number("family")?;
    let flags: &[&str] = match stage.variant() {
        "syn" => &["-sS"],
        "connect" => &["-sT"],
        "udp" => &["-sU"],
        "version" => &["-sV", "--version-light"],
        "fin" => &["-sF"],
        "null" => &["-sN"],
        "xmas" => &["-sX"],
        other => bail!("nmap has no mode `{other}` here"),
    };
    let limits = Limits { ports: stage.number("ports")?, rate: stage.number("rate")?, seconds: stage.attack.at_most_s };
    let command = command(attacker, flags, &limits, &[server.address(family)]);
    Ok(single(attacker, server, family, command))
}

/// masscan has a TCP of its own: no options as the kernel's, answers are reset by the kernel behind it.
pub(super) fn masscan(stage: &Stage<'_>) -> Result<Plan> {
    let (attacker, server) = (stage.attacker(0)?, stage.shared.server()?);
    let mut command = attacker.command("masscan");
    // Where packets go is said here, since it knows neither the bridge nor a gateway.
    command.args(["--adapter", attacker.interface(), "--adapter-ip", &attacker.v4.to_string()]);
    command.args(["--adapter-mac", &mac(attacker.v4).replace(':', "-")]);
    command.args(["--router-mac", &mac(server.v4).replace(':', "-")]);
    command.args(["-p", &format!("1-{}", stage.number("ports")?), "--rate", &stage.number("rate")?.to_string()]);
    command.args(["--wait", "0", "--seed", &(stage.seed % 1_000_000).to_string(), &server.v4.to_string()]);
    Ok(single(attacker, server, 4, command))
}

/// How far a scan goes.
pub(super) struct Limits {
    pub(super) ports: u64,
    pub(super) rate: u64,
    pub(super) seconds: u64,
}

/// No name look-ups, no discovery; the most common ports, at a rate, each tried twice at most.
pub(super) fn command(from: &Host, flags: &[&str], limits: &Limits, targets: &[IpAddr]) -> Command {
    let mut command = from.command("nmap");
    command.args(["-n", "-Pn", "--disable-arp-ping", "--max-retries", "1"]).args(flags);
    command.args(["--top-ports", &limits.ports.to_string()]);
    command.args(["--max-rate", &limits.rate.to_string(), "--min-rate", &(limits.rate * 3 / 4).to_string()]);
    command.args(["--host-timeout", &format!("{}s", limits.seconds)]);
    if targets.iter().any(IpAddr::is_ipv6) {
        command.arg("-6");
    }
    command.args(targets.iter().map(IpAddr::to_string));
    command
}
