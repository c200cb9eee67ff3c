//! Python environments: the trainer's, and those of peers.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::Found;
use super::report::working;
use crate::process::output;

/// Pinned versions of everything the trainer imports.
const LOCK: &str = "requirements.lock";
/// Left once everything is installed, with the lock file as its content.
const DONE: &str = ".venv/installed.lock";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).join("trainer")
}

/// The environment, if it was installed from the lock file as it is now.
pub(super) fn find() -> Result<Option<Found>> {
    let folder = folder();
    let python = folder.join(".venv/bin/python");
    let (lock, done) = (std::fs::read(folder.join(LOCK)), std::fs::read(folder.join(DONE)));
    if !python.exists() || lock.ok() != done.ok() {
        return Ok(None);
    }
    let version = output(Command::new(&python).arg("--version"))?;
    Ok(Some(Found { path: python.display().to_string(), version: version.trim().to_owned() }))
}

pub(super) fn install() -> Result<()> {
    let folder = folder();
    let lock = folder.join(LOCK);
    if !folder.join("pyproject.toml").is_file() || !lock.is_file() {
        bail!("trainer/pyproject.toml or trainer/{LOCK} is missing: this checkout has nothing to train with");
    }
    let venv = folder.join(".venv");
    working("trainer: environment", Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let pip = || {
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet"]);
        pip
    };
    working("trainer: its dependencies (some gigabytes)", pip().arg("--requirement").arg(&lock))?;
    working("trainer: itself", pip().args(["--no-deps", "--editable"]).arg(&folder))?;
    std::fs::copy(lock, folder.join(DONE))?;
    Ok(())
}

/// Left in an environment of our own making once everything is installed, with the packages as its content.
const PACKAGES: &str = "packages.txt";

/// Whether `folder` is an environment with these packages.
pub(super) fn has(folder: &Path, packages: &[&str]) -> bool {
    std::fs::read_to_string(folder.join(PACKAGES)).is_ok_and(|installed| installed == packages.join("\n"))
}

/// Makes an environment with these packages.
pub(super) fn make(folder: &Path, packages: &[&str]) -> Result<()> {
    let name = packages.first().copied().unwrap_or_default();
    working(&format!("{name}: environment"), Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
    working(&format!("{name}: from PyPI"), &mut pip)?;
    std::fs::write(folder.join(PACKAGES), packages.join("\n"))?;
    Ok(())
}
