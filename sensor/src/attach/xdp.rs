//! XDP: native, or generic by explicit choice.

use std::path::Path;

use aya::Ebpf;
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::xdp::XdpLink;
use aya::programs::{ProgramError, Xdp, XdpMode};

use super::{AttachError, Pins};
use crate::load;
use crate::preflight::{self, Interface};
use crate::{netlink, sys};

/// Label of native XDP.
pub(super) const NATIVE: &str = "xdp native";
/// Label of generic XDP.
pub(super) const GENERIC: &str = "xdp generic";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Native,
    Generic,
}

impl Mode {
    fn label(self) -> &'static str {
        if self == Self::Native { NATIVE } else { GENERIC }
    }
}

/// Attaches, or updates the link a process before has pinned.
pub(super) fn attach(
    ebpf: &mut Ebpf,
    interface: &Interface,
    pins: &Pins,
    mode: Mode,
    replace: bool,
) -> Result<&'static str, AttachError> {
    let program = ebpf.program_mut(load::INGRESS).ok_or(AttachError::Missing(load::INGRESS))?;
    let program: &mut Xdp = program.try_into().map_err(|_| AttachError::Missing(load::INGRESS))?;
    // The mode of a link never changes: a generic link is not kept for a native sensor, nor the reverse.
    let (pinned, other) = match mode {
        Mode::Native => (&pins.xdp, &pins.xdp_generic),
        Mode::Generic => (&pins.xdp_generic, &pins.xdp),
    };
    if sys::link_interface(pinned) == Some(interface.index) {
        update(program, pinned)?;
        return Ok(mode.label());
    }
    let _stale = std::fs::remove_file(pinned);
    let _other_mode = std::fs::remove_file(other);
    let flags = if mode == Mode::Native { XdpMode::Driver } else { XdpMode::Skb };
    let mut result = program.attach(&interface.name, flags);
    if replace && is(&result, libc::EBUSY) {
        let name = interface.xdp_program.map(preflight::program_name);
        tracing::warn!(interface = interface.name, program = name, "taking the place of another XDP program");
        if let Err(error) = netlink::clear_xdp(interface.index) {
            tracing::warn!(%error, "the other program can't be taken off");
        }
        result = program.attach(&interface.name, flags);
    }
    let id = result.map_err(|error| refused(interface, mode, &error))?;
    let link = program.take_link(id).map_err(|error| refused(interface, mode, &error))?;
    let link = FdLink::try_from(link).map_err(|source| AttachError::NoLink {
        program: load::INGRESS,
        interface: interface.name.clone(),
        source,
    })?;
    link.pin(pinned).map_err(|source| AttachError::Pin { path: pinned.clone(), source })?;
    Ok(mode.label())
}

fn update(program: &mut Xdp, pin: &Path) -> Result<(), AttachError> {
    let failed = |message: String| AttachError::Update { path: pin.to_path_buf(), message };
    let link = PinnedLink::from_pin(pin).map_err(|e| failed(e.to_string()))?;
    let link = XdpLink::try_from(FdLink::from(link)).map_err(|e| failed(e.to_string()))?;
    program.attach_to_link(link).map_err(|e| failed(describe(&e))).map(drop)
}

fn errno(error: &ProgramError) -> Option<i32> {
    match error {
        ProgramError::SyscallError(e) => e.io_error.raw_os_error(),
        _ => None,
    }
}

fn is<T>(result: &Result<T, ProgramError>, code: i32) -> bool {
    result.as_ref().err().and_then(errno) == Some(code)
}

fn describe(error: &ProgramError) -> String {
    errno(error).map_or_else(|| error.to_string(), |code| std::io::Error::from_raw_os_error(code).to_string())
}

/// Says which of driver, MTU and LRO stands in the way, and the way around it.
fn refused(interface: &Interface, mode: Mode, error: &ProgramError) -> AttachError {
    let name = &interface.name;
    let driver = if interface.kind.is_empty() { "its driver".to_owned() } else { format!("driver {}", interface.kind) };
    let (why, what_to_do) = match errno(error) {
        Some(libc::EBUSY) => {
            let id = interface.xdp_program.unwrap_or(0);
            let owner = preflight::program_name(id);
            let why = format!("XDP program {owner} (id {id}) holds the hook by a link of its own");
            (why, "stop its owner: a link can't be removed from outside".to_owned())
        }
        _ if sys::lro_is_on(name) == Some(true) => (
            "large receive offload is on".to_owned(),
            format!("switch it off: `ethtool -K {name} lro off rx-gro-hw off`"),
        ),
        Some(libc::ERANGE | libc::EINVAL | libc::EMSGSIZE | libc::E2BIG) if interface.mtu > 1500 => (
            format!("an MTU of {} is more than {driver} takes with XDP", interface.mtu),
            format!("lower it: `ip link set {name} mtu 1500`"),
        ),
        Some(libc::EOPNOTSUPP) if mode == Mode::Native => {
            (format!("{driver} has no native XDP"), "use `--ingress auto` or `--ingress tcx`".to_owned())
        }
        _ => (describe(error), "use `--ingress auto` to go on with TC".to_owned()),
    };
    AttachError::Xdp { interface: name.clone(), why, what_to_do }
}
