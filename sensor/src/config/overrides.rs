//! What the command line may say over the settings file.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Egress, Ingress, Mode, Role, SensorConfig};

/// Options that replace settings of the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Overrides {
    /// Interface to watch; may be given several times
    #[arg(short, long = "interface", value_name = "NAME")]
    pub interfaces: Vec<String>,
    /// Name of the pin folder [default: the first interface]
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// What the interface is
    #[arg(long, value_enum)]
    pub role: Option<Role>,
    /// Whether rules drop
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,
    /// Rules drop (the same as --mode enforce)
    #[arg(long, conflicts_with = "mode")]
    pub enforce: bool,
    /// Hook for incoming packets
    #[arg(long, value_enum)]
    pub ingress: Option<Ingress>,
    /// Hook for outgoing packets
    #[arg(long, value_enum)]
    pub egress: Option<Egress>,
    /// Take the place of another XDP program on the interface
    #[arg(long)]
    pub replace: bool,
    /// On a clean end export every flow, then remove programs and pins
    #[arg(long)]
    pub detach_on_exit: bool,
    /// The brain: unix:///path or http://127.0.0.1:port
    #[arg(long, value_name = "URL")]
    pub brain: Option<String>,
    /// Unix socket of the control service
    #[arg(long = "control", visible_alias = "control-socket", value_name = "PATH")]
    pub control_socket: Option<PathBuf>,
    /// Loopback address for /metrics
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub metrics: Option<SocketAddr>,
    /// Recording of raw records
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Network that nothing may block; may be given several times
    #[arg(long = "allow", value_name = "NETWORK")]
    pub allow: Vec<String>,
    /// Name in events
    #[arg(long, value_name = "NAME")]
    pub sensor_id: Option<String>,
    /// Folder of the pins, on a bpffs
    #[arg(long, value_name = "PATH")]
    pub pin_root: Option<PathBuf>,
    /// Count tunnelled packets (GRE, VXLAN, Geneve, IP in IP) in the flow inside
    #[arg(long)]
    pub inner: bool,
    /// Keep the capabilities of the start
    #[arg(long)]
    pub keep_privileges: bool,
}

impl Overrides {
    /// Puts the options over `config`; lists given here replace those of the file, except `allow`, which adds.
    pub fn apply(self, config: &mut SensorConfig) {
        if !self.interfaces.is_empty() {
            config.interfaces = self.interfaces;
        }
        config.group = self.group.or(config.group.take());
        set(&mut config.role, self.role);
        set(&mut config.mode, self.mode.or(self.enforce.then_some(Mode::Enforce)));
        set(&mut config.ingress, self.ingress);
        set(&mut config.egress, self.egress);
        set(&mut config.control_socket, self.control_socket);
        set(&mut config.pin_root, self.pin_root);
        config.replace |= self.replace;
        config.detach_on_exit |= self.detach_on_exit;
        config.inner |= self.inner;
        config.keep_privileges |= self.keep_privileges;
        config.brain = self.brain.or(config.brain.take());
        config.metrics = self.metrics.or(config.metrics.take());
        config.record = self.record.or(config.record.take());
        config.sensor_id = self.sensor_id.or(config.sensor_id.take());
        config.allow.extend(self.allow);
    }
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}
