//! What an init does: mounts, modules, power.

use std::ffi::CString;
use std::fs::{self, File};
use std::process::ExitCode;

use anyhow::{Context, Result};
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};

/// Where the harness put the modules, in the order of their names.
const MODULES: &str = "/modules";

/// Mounts file systems and loads modules; the kernel's release.
pub(crate) fn prepare() -> Result<String> {
    for (kind, at) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("bpf", "/sys/fs/bpf"),
        ("tmpfs", "/run"),
        ("tmpfs", "/tmp"),
    ] {
        fs::create_dir_all(at).with_context(|| format!("folder {at}"))?;
        mount(Some(kind), at, Some(kind), MsFlags::empty(), None::<&str>)
            .with_context(|| format!("mounting {kind} at {at}"))?;
    }
    let mut modules: Vec<_> = fs::read_dir(MODULES)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    modules.sort();
    for path in modules {
        let file = File::open(&path)?;
        finit_module(&file, &CString::default(), ModuleInitFlags::empty())
            .with_context(|| format!("loading {}", path.display()))?;
    }
    Ok(fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned())
}

/// Ends the machine.
pub(crate) fn power_off() -> ExitCode {
    // SAFETY: sync takes no arguments and can't fail.
    unsafe { libc::sync() };
    match reboot(RebootMode::RB_POWER_OFF) {
        Ok(never) => match never {},
        Err(error) => println!("guest: failed power-off: {error}"),
    }
    ExitCode::FAILURE
}
