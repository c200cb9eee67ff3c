//! TC: TCX links, and clsact filters for kernels before 6.6.

use std::path::Path;

use aya::Ebpf;
use aya::programs::links::{FdLink, LinkOrder, PinnedLink};
use aya::programs::tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle};
use aya::programs::{ProgramError, SchedClassifier, TcAttachType};

use super::{AttachError, Pins};
use crate::load;
use crate::preflight::Interface;

/// Label of TCX.
pub(super) const TCX: &str = "tcx";
/// Label of clsact.
pub(super) const CLSACT: &str = "clsact";

/// Fixed, so that a restart replaces its own filter instead of adding one.
const PRIORITY: u16 = 0x6761;
const HANDLE: TcHandle = TcHandle::new(0, 0x6c);

#[derive(Clone, Copy)]
pub(super) enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    fn attach_type(self) -> TcAttachType {
        match self {
            Self::Ingress => TcAttachType::Ingress,
            Self::Egress => TcAttachType::Egress,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Ingress => load::INGRESS_TC,
            Self::Egress => load::EGRESS,
        }
    }

    fn pin(self, pins: &Pins) -> &Path {
        match self {
            Self::Ingress => &pins.tcx_ingress,
            Self::Egress => &pins.tcx_egress,
        }
    }
}

fn program(ebpf: &mut Ebpf, direction: Direction) -> Result<&mut SchedClassifier, AttachError> {
    let name = direction.program();
    let program = ebpf.program_mut(name).ok_or(AttachError::Missing(name))?;
    program.try_into().map_err(|_| AttachError::Missing(name))
}

/// Attaches by TCX, or updates the link a process before has pinned.
pub(super) fn tcx(
    ebpf: &mut Ebpf,
    interface: &Interface,
    pins: &Pins,
    direction: Direction,
) -> Result<&'static str, AttachError> {
    let program = program(ebpf, direction)?;
    let pin = direction.pin(pins);
    if crate::sys::link_interface(pin) == Some(interface.index) {
        update(program, pin)?;
        return Ok(TCX);
    }
    let _of_a_removed_interface = std::fs::remove_file(pin);
    let refused = |source| AttachError::Tcx { interface: interface.name.clone(), direction: direction.label(), source };
    let options = TcAttachOptions::TcxOrder(LinkOrder::first());
    let id = program.attach_with_options(&interface.name, direction.attach_type(), options).map_err(refused)?;
    let link = program.take_link(id).map_err(refused)?;
    let link = FdLink::try_from(link).map_err(|source| AttachError::NoLink {
        program: direction.program(),
        interface: interface.name.clone(),
        source,
    })?;
    link.pin(pin).map_err(|source| AttachError::Pin { path: pin.to_path_buf(), source })?;
    Ok(TCX)
}

fn update(program: &mut SchedClassifier, pin: &Path) -> Result<(), AttachError> {
    let failed = |message: String| AttachError::Update { path: pin.to_path_buf(), message };
    let link = PinnedLink::from_pin(pin).map_err(|e| failed(e.to_string()))?;
    let link = SchedClassifierLink::try_from(FdLink::from(link)).map_err(|e| failed(e.to_string()))?;
    program.attach_to_link(link).map_err(|e| failed(describe(&e))).map(drop)
}

fn describe(error: &ProgramError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

/// Attaches by a clsact filter, in the place of the one a process before has left.
pub(super) fn clsact(
    ebpf: &mut Ebpf,
    interface: &Interface,
    direction: Direction,
) -> Result<&'static str, AttachError> {
    let program = program(ebpf, direction)?;
    let refused = |message: String| AttachError::Clsact {
        interface: interface.name.clone(),
        direction: direction.label(),
        message,
    };
    // EEXIST is fine; whatever else is wrong shows when the filter is added.
    let qdisc = tc::qdisc_add_clsact(&interface.name);
    let options = NlOptions { priority: PRIORITY, handle: HANDLE, classid: None };
    let at = direction.attach_type();
    let id = match program.attach_with_options(&interface.name, at, TcAttachOptions::Netlink(options)) {
        Ok(id) => id,
        Err(first) => {
            let link = SchedClassifierLink::attached(&interface.name, at, PRIORITY, HANDLE, None)
                .map_err(|e| refused(e.to_string()))?;
            program.attach_to_link(link).map_err(|second| {
                let qdisc = qdisc.err().map_or_else(String::new, |e| format!("; qdisc: {e}"));
                refused(format!("{}; replacing: {}{qdisc}", describe(&first), describe(&second)))
            })?
        }
    };
    let link = program.take_link(id).map_err(|e| refused(describe(&e)))?;
    // Dropping the link would remove the filter.
    std::mem::forget(link);
    Ok(CLSACT)
}

/// Removes the filter a clsact attachment of this sensor has left, if any.
pub(super) fn remove_clsact(interface: &str, direction: Direction) {
    // Dropping a link object removes the filter it stands for. With no such filter that does nothing.
    drop(SchedClassifierLink::attached(interface, direction.attach_type(), PRIORITY, HANDLE, None));
}
