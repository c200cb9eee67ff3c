//! Builds the targets. What `cargo fuzz` asks of a nightly compiler is only the address sanitizer; coverage is an LLVM
//! pass that the stable one has too, and the code is safe Rust.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{describe, output, target_dir};

/// Counters at each edge, and what comparisons compare, so that libFuzzer finds magic numbers.
const FLAGS: [&str; 9] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    // Branches that are folded into one are not told apart.
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    // The pass has to see a crate whole.
    "-Ccodegen-units=1",
    "-Cforce-frame-pointers=yes",
];

/// Builds all targets; the folder where they are.
pub(super) fn build(root: &Path) -> Result<PathBuf> {
    let triple = triple()?;
    let mut build = cargo(root, "build", &triple);
    let status = build.arg("--bins").status().with_context(|| format!("starting {}", describe(&build)))?;
    if !status.success() {
        bail!("the fuzz targets do not build (a C++ compiler is needed: `cargo xtask setup --for dev`)");
    }
    Ok(folder(root).join(triple).join("release"))
}

/// Whether clippy has nothing to say of targets and seeds.
pub(super) fn clippy(root: &Path) -> Result<bool> {
    let mut clippy = cargo(root, "clippy", &triple()?);
    clippy.args(["--all-targets", "--", "-D", "warnings"]);
    Ok(clippy.status().with_context(|| format!("starting {}", describe(&clippy)))?.success())
}

fn cargo(root: &Path, what: &str, triple: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args([what, "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml"]);
    // With a target named, build scripts and macros are built without the flags.
    cargo.args(["--target", triple, "--target-dir"]).arg(folder(root));
    cargo.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    cargo
}

fn folder(root: &Path) -> PathBuf {
    target_dir(root).join("fuzz")
}

/// This machine, as the compiler calls it.
fn triple() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = output(Command::new(rustc).arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}
