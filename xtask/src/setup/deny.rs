//! cargo-deny: licences, sources and bans of the dependencies.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::report::working;
use super::{Found, apt};
use crate::process::output;

const VERSION: &str = "0.20.2";

/// Of this version: what it warns of changes between versions.
pub(super) fn find() -> Result<Option<Found>> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let own = home.join(".cargo/bin/cargo-deny");
    let Some(path) = apt::which("cargo-deny").or_else(|| own.is_file().then_some(own)) else { return Ok(None) };
    let said = output(Command::new(&path).arg("--version")).unwrap_or_default();
    let version = said.split_whitespace().nth(1).filter(|version| *version == VERSION);
    Ok(version.map(|version| Found { path: path.display().to_string(), version: version.to_owned() }))
}

pub(super) fn install() -> Result<()> {
    let mut cargo = Command::new("cargo");
    // Without optimisation: it is built in a third of the time and runs for a second.
    cargo.args(["install", "cargo-deny", "--version", VERSION, "--locked", "--force", "--debug"]);
    // Settings of the workspace are not meant for it.
    cargo.current_dir("/").env_remove("CARGO_TARGET_DIR");
    working("cargo-deny (about a minute)", &mut cargo).context("building cargo-deny")
}
