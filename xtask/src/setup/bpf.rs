//! What the kernel half is built with: a compiler that has the sources of `core`, and bpf-linker.
//!
//! The compiler is chosen as `sensor/build.rs` chooses it: rustup's nightly, rustup's stable, then
//! the system's own, the first that has the sources.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::report::working;
use super::{Found, apt};
use crate::process::output;

const LINKER_VERSION: &str = "0.13.0";
const LLVM: &str = "/usr/lib/llvm-22";
const LLVM_MAJOR: u32 = 22;
const COMPILER_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
const LLVM_PACKAGES: [&str; 5] = ["llvm-22-dev", "libpolly-22-dev", "libzstd-dev", "libxml2-dev", "zlib1g-dev"];

pub(super) fn find_compiler() -> Result<Option<Found>> {
    let rustup = ["nightly", "stable"].into_iter().filter_map(|channel| {
        let path = output(Command::new("rustup").args(["which", "--toolchain", channel, "rustc"])).ok()?;
        Some((format!("rustup's {channel}"), PathBuf::from(path.trim())))
    });
    let system = ("Debian's".to_owned(), PathBuf::from("/usr/bin/rustc"));
    let found = rustup.chain([system]).find(|(_, rustc)| has_core(rustc));
    found.map(|(whose, rustc)| describe(&whose, &rustc)).transpose()
}

fn has_core(rustc: &Path) -> bool {
    let sysroot = output(Command::new(rustc).args(["--print", "sysroot"])).unwrap_or_default();
    !sysroot.is_empty() && Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core/Cargo.toml").exists()
}

fn describe(whose: &str, rustc: &Path) -> Result<Found> {
    let version = output(Command::new(rustc).arg("--version"))?;
    let number = version.split_whitespace().nth(1).unwrap_or_default();
    Ok(Found { path: rustc.display().to_string(), version: format!("{number} ({whose})") })
}

/// The major version of LLVM that a compiler writes.
fn llvm_of(rustc: &str) -> Option<u32> {
    let text = output(Command::new(rustc).arg("-vV")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    line.split('.').next()?.parse().ok()
}

/// rustup's nightly if it can be had and bpf-linker can read what it writes, Debian's otherwise.
pub(super) fn install_compiler() -> Result<()> {
    let nightly = ["toolchain", "install", "nightly", "--profile", "minimal", "--component", "rust-src"];
    match working("rustup's nightly with rust-src", Command::new("rustup").args(nightly)) {
        Ok(()) => {
            let path = output(Command::new("rustup").args(["which", "--toolchain", "nightly", "rustc"]))?;
            if llvm_of(path.trim()).is_some_and(|llvm| llvm <= LLVM_MAJOR) {
                return Ok(());
            }
            // It would be found first: without its sources it is passed over.
            let sources = ["component", "remove", "rust-src", "--toolchain", "nightly"];
            output(Command::new("rustup").args(sources))?;
            eprintln!("rustup's nightly writes for an LLVM newer than {LLVM_MAJOR}: taking Debian's compiler");
        }
        Err(error) => {
            crate::stop::check()?;
            eprintln!("rustup's nightly can't be had ({error}): taking Debian's compiler");
        }
    }
    apt::install(&COMPILER_PACKAGES)
}

pub(super) fn find_linker() -> Result<Option<Found>> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let own = home.join(".cargo/bin/bpf-linker");
    let Some(path) = apt::which("bpf-linker").or_else(|| own.is_file().then_some(own)) else { return Ok(None) };
    // A linker whose LLVM is gone does not start: that counts as missing.
    let version = output(Command::new(&path).arg("--version")).unwrap_or_default();
    let version = version.split_whitespace().nth(1).map(str::to_owned);
    Ok(version
        .filter(|version| version == LINKER_VERSION)
        .map(|version| Found { path: path.display().to_string(), version }))
}

pub(super) fn install_linker() -> Result<()> {
    let missing: Vec<&str> =
        LLVM_PACKAGES.into_iter().filter(|name| !matches!(apt::version(name), Ok(Some(_)))).collect();
    if !missing.is_empty() {
        apt::install(&missing)?;
    }
    if !Path::new(LLVM).exists() {
        bail!("{LLVM} is missing although its package is installed");
    }
    let mut cargo = Command::new("cargo");
    cargo.args(["install", "bpf-linker", "--version", LINKER_VERSION, "--locked", "--force"]);
    cargo.args(["--no-default-features", "--features", &format!("llvm-{LLVM_MAJOR}")]);
    // Settings of the workspace are not meant for it.
    cargo.current_dir("/").env("LLVM_PREFIX", LLVM).env_remove("CARGO_TARGET_DIR");
    working("bpf-linker (about a minute)", &mut cargo).context("building bpf-linker")
}
