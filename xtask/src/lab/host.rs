//! The hosts of the range: one network namespace each, with fixed addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use serde::Serialize;

use super::draw::Split;
use super::relay::{Link, Relay};
use super::scenario::{Place, Scenario};

/// What a host is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Server,
    Client,
    /// A machine beside the server, met only by the pivot.
    Neighbour,
    /// Where the server fetches from.
    Mirror,
    Attacker,
    /// Whom bots call.
    Control,
}

/// One host.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) v4: Ipv4Addr,
    pub(crate) v6: Ipv6Addr,
    /// Between it and the switch; nothing there for hosts beside the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) relay: Option<Link>,
    #[serde(skip)]
    pub(crate) netns: String,
}

/// The network of the range (RFC 2544), and where in it hosts live; the rest of it is forged from.
pub(crate) const NET_V4: &str = "198.18.0.0/15";
pub(crate) const HOST_NETS_V4: [&str; 2] = ["198.18.0.0/22", "198.19.0.0/22"];
/// Leads to the part of the network in which nobody lives.
pub(crate) const GATEWAY_V4: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

impl Host {
    fn new(run: &str, name: &str, role: Role, number: u8) -> Self {
        let (second, third) = match role {
            Role::Server => (18, 0),
            Role::Client => (18, 1),
            Role::Neighbour => (18, 2),
            Role::Mirror => (18, 3),
            Role::Attacker => (19, 1),
            Role::Control => (19, 2),
        };
        let host = u16::from(number) + 10;
        Self {
            name: name.to_owned(),
            role,
            v4: Ipv4Addr::new(198, second, third, number + 10),
            v6: Ipv6Addr::new(0x2001, 2, 0, u16::from(second) * 16 + u16::from(third), 0, 0, 0, host),
            relay: None,
            netns: format!("{run}-{name}"),
        }
    }

    /// The interface's name inside the host.
    pub(crate) const fn interface(&self) -> &'static str {
        match self.role {
            Role::Server => "srv0",
            _ => "eth0",
        }
    }

    /// The address family that settings ask for.
    pub(crate) fn address(&self, family: u64) -> IpAddr {
        if family == 6 { IpAddr::V6(self.v6) } else { IpAddr::V4(self.v4) }
    }

    /// Where the namespace is pinned.
    pub(crate) fn netns_path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.netns)
    }

    /// A program in this host's network. Only the network differs: `ip netns exec` would hide bpffs.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.netns_path().display())).arg("--").arg(program);
        command
    }

    /// One of our own programs (`xtask drive ...`) in this host's network.
    pub(crate) fn drive(&self, program: &str) -> Result<Command> {
        let own = std::env::current_exe()?;
        let mut command = self.command(&own.to_string_lossy());
        command.args(["drive", program]);
        Ok(command)
    }
}

/// An address as URLs and scp have it.
pub(crate) fn in_url(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// The MAC address that goes with an address.
pub(crate) fn mac(v4: Ipv4Addr) -> String {
    let [a, b, c, d] = v4.octets();
    format!("02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

/// Every host of a scenario, the server first.
pub(crate) fn all(run: &str, scenario: &Scenario, seed: u64, split: Split) -> Result<Vec<Host>> {
    let mut hosts = names(run, scenario);
    for host in &mut hosts {
        let own =
            scenario.clients.iter().find(|client| client.name == host.name).and_then(|client| client.relay.as_ref());
        let relay: Option<&Relay> = match host.role {
            Role::Server | Role::Neighbour => None,
            Role::Client | Role::Mirror | Role::Attacker | Role::Control => own.or(scenario.relay.as_ref()),
        };
        host.relay = relay.map(|relay| relay.link(seed, &host.name, split)).transpose()?;
    }
    Ok(hosts)
}

fn names(run: &str, scenario: &Scenario) -> Vec<Host> {
    let mut hosts = vec![
        Host::new(run, "server", Role::Server, 0),
        Host::new(run, "mirror", Role::Mirror, 0),
        Host::new(run, "control", Role::Control, 0),
    ];
    for number in 1..=NEIGHBOURS {
        hosts.push(Host::new(run, &format!("neighbour-{number}"), Role::Neighbour, number));
    }
    let own = scenario.clients.iter().filter(|client| client.on == Place::Own);
    for (number, client) in (1..).zip(own) {
        hosts.push(Host::new(run, &client.name, Role::Client, number));
    }
    for number in 1..=scenario.attackers {
        hosts.push(Host::new(run, &format!("attacker-{number}"), Role::Attacker, number));
    }
    hosts
}

const NEIGHBOURS: u8 = 3;
