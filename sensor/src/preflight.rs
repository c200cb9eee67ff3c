//! Everything that can be known to be wrong before anything is loaded.

use std::io;
use std::path::{Path, PathBuf};

use aya::util::KernelVersion;
use caps::{CapSet, Capability};
use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use crate::config::SensorConfig;
use crate::netlink;

/// The oldest kernel that the programs are tried on (`cargo xtask test vm`). Their helpers and instructions would do
/// with 5.12; what an older verifier makes of them is not known.
const OLDEST: (u8, u8) = (6, 1);

/// Why the sensor can't start here.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// Some capability is missing.
    #[error("missing {}: start the sensor as root or with these capabilities (AmbientCapabilities= in systemd)", .0.join(", "))]
    Capabilities(Vec<&'static str>),
    /// The kernel is too old.
    #[error("this kernel ({found}) is too old: Linux {}.{} is the oldest that the programs are tried on", OLDEST.0, OLDEST.1)]
    Kernel {
        /// Its version.
        found: String,
    },
    /// The kernel has no type information.
    #[error("this kernel has no type information in /sys/kernel/btf/vmlinux: it needs CONFIG_DEBUG_INFO_BTF=y")]
    NoBtf,
    /// The pins have no place.
    #[error(
        "{path} is not on a bpffs and mounting one at {mountpoint} failed ({source}): run `mount -t bpf bpf {mountpoint}`"
    )]
    Bpffs {
        /// The pin root.
        path: PathBuf,
        /// Where one should be.
        mountpoint: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The pin folder can't be made.
    #[error("can't make pin folder {path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No such interface.
    #[error("no interface {name:?} in this network namespace; there are: {}", .there.join(", "))]
    Interface {
        /// As configured.
        name: String,
        /// Those there are.
        there: Vec<String>,
    },
    /// Another XDP program holds the interface.
    #[error(
        "interface {interface} already carries XDP program {program} (id {id}); stop its owner, or start with \
         --replace to take its place"
    )]
    Occupied {
        /// The interface.
        interface: String,
        /// The program's name.
        program: String,
        /// Its identifier.
        id: u32,
    },
    /// Another sensor uses the pin folder.
    #[error("another sensor uses {path}: stop it, or give this one another --group")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// An interface can't be asked.
    #[error("can't ask interface {interface} for its state: {source}")]
    Query {
        /// The interface.
        interface: String,
        /// What the system said.
        source: io::Error,
    },
}

/// An interface that exists.
#[derive(Clone, Debug)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) index: u32,
    pub(crate) mtu: u32,
    pub(crate) kind: String,
    pub(crate) xdp_program: Option<u32>,
}

/// Checks privileges and kernel; cheap, touches nothing.
pub(crate) fn machine() -> Result<(), PreflightError> {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    let missing = missing_capabilities(&has);
    if !missing.is_empty() {
        return Err(PreflightError::Capabilities(missing));
    }
    if !kernel_at_least(OLDEST) {
        return Err(PreflightError::Kernel { found: kernel_release() });
    }
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Err(PreflightError::NoBtf);
    }
    Ok(())
}

fn missing_capabilities(has: &dyn Fn(Capability) -> bool) -> Vec<&'static str> {
    let admin = has(Capability::CAP_SYS_ADMIN);
    let wanted = [
        (Capability::CAP_BPF, "CAP_BPF (maps, programs)", true),
        (Capability::CAP_PERFMON, "CAP_PERFMON (without it the verifier refuses the programs)", true),
        (Capability::CAP_NET_ADMIN, "CAP_NET_ADMIN (attach to an interface)", false),
    ];
    let lacks = |(capability, name, covered): (Capability, &'static str, bool)| {
        (!(has(capability) || covered && admin)).then_some(name)
    };
    wanted.into_iter().filter_map(lacks).collect()
}

pub(crate) fn kernel_at_least((major, minor): (u8, u8)) -> bool {
    KernelVersion::current().is_ok_and(|found| found >= KernelVersion::new(major, minor, 0))
}

pub(crate) fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(|_| "unknown".into(), |r| r.trim().to_owned())
}

/// Makes the pin folder, mounting a bpffs where there is none.
pub(crate) fn pin_folder(config: &SensorConfig) -> Result<PathBuf, PreflightError> {
    let root = &config.pin_root;
    if !on_bpffs(root) {
        let mountpoint = Path::new("/sys/fs/bpf").to_path_buf();
        let none = None::<&str>;
        let mounted =
            root.starts_with(&mountpoint).then(|| mount(Some("bpf"), &mountpoint, Some("bpf"), MsFlags::empty(), none));
        let failed = match mounted {
            Some(Ok(())) => None,
            Some(Err(errno)) => Some(io::Error::from(errno)),
            None => Some(io::Error::new(io::ErrorKind::InvalidInput, "pin_root lies elsewhere")),
        };
        if let Some(source) = failed {
            return Err(PreflightError::Bpffs { path: root.clone(), mountpoint, source });
        }
        tracing::info!(path = %mountpoint.display(), "mounted a bpffs");
    }
    let path = config.pin_folder();
    std::fs::create_dir_all(&path).map_err(|source| PreflightError::Folder { path: path.clone(), source })?;
    Ok(path)
}

/// Whether the nearest existing ancestor of `path` lies on a bpffs.
fn on_bpffs(path: &Path) -> bool {
    let existing = path.ancestors().find(|p| p.exists());
    existing.and_then(|p| statfs(p).ok()).is_some_and(|s| s.filesystem_type() == BPF_FS_MAGIC)
}

/// Looks the configured interfaces up.
pub(crate) fn interfaces(config: &SensorConfig) -> Result<Vec<Interface>, PreflightError> {
    config.interfaces.iter().map(|name| interface(name)).collect()
}

fn interface(name: &str) -> Result<Interface, PreflightError> {
    let Ok(index) = nix::net::if_::if_nametoindex(name) else {
        let all = nix::net::if_::if_nameindex();
        let there = all.map(|all| all.iter().map(|i| i.name().to_string_lossy().into_owned()).collect());
        return Err(PreflightError::Interface { name: name.to_owned(), there: there.unwrap_or_default() });
    };
    let info =
        netlink::link_info(index).map_err(|source| PreflightError::Query { interface: name.to_owned(), source })?;
    Ok(Interface { name: name.to_owned(), index, mtu: info.mtu, kind: info.kind, xdp_program: info.xdp_program })
}

/// Name of a loaded program.
pub(crate) fn program_name(id: u32) -> String {
    let found = aya::programs::loaded_programs().flatten().find(|program| program.id() == id);
    found.and_then(|p| p.name_as_str().map(str::to_owned)).unwrap_or_else(|| "of unknown name".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_capabilities_are_named() {
        assert_eq!(missing_capabilities(&|_| true), Vec::<&str>::new());
        let missing = missing_capabilities(&|c| c == Capability::CAP_SYS_ADMIN);
        assert_eq!(missing, ["CAP_NET_ADMIN (attach to an interface)"]);
        let message = PreflightError::Capabilities(missing_capabilities(&|_| false)).to_string();
        assert!(message.contains("CAP_BPF") && message.contains("CAP_PERFMON") && message.contains("CAP_NET_ADMIN"));
    }

    #[test]
    fn the_docs_name_the_oldest_kernel() {
        let oldest = format!("Linux {}.{} or newer", OLDEST.0, OLDEST.1);
        for page in [include_str!("../../README.md"), include_str!("../../deploy/README.md")] {
            assert!(page.contains(&oldest), "a page does not say {oldest:?}");
        }
        let message = PreflightError::Kernel { found: "5.15.0".into() }.to_string();
        assert!(message.contains("5.15.0") && message.contains("Linux 6.1"), "{message}");
    }

    #[test]
    fn an_unknown_interface_lists_those_there_are() {
        let message = interface("gs-nowhere").unwrap_err().to_string();
        assert!(message.contains("gs-nowhere") && message.contains("lo"), "{message}");
    }
}
