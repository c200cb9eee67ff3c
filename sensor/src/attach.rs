//! Attaches the programs, in the design's order of hooks, so that they outlive this process.

mod tc;
mod xdp;

use std::io;
use std::path::{Path, PathBuf};

use aya::Ebpf;
use aya::pin::PinError;
use aya::programs::ProgramError;
use aya::programs::links::LinkError;

use crate::config::{Egress, Ingress, SensorConfig};
use crate::load;
use crate::preflight::Interface;

/// Where programs ended up on one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The interface.
    pub interface: String,
    /// Hook of incoming packets.
    pub ingress: &'static str,
    /// Hook of outgoing packets.
    pub egress: &'static str,
}

/// Why programs can't be attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// No native XDP.
    #[error("native XDP on {interface} was refused: {why}; {what_to_do}")]
    Xdp {
        /// The interface.
        interface: String,
        /// What stands against it.
        why: String,
        /// The way out.
        what_to_do: String,
    },
    /// No TCX.
    #[error("TCX {direction} on {interface}: {source}; it needs Linux 6.6, `clsact` works on older kernels")]
    Tcx {
        /// The interface.
        interface: String,
        /// "ingress" or "egress".
        direction: &'static str,
        /// What aya said.
        source: ProgramError,
    },
    /// No clsact filter.
    #[error(
        "clsact {direction} filter on {interface}: {message}; look at `tc filter show dev {interface} {direction}`"
    )]
    Clsact {
        /// The interface.
        interface: String,
        /// "ingress" or "egress".
        direction: &'static str,
        /// What aya said.
        message: String,
    },
    /// A link is attached but can't be kept.
    #[error("can't pin link {path}: {source}")]
    Pin {
        /// The pin.
        path: PathBuf,
        /// What aya said.
        source: PinError,
    },
    /// A pinned link can't be used.
    #[error("pinned link {path} can't be updated: {message}; remove it to detach the old program")]
    Update {
        /// The pin.
        path: PathBuf,
        /// What aya said.
        message: String,
    },
    /// Not a link that can be kept.
    #[error(
        "the kernel attached {program} to {interface} without a link, so that it can't be kept or replaced: {source}"
    )]
    NoLink {
        /// The program.
        program: &'static str,
        /// The interface.
        interface: String,
        /// What aya said.
        source: LinkError,
    },
    /// The object lacks a program.
    #[error("the object has no usable program {0}: build again")]
    Missing(&'static str),
}

/// Attaches to every interface. Links of a process before are updated in place, without a gap.
pub(crate) fn attach(
    ebpf: &mut Ebpf,
    folder: &Path,
    interfaces: &[Interface],
    config: &SensorConfig,
) -> Result<Vec<Attached>, AttachError> {
    let mut all = Vec::new();
    for interface in interfaces {
        let pins = Pins::new(folder, &interface.name);
        let ingress = ingress(ebpf, interface, &pins, config)?;
        let egress = egress(ebpf, interface, &pins, config.egress)?;
        tracing::info!(interface = interface.name, ingress, egress, "attached");
        all.push(Attached { interface: interface.name.clone(), ingress, egress });
    }
    Ok(all)
}

/// Where the links of one interface are pinned.
pub(crate) struct Pins {
    pub(crate) xdp: PathBuf,
    pub(crate) xdp_generic: PathBuf,
    pub(crate) tcx_ingress: PathBuf,
    pub(crate) tcx_egress: PathBuf,
}

impl Pins {
    pub(crate) fn new(folder: &Path, interface: &str) -> Self {
        let name = interface.replace('.', ":");
        let path = |hook: &str| folder.join(format!("link-{hook}-{name}"));
        Self {
            xdp: path("xdp"),
            xdp_generic: path("generic"),
            tcx_ingress: path("ingress"),
            tcx_egress: path("egress"),
        }
    }
}

fn ingress(
    ebpf: &mut Ebpf,
    interface: &Interface,
    pins: &Pins,
    config: &SensorConfig,
) -> Result<&'static str, AttachError> {
    let hook = match config.ingress {
        Ingress::Xdp => xdp::attach(ebpf, interface, pins, xdp::Mode::Native, config.replace)?,
        Ingress::XdpGeneric => xdp::attach(ebpf, interface, pins, xdp::Mode::Generic, config.replace)?,
        Ingress::Tcx => tc::tcx(ebpf, interface, pins, tc::Direction::Ingress)?,
        Ingress::Clsact => tc::clsact(ebpf, interface, tc::Direction::Ingress)?,
        Ingress::Auto => match xdp::attach(ebpf, interface, pins, xdp::Mode::Native, config.replace) {
            Ok(hook) => hook,
            Err(error @ AttachError::Xdp { .. }) => {
                tracing::warn!(%error, "going on with TC, which sees merged packets");
                tc_in_order(ebpf, interface, pins, tc::Direction::Ingress)?
            }
            Err(error) => return Err(error),
        },
    };
    // One hook alone may count: what another choice of hook left behind goes.
    let uses_xdp = hook == xdp::NATIVE || hook == xdp::GENERIC;
    if !uses_xdp {
        remove(&pins.xdp);
        remove(&pins.xdp_generic);
    }
    if hook != tc::TCX {
        remove(&pins.tcx_ingress);
    }
    if hook != tc::CLSACT {
        tc::remove_clsact(&interface.name, tc::Direction::Ingress);
    }
    Ok(hook)
}

fn egress(ebpf: &mut Ebpf, interface: &Interface, pins: &Pins, choice: Egress) -> Result<&'static str, AttachError> {
    let hook = match choice {
        Egress::Auto => tc_in_order(ebpf, interface, pins, tc::Direction::Egress)?,
        Egress::Tcx => tc::tcx(ebpf, interface, pins, tc::Direction::Egress)?,
        Egress::Clsact => tc::clsact(ebpf, interface, tc::Direction::Egress)?,
        Egress::Off => "off",
    };
    if hook != tc::TCX {
        remove(&pins.tcx_egress);
    }
    if hook != tc::CLSACT {
        tc::remove_clsact(&interface.name, tc::Direction::Egress);
    }
    Ok(hook)
}

fn tc_in_order(
    ebpf: &mut Ebpf,
    interface: &Interface,
    pins: &Pins,
    direction: tc::Direction,
) -> Result<&'static str, AttachError> {
    match tc::tcx(ebpf, interface, pins, direction) {
        Err(error @ AttachError::Tcx { .. }) => {
            tracing::info!(%error, "going on with clsact");
            tc::clsact(ebpf, interface, direction)
        }
        other => other,
    }
}

fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Ok(()) => tracing::info!(pin = %path.display(), "detached what another choice of hook had left"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(pin = %path.display(), %error, "an old link can't be removed"),
    }
}

/// Takes every program of this sensor off `interfaces` and removes the links' pins.
pub(crate) fn detach(folder: &Path, interfaces: &[String]) {
    for name in interfaces {
        let pins = Pins::new(folder, name);
        for pin in [&pins.xdp, &pins.xdp_generic, &pins.tcx_ingress, &pins.tcx_egress] {
            let _absent = std::fs::remove_file(pin);
        }
        tc::remove_clsact(name, tc::Direction::Ingress);
        tc::remove_clsact(name, tc::Direction::Egress);
    }
}

/// Program names by the hook they run on.
pub(crate) fn programs_in_use(attached: &[Attached]) -> Vec<&'static str> {
    let mut programs = vec![load::SWEEP_FLOWS, load::SWEEP_HALF_OPEN];
    if attached.iter().any(|a| a.ingress == xdp::NATIVE || a.ingress == xdp::GENERIC) {
        programs.push(load::INGRESS);
    }
    if attached.iter().any(|a| a.ingress == tc::TCX || a.ingress == tc::CLSACT) {
        programs.push(load::INGRESS_TC);
    }
    if attached.iter().any(|a| a.egress != "off") {
        programs.push(load::EGRESS);
    }
    programs
}
