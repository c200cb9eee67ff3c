//! Scenario files: which clients there are and what they do, which attacks there are and how hard.
//!
//! Everything is checked while it is read, so that an error names its line and column.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Deserializer, Serialize};

use super::checked;
use super::class::Class;
use super::draw::Setting;
use super::relay::Relay;

/// Settings by name.
pub(crate) type Ranges = BTreeMap<String, Setting>;

/// A scenario file.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// How many hosts only attack.
    pub(crate) attackers: u8,
    /// What lies between the switch and hosts away from the server; nothing by default.
    pub(crate) relay: Option<Relay>,
    /// What a session of each kind looks like.
    pub(crate) kinds: BTreeMap<Kind, Ranges>,
    pub(crate) clients: Vec<Client>,
    pub(crate) attacks: Vec<Attack>,
}

/// One benign host and its habits.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Client {
    pub(crate) name: String,
    /// Where its sessions start: a host of its own, or the server for traffic that goes out.
    #[serde(default)]
    pub(crate) on: Place,
    /// How often each kind is chosen, as weights.
    pub(crate) does: BTreeMap<Kind, u32>,
    /// Pause between sessions.
    pub(crate) pause_ms: Setting,
    /// Its own link, in place of the scenario's.
    #[serde(default)]
    pub(crate) relay: Option<Relay>,
}

/// Where a client lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Place {
    #[default]
    Own,
    Server,
}

/// Kinds of benign sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Browse,
    BrowseTls,
    Download,
    Upload,
    Poll,
    Health,
    Ssh,
    Mistype,
    Scp,
    Ftp,
    Dns,
    Resolve,
    Bulk,
    Idle,
    Ping,
    Outbound,
    Monitor,
    Api,
    Telemetry,
}

impl Kind {
    /// The settings a session of this kind reads.
    pub(crate) const fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Browse => &["pages", "think_ms", "family"],
            Self::BrowseTls => &["requests", "rate", "family"],
            Self::Download | Self::Upload | Self::Outbound => &["size_kb", "channel", "mbit", "family"],
            Self::Poll => &["rate", "seconds", "connections", "family"],
            Self::Health => &["rate", "seconds", "family"],
            Self::Ssh => &["keys", "pause_ms", "family"],
            Self::Mistype => &["keys", "family"],
            Self::Scp | Self::Ftp => &["size_kb", "way", "family"],
            Self::Dns => &["queries", "pause_ms", "family"],
            Self::Resolve => &["rate", "seconds", "family"],
            Self::Bulk => &["mbit", "seconds", "way", "protocol", "family"],
            Self::Idle => &["seconds", "port", "family"],
            Self::Ping => &["count", "pause_ms", "bytes", "family"],
            Self::Monitor | Self::Telemetry => &["channel", "requests", "period_ms", "bytes", "family"],
            Self::Api => &["requests", "pause_ms", "bytes", "family"],
        }
    }

    /// The name in scenarios and logs.
    pub(crate) fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self).map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// One attack that can be run by name.
#[derive(Debug, Clone)]
pub(crate) struct Attack {
    pub(crate) name: String,
    pub(crate) class: Class,
    pub(crate) tool: Tool,
    /// One of the tool's ways; empty where it has only one.
    pub(crate) variant: String,
    /// The attack is cut off after this time, whatever its tool thinks.
    pub(crate) at_most_s: u64,
    pub(crate) settings: Ranges,
}

/// What carries an attack out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tool {
    /// nmap, in one of its modes.
    Nmap,
    /// hping3, from one host with its own address.
    Hping3,
    /// Our generator of packets with forged sources.
    Forge,
    /// ab in bursts or our own requests at a steady rate, a new connection for each.
    HttpFlood,
    Slowhttptest,
    Hydra,
    /// Passwords, by another hand than hydra.
    Medusa,
    /// Ports, by packets of its own TCP.
    Masscan,
    /// Paths of web pages, from a list.
    Ffuf,
    /// Our generator of packets from one host with its own address, in IPv4 or IPv6.
    Flood,
    /// Our driver of web attack requests.
    WebProbe,
    /// Our bot.
    Beacon,
    /// nmap and curl from the server to its neighbours.
    Pivot,
}

impl Tool {
    /// The settings this tool reads.
    pub(crate) const fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Nmap => &["ports", "rate", "family"],
            Self::Hping3 | Self::Forge => &["rate", "seconds", "bytes", "port"],
            Self::Flood => &["rate", "seconds", "bytes", "port", "family"],
            Self::Masscan => &["ports", "rate"],
            Self::Ffuf => &["requests", "pause_ms", "threads", "family"],
            Self::HttpFlood => &["tool", "hosts", "rate", "connections", "seconds", "path", "family"],
            Self::Slowhttptest => &["connections", "rate", "interval_s", "seconds"],
            Self::Hydra => &["tasks", "attempts", "family"],
            Self::Medusa => &["tasks", "attempts"],
            Self::WebProbe => &["requests", "pause_ms", "keep_alive", "family"],
            Self::Beacon => &["channel", "beacons", "period_ms", "jitter_percent", "task_kb", "family"],
            Self::Pivot => &["ports", "rate", "upload_kb", "channel"],
        }
    }

    /// The ways in which this tool can be used; none means that there is only one.
    pub(crate) const fn variants(self) -> &'static [&'static str] {
        match self {
            Self::Nmap => &["syn", "connect", "udp", "version", "fin", "null", "xmas"],
            Self::Hping3 | Self::Flood => &["syn", "udp", "icmp"],
            Self::Forge => &["syn", "udp"],
            Self::Slowhttptest => &["headers", "body", "read"],
            Self::Hydra | Self::Medusa => &["ssh", "ftp"],
            Self::WebProbe => &["sqli", "xss", "traversal", "paths", "login"],
            Self::Beacon => &["server", "attacker"],
            Self::HttpFlood | Self::Masscan | Self::Ffuf | Self::Pivot => &[],
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScenario {
    name: String,
    attackers: u8,
    #[serde(default)]
    relay: Option<Relay>,
    kinds: BTreeMap<Kind, Ranges>,
    clients: Vec<Client>,
    attacks: Vec<Attack>,
}

impl<'de> Deserialize<'de> for Scenario {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        checked::read::<D, RawScenario, Self>(deserializer)
    }
}

impl TryFrom<RawScenario> for Scenario {
    type Error = String;

    fn try_from(raw: RawScenario) -> std::result::Result<Self, String> {
        for (kind, ranges) in &raw.kinds {
            same_names(&format!("kind `{}`", kind.name()), ranges, kind.settings())?;
        }
        if raw.attackers < 6 || raw.attackers > 99 || raw.clients.len() > 99 {
            return Err("6 to 99 attackers and at most 99 clients fit the range".to_owned());
        }
        for client in &raw.clients {
            plain_name(&client.name)?;
            for kind in client.does.keys() {
                if !raw.kinds.contains_key(kind) {
                    return Err(format!("client `{}` does `{}`, which is not described", client.name, kind.name()));
                }
            }
            if client.does.values().sum::<u32>() == 0 {
                return Err(format!("client `{}` does nothing", client.name));
            }
        }
        let names: BTreeSet<&str> = raw.attacks.iter().map(|attack| attack.name.as_str()).collect();
        if names.len() != raw.attacks.len() {
            return Err("two attacks share a name".to_owned());
        }
        Ok(Self {
            name: raw.name,
            attackers: raw.attackers,
            relay: raw.relay,
            kinds: raw.kinds,
            clients: raw.clients,
            attacks: raw.attacks,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAttack {
    name: String,
    class: Class,
    tool: Tool,
    #[serde(default)]
    variant: String,
    at_most_s: u64,
    settings: Ranges,
}

impl<'de> Deserialize<'de> for Attack {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        checked::read::<D, RawAttack, Self>(deserializer)
    }
}

impl TryFrom<RawAttack> for Attack {
    type Error = String;

    fn try_from(raw: RawAttack) -> std::result::Result<Self, String> {
        plain_name(&raw.name)?;
        same_names(&format!("attack `{}`", raw.name), &raw.settings, raw.tool.settings())?;
        let variants = raw.tool.variants();
        if !(variants.is_empty() && raw.variant.is_empty() || variants.contains(&raw.variant.as_str())) {
            return Err(format!("attack `{}`: `variant` must be one of [{}]", raw.name, variants.join(", ")));
        }
        if !(1..=60).contains(&raw.at_most_s) {
            return Err(format!("attack `{}`: at_most_s must lie within 1..60", raw.name));
        }
        Ok(Self {
            name: raw.name,
            class: raw.class,
            tool: raw.tool,
            variant: raw.variant,
            at_most_s: raw.at_most_s,
            settings: raw.settings,
        })
    }
}

/// Names become parts of namespaces and files.
fn plain_name(name: &str) -> std::result::Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 32 || !name.bytes().all(plain) {
        return Err(format!("`{name}` is no name: small letters, digits and hyphens, at most 32"));
    }
    Ok(())
}

fn same_names(what: &str, ranges: &Ranges, wanted: &[&str]) -> std::result::Result<(), String> {
    let missing = wanted.iter().find(|name| !ranges.contains_key(**name));
    if let Some(name) = missing {
        return Err(format!("{what} lacks the setting `{name}`"));
    }
    match ranges.keys().find(|name| !wanted.contains(&name.as_str())) {
        Some(name) => Err(format!("{what} has no setting `{name}`; known are {}", wanted.join(", "))),
        None => Ok(()),
    }
}

impl Scenario {
    /// Reads a scenario: a path, or the name of a file in `lab/scenarios/`.
    pub(crate) fn load(name: &str) -> Result<Self> {
        let path = if name.ends_with(".yaml") { PathBuf::from(name) } else { folder().join(format!("{name}.yaml")) };
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading scenario {}", path.display()))?;
        serde_yaml_ng::from_str(&text).map_err(|error| anyhow!("{}: {error}", path.display()))
    }

    /// The same with every host behind such links, if there are any.
    pub(crate) fn behind(mut self, relay: Option<&Relay>) -> Self {
        if let Some(relay) = relay {
            self.relay = Some(relay.clone());
            self.clients.iter_mut().for_each(|client| client.relay = None);
        }
        self
    }

    /// The attack of this name.
    pub(crate) fn attack(&self, name: &str) -> Result<&Attack> {
        self.attacks.iter().find(|attack| attack.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.attacks.iter().map(|attack| attack.name.as_str()).collect();
            anyhow!("scenario `{}` has no attack `{name}`; it has {}", self.name, names.join(", "))
        })
    }
}

/// `lab/scenarios` of this checkout.
fn folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    root.join("lab/scenarios")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Result<Scenario> {
        Scenario::load("range")
    }

    #[test]
    fn the_shipped_scenario_covers_every_class_that_can_be_made() -> Result<()> {
        let scenario = shipped()?;
        for class in [2, 3, 4, 5, 6, 7, 9] {
            assert!(scenario.attacks.iter().any(|attack| attack.class.number() == class), "class {class}");
        }
        assert!(scenario.clients.iter().filter(|client| client.on == Place::Own).count() >= 6);
        Ok(())
    }

    #[test]
    fn two_benign_clients_are_faster_than_the_slowest_flood() -> Result<()> {
        let scenario = shipped()?;
        let ends: [fn(&Setting) -> Option<u64>; 2] = [|rate| rate.train.smallest(), |rate| rate.test.smallest()];
        for smallest in ends {
            let floods = scenario
                .attacks
                .iter()
                .filter(|attack| matches!(attack.tool, Tool::Hping3 | Tool::Forge | Tool::Flood));
            let slowest = floods.filter_map(|attack| smallest(attack.settings.get("rate")?)).min();
            let slowest = slowest.context("no floods")?;
            // A request and its acknowledgement are two packets; a megabit of full segments about 86.
            for (kind, setting, packets) in [(Kind::Poll, "rate", 2), (Kind::Bulk, "mbit", 86)] {
                let ranges = scenario.kinds.get(&kind).context("not described")?;
                let rate = ranges.get(setting).and_then(smallest).context("no rate")? * packets;
                assert!(rate > slowest, "{kind:?}: {rate} packets a second are not above {slowest}");
                let only = |client: &Client| client.does.len() == 1 && client.does.contains_key(&kind);
                assert!(scenario.clients.iter().any(only));
            }
        }
        Ok(())
    }

    #[test]
    fn an_unknown_key_is_refused_with_line_and_column() {
        let text = "name: x\nattackers: 6\nkinds: {}\nclients: []\nattacks:\n  - {name: a, class: DoS, tool: hydra, at_most_s: 5, settings: {}, colour: red}\n";
        let error = serde_yaml_ng::from_str::<Scenario>(text).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("colour") && error.contains("line 6"), "{error}");
    }

    #[test]
    fn a_missing_setting_is_named() {
        let text = "name: x\nattackers: 6\nkinds: {}\nclients: []\nattacks:\n  - {name: a, class: DoS, tool: hydra, variant: ssh, at_most_s: 5, settings: {tasks: {same: 1}}}\n";
        let error = serde_yaml_ng::from_str::<Scenario>(text).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("lacks the setting") && error.contains("line 6"), "{error}");
    }
}
