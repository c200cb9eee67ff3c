//! What the sensor may do once its programs are attached: nothing it does not need (invariant 12).
//!
//! All of its further work goes through descriptors it holds: reading and writing maps, draining, sweeping
//! (BPF_LINK_CREATE is done before, BPF_ITER_CREATE needs nothing), program information. Kept: with `detach_on_exit`
//! CAP_NET_ADMIN, to remove clsact filters. An upgrade is a new process, which starts with its own privileges.

use caps::{CapSet, Capability, CapsHashSet};

use crate::attach::Attached;
use crate::config::SensorConfig;

/// The capabilities to keep.
pub(crate) fn needed(config: &SensorConfig, attached: &[Attached]) -> CapsHashSet {
    let mut keep = CapsHashSet::new();
    let clsact = attached.iter().any(|a| a.ingress == "clsact" || a.egress == "clsact");
    if config.detach_on_exit && clsact {
        keep.insert(Capability::CAP_NET_ADMIN);
    }
    keep
}

/// Drops all but `keep` from this thread and those it will start.
pub(crate) fn drop_all_but(keep: &CapsHashSet) -> Result<(), caps::errors::CapsError> {
    let held = caps::read(None, CapSet::Permitted)?;
    let keep: CapsHashSet = held.intersection(keep).copied().collect();
    caps::clear(None, CapSet::Ambient)?;
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Effective, &keep)?;
    caps::set(None, CapSet::Permitted, &keep)?;
    // No program started from here gains privileges; failing to say so changes nothing else.
    if let Err(error) = nix::sys::prctl::set_no_new_privs() {
        tracing::warn!(%error, "no_new_privs can't be set");
    }
    tracing::info!(kept = ?keep, "dropped capabilities");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clsact_on_exit_keeps_a_capability() {
        let attached = |hook| vec![Attached { interface: "x".into(), ingress: hook, egress: hook }];
        let stays = SensorConfig::default();
        let goes = SensorConfig { detach_on_exit: true, ..SensorConfig::default() };
        assert_eq!(needed(&stays, &attached("clsact")).len(), 0);
        assert_eq!(needed(&goes, &attached("tcx")).len(), 0);
        assert_eq!(needed(&goes, &attached("clsact")).len(), 1);
    }
}
