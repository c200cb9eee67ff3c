//! Settings: a YAML file, command line on top, checked as a whole before anything is touched.

mod overrides;
mod tables;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ganglion_flow::settings::InterfaceRole;
use serde::Deserialize;

pub use overrides::Overrides;
pub use tables::Tables;

use crate::target::Net;

/// What the interface is to this sensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// An end of its traffic.
    #[default]
    Host,
    /// Gets a copy of other machines' traffic.
    Mirror,
    /// Forwards.
    Router,
}

impl From<Role> for InterfaceRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Host => Self::Host,
            Role::Mirror => Self::Mirror,
            Role::Router => Self::Router,
        }
    }
}

impl Role {
    /// As it is written in settings.
    pub fn label(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Mirror => "mirror",
            Self::Router => "router",
        }
    }
}

/// Whether rules drop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Rules count what they would have dropped.
    #[default]
    Observe,
    /// Rules drop.
    Enforce,
}

/// Where incoming packets are met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Ingress {
    /// Native XDP, else TCX, else clsact.
    #[default]
    Auto,
    /// Native XDP or nothing.
    Xdp,
    /// TCX or nothing.
    Tcx,
    /// A clsact filter or nothing.
    Clsact,
    /// Generic XDP: sees merged packets without saying of how many; switch GRO and GSO off.
    XdpGeneric,
}

/// Where outgoing packets are met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Egress {
    /// TCX, else clsact.
    #[default]
    Auto,
    /// TCX or nothing.
    Tcx,
    /// A clsact filter or nothing.
    Clsact,
    /// Outgoing packets are not looked at.
    Off,
}

/// When flows are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Silence that ends a flow, ms.
    pub idle_ms: u64,
    /// Longest life of a flow before it is exported and begun anew, ms.
    pub active_ms: u64,
    /// Silence that ends an unanswered flow, ms.
    pub half_open_ms: u64,
    /// How long the marker of an ended flow stays, ms.
    pub linger_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { idle_ms: 60_000, active_ms: 120_000, half_open_ms: 10_000, linger_ms: 1_000 }
    }
}

/// Everything a sensor can be told.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SensorConfig {
    /// Interfaces to watch; all share the tables.
    pub interfaces: Vec<String>,
    /// Name of the pin folder; the first interface when absent.
    pub group: Option<String>,
    /// Name in events; host name and group when absent.
    pub sensor_id: Option<String>,
    /// What the interfaces are.
    pub role: Role,
    /// Whether rules drop.
    pub mode: Mode,
    /// Hook for incoming packets.
    pub ingress: Ingress,
    /// Hook for outgoing packets.
    pub egress: Egress,
    /// Take the place of another XDP program.
    pub replace: bool,
    /// On a clean end: export every flow, then remove programs and pins. Otherwise they stay.
    pub detach_on_exit: bool,
    /// Folder of the pins, on a bpffs.
    pub pin_root: PathBuf,
    /// Unix socket of the control service.
    pub control_socket: PathBuf,
    /// The brain: `unix:///path`, `http://127.0.0.1:port`; none when absent.
    pub brain: Option<String>,
    /// Where `/metrics` is served; a loopback address.
    pub metrics: Option<SocketAddr>,
    /// Recording of raw records.
    pub record: Option<PathBuf>,
    /// Networks that nothing may block.
    pub allow: Vec<String>,
    /// Exempt the SSH sessions open on this machine.
    pub protect_ssh: bool,
    /// Exempt name service and DHCP of the resolvers and gateways this machine uses.
    pub protect_infrastructure: bool,
    /// Keep counts per address.
    pub sources: bool,
    /// VLAN identifiers separate flows.
    pub vlan_domain: bool,
    /// Count tunnelled packets (GRE, VXLAN, Geneve, IP in IP) in the flow inside. Rules on addresses go by the tunnel's
    /// ends all the same.
    pub inner: bool,
    /// Number of this interface group's address space.
    pub domain: u16,
    /// Records waiting for the brain, at most.
    pub queue_records: u64,
    /// Keep the capabilities of the start.
    pub keep_privileges: bool,
    /// Sizes of the tables.
    pub tables: Tables,
    /// When flows are over.
    pub timeouts: Timeouts,
}

impl Default for SensorConfig {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            group: None,
            sensor_id: None,
            role: Role::default(),
            mode: Mode::default(),
            ingress: Ingress::default(),
            egress: Egress::default(),
            replace: false,
            detach_on_exit: false,
            pin_root: PathBuf::from("/sys/fs/bpf/ganglion"),
            control_socket: PathBuf::from("/run/ganglion/sensor.sock"),
            brain: None,
            metrics: Some(SocketAddr::from(([127, 0, 0, 1], 9471))),
            record: None,
            allow: Vec::new(),
            protect_ssh: true,
            protect_infrastructure: true,
            sources: true,
            vlan_domain: false,
            inner: false,
            domain: 0,
            queue_records: 65_536,
            keep_privileges: false,
            tables: Tables::default(),
            timeouts: Timeouts::default(),
        }
    }
}

/// Why settings are refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("can't read settings {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Unknown key, wrong type, or no YAML.
    #[error("settings {origin}: {message}")]
    Parse {
        /// The file, or where else the text came from.
        origin: String,
        /// Key, what is wrong, line and column.
        message: String,
    },
    /// Well-formed, but makes no sense; every complaint.
    #[error("settings: {}", .0.join("; "))]
    Invalid(Vec<String>),
}

impl SensorConfig {
    /// Reads a settings file.
    ///
    /// # Errors
    /// Names key, line and column of what it does not understand.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })?;
        Self::from_yaml(&text, &path.display().to_string())
    }

    /// Reads settings from text; `origin` names it in errors.
    ///
    /// # Errors
    /// As [`SensorConfig::from_file`].
    pub fn from_yaml(text: &str, origin: &str) -> Result<Self, ConfigError> {
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        serde_yaml_ng::from_str(text)
            .map_err(|error| ConfigError::Parse { origin: origin.to_owned(), message: error.to_string() })
    }

    /// Name of the pin folder.
    pub fn group(&self) -> &str {
        self.group.as_deref().or(self.interfaces.first().map(String::as_str)).unwrap_or("none")
    }

    /// Name in events.
    pub fn sensor_id(&self) -> String {
        self.sensor_id.clone().unwrap_or_else(|| {
            let host = nix::unistd::gethostname().unwrap_or_else(|_| "localhost".into());
            format!("{}:{}", host.to_string_lossy(), self.group())
        })
    }

    /// The pin folder.
    pub fn pin_folder(&self) -> PathBuf {
        // bpffs reserves names with dots; no interface name holds a colon.
        self.pin_root.join(self.group().replace('.', ":"))
    }

    /// Checks what types can't.
    ///
    /// # Errors
    /// All complaints at once.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut wrong = self.tables.complaints();
        if self.interfaces.is_empty() {
            wrong.push("interfaces: name at least one interface to watch".into());
        }
        for name in &self.interfaces {
            if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains(['/', ':', ' ', '\0']) {
                wrong.push(format!("interfaces: {name:?} can't be the name of an interface"));
            }
        }
        if self.group.as_deref().is_some_and(|g| g.is_empty() || g.starts_with('.') || g.contains(['/', '\0'])) {
            wrong.push("group: must be a plain name, it becomes a folder".into());
        }
        if let Some(address) = self.metrics.filter(|a| !a.ip().is_loopback()) {
            wrong.push(format!("metrics: {address} is not a loopback address; put a proxy with TLS in front of it"));
        }
        for text in &self.allow {
            if let Err(error) = text.parse::<Net>() {
                wrong.push(format!("allow: {error}"));
            }
        }
        if let Some(brain) = &self.brain
            && let Err(error) = crate::uplink::Endpoint::parse(brain)
        {
            wrong.push(format!("brain: {error}"));
        }
        wrong.extend(self.timeouts.complaints());
        if self.queue_records == 0 {
            wrong.push("queue_records: must be at least 1".into());
        }
        if wrong.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(wrong)) }
    }
}

impl Timeouts {
    fn complaints(&self) -> Vec<String> {
        let all = [
            ("idle_ms", self.idle_ms),
            ("active_ms", self.active_ms),
            ("half_open_ms", self.half_open_ms),
            ("linger_ms", self.linger_ms),
        ];
        let day_ms = 86_400_000;
        all.into_iter()
            .filter(|(_, ms)| *ms == 0 || *ms > day_ms)
            .map(|(name, ms)| format!("timeouts.{name}: {ms} is not between 1 ms and a day"))
            .collect()
    }
}

#[cfg(test)]
mod tests;
