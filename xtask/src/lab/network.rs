//! Namespaces, veth pairs and the switch between them.
//!
//! The switch is a bridge in a namespace of its own, without address, uplink or forwarding. The
//! server reaches the part of 198.18.0.0/15 in which nobody lives through the bridge's own MAC
//! address: answers to forged sources end there in silence, as behind a real gateway, and never
//! crowd the server's neighbour table.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::host::{GATEWAY_V4, HOST_NETS_V4, Host, NET_V4, Role, mac};
use crate::process::output;

/// Makes the switch. What is left after an error is for the caller to clean up.
pub(crate) fn switch(run: &str) -> Result<()> {
    let switch = format!("{run}-switch");
    output(Command::new("ip").args(["netns", "add", &switch]))?;
    let mut lines = String::new();
    writeln!(lines, "link add sw0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0")?;
    writeln!(lines, "link set sw0 address {} up", mac(GATEWAY_V4))?;
    batch(&switch, &lines)?;
    sysctl(&switch, &["net.ipv4.ip_forward=0", "net.ipv6.conf.all.disable_ipv6=1"])
}

/// Connects `hosts` with the switch, by a veth pair or by the relay's devices, which are there already.
pub(crate) fn connect_all(run: &str, hosts: &[Host]) -> Result<()> {
    let switch = format!("{run}-switch");
    for (number, host) in hosts.iter().enumerate() {
        crate::stop::check()?;
        connect(&switch, number, host).with_context(|| format!("connecting {}", host.name))?;
    }
    Ok(())
}

fn connect(switch: &str, number: usize, host: &Host) -> Result<()> {
    let (netns, interface) = (&host.netns, host.interface());
    output(Command::new("ip").args(["netns", "add", netns]))?;
    sysctl(
        netns,
        &[
            "net.ipv4.ip_forward=0",
            "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0",
            "net.ipv6.conf.default.accept_ra=0",
            "net.ipv6.conf.default.router_solicitations=0",
        ],
    )?;
    let mut lines = String::new();
    match host.relay {
        None => writeln!(lines, "link add port{number} type veth peer name {interface} netns {netns}")?,
        Some(_) => writeln!(lines, "link set far{number} netns {netns} name {interface}")?,
    }
    writeln!(lines, "link set port{number} master sw0 up")?;
    batch(switch, &lines)?;

    let mut lines = String::new();
    writeln!(lines, "link set lo up")?;
    writeln!(lines, "link set {interface} address {} up", mac(host.v4))?;
    writeln!(lines, "addr add {}/48 dev {interface} nodad", host.v6)?;
    if host.role == Role::Server {
        writeln!(lines, "addr add {}/15 dev {interface} noprefixroute", host.v4)?;
        writeln!(lines, "neigh add {GATEWAY_V4} lladdr {} dev {interface} nud permanent", mac(GATEWAY_V4))?;
        for net in HOST_NETS_V4 {
            writeln!(lines, "route add {net} dev {interface} src {}", host.v4)?;
        }
        writeln!(lines, "route add {NET_V4} via {GATEWAY_V4} dev {interface} src {}", host.v4)?;
    } else {
        writeln!(lines, "addr add {}/15 dev {interface}", host.v4)?;
    }
    batch(netns, &lines)
}

fn batch(netns: &str, lines: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(["-n", netns, "-batch", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(lines.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("ip in {netns}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn sysctl(netns: &str, settings: &[&str]) -> Result<()> {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{netns}")).args(["--", "sysctl", "-qw"]).args(settings);
    output(&mut command).map(drop)
}
