//! From an attack and its settings to command lines: one module per kind of tool.

mod flood;
mod inside;
mod login;
mod scan;
mod web;

use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Result, anyhow};

use super::draw::Settings;
use super::events::Direction;
use super::host::{Host, Role, in_url};
use super::range::Shared;
use super::scenario::{Attack, Tool};

/// Everything a plan is made from.
pub(super) struct Stage<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) attack: &'a Attack,
    pub(super) settings: &'a Settings,
    /// Attackers take turns, so that the block of one does not spoil the next attack.
    pub(super) first_attacker: usize,
    /// For drivers that draw by themselves.
    pub(super) seed: u64,
}

/// What to start. The commands of a step run side by side, the steps one after the other.
pub(super) struct Plan {
    pub(super) steps: Vec<Vec<Command>>,
    pub(super) attackers: Vec<IpAddr>,
    pub(super) targets: Vec<IpAddr>,
    pub(super) direction: Direction,
    pub(super) spoofed: bool,
}

pub(super) fn plan(stage: &Stage<'_>) -> Result<Plan> {
    match stage.attack.tool {
        Tool::Nmap => scan::nmap(stage),
        Tool::Masscan => scan::masscan(stage),
        Tool::Hping3 => flood::hping3(stage),
        Tool::Flood => flood::own(stage),
        Tool::Forge => flood::forge(stage),
        Tool::HttpFlood => flood::http(stage),
        Tool::Slowhttptest => web::slow(stage),
        Tool::WebProbe => web::probe(stage),
        Tool::Ffuf => web::ffuf(stage),
        Tool::Hydra => login::hydra(stage),
        Tool::Medusa => login::medusa(stage),
        Tool::Beacon => inside::beacon(stage),
        Tool::Pivot => inside::pivot(stage),
    }
}

impl Stage<'_> {
    /// The attacker with this number, counted from the one whose turn it is.
    fn attacker(&self, number: usize) -> Result<&Host> {
        let attackers: Vec<&Host> = self.shared.hosts.iter().filter(|host| host.role == Role::Attacker).collect();
        let index = (self.first_attacker + number) % attackers.len().max(1);
        attackers.get(index).copied().ok_or_else(|| anyhow!("the scenario has no attackers"))
    }

    fn number(&self, name: &str) -> Result<u64> {
        self.settings.number(name)
    }

    fn family(&self) -> Result<u64> {
        self.number("family")
    }

    /// The start of a URL on a host.
    fn url(&self, scheme: &str, host: &Host) -> Result<String> {
        Ok(format!("{scheme}://{}", in_url(host.address(self.family()?))))
    }

    fn variant(&self) -> &str {
        &self.attack.variant
    }
}

/// The plan of one command from one attacker to the server.
fn single(attacker: &Host, server: &Host, family: u64, command: Command) -> Plan {
    Plan {
        steps: vec![vec![command]],
        attackers: vec![attacker.address(family)],
        targets: vec![server.address(family)],
        direction: Direction::In,
        spoofed: false,
    }
}
