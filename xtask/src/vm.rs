//! Boots Debian 12's own kernel 6.1 and runs the kernel half on it, in software (`-accel tcg`), in seconds.
//!
//! The machine holds one program, `tests/vm-guest`, linked statically: it is the init, makes its own network, and
//! says on the console how each check ended.

mod boot;
mod initramfs;
mod kernel;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{describe, target_dir};
use crate::test::Tally;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Everything that makes the machine is kept here.
fn folder(root: &Path) -> PathBuf {
    target_dir(root).join("vm")
}

/// Why no machine can be booted here, where that is so.
pub(crate) fn obstacle() -> Option<String> {
    if !cfg!(target_arch = "x86_64") {
        return Some("the guest is an x86-64 machine, and so must be the host".into());
    }
    for tool in ["qemu-system-x86_64", "apt-get", "dpkg-deb"] {
        if !crate::test::has(tool) {
            return Some(format!("no {tool}: run `cargo xtask setup --for dev`"));
        }
    }
    None
}

/// Boots the machine and counts its checks.
pub(crate) fn run(root: &Path) -> Result<Tally> {
    let folder = folder(root);
    let kernel = kernel::fetch(&folder)?;
    let guest = build_guest(root)?;
    let image = initramfs::pack(&folder, &guest, &kernel)?;
    boot::run(&kernel, &image)
}

fn build_guest(root: &Path) -> Result<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).args(["build", "--quiet", "--package", "ganglion-vm-guest", "--target", TARGET]);
    // Static: the guest has no libraries. Stripped: the machine unpacks all of it into its memory.
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static -C strip=symbols");
    let status = cargo.status().with_context(|| format!("starting {}", describe(&cargo)))?;
    if !status.success() {
        bail!("the guest program does not build ({status})");
    }
    Ok(target_dir(root).join(TARGET).join("debug/ganglion-vm-guest"))
}
