//! The suites, each named as on the command line.

use anyhow::Result;
use clap::ValueEnum;

use super::{Place, Tally, cargo, deploy, has, python};

/// A group of tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Suite {
    /// Formatting and clippy, for the workspace and the kernel half
    Lint,
    /// Unit tests and doc tests of the workspace
    Unit,
    /// Flows and columns of the cicflowmeter profile, cell by cell with the reference's own outputs
    Oracle,
    /// The fuzz targets: their seeds, and a bounded run of each
    Fuzz,
    /// Units, scrape configuration, alert rules and dashboard
    Deploy,
    /// The trainer
    Python,
    /// The kernel half, packet by packet (BPF_PROG_TEST_RUN)
    Kernel,
    /// The real binary in network namespaces
    E2e,
    /// The kernel half on Debian 12's kernel 6.1, under qemu
    Vm,
    /// Licences and sources of the dependencies (advisories need the network: `cargo deny check`)
    Licences,
}

/// The package of the end-to-end tests.
const E2E: &str = "ganglion-e2e";
/// The guest is tested by booting it.
const GUEST: &str = "ganglion-vm-guest";
const SENSOR: &str = "ganglion-sensor";
/// The comparison with the reference: no part of `cargo test`, because it prints its columns.
const ORACLE: [&str; 4] = ["--package", "ganglion-extract", "--test", "oracle"];

impl Suite {
    /// All of them, the fast ones first.
    pub(crate) const ALL: &'static [Self] = &[
        Self::Lint,
        Self::Unit,
        Self::Oracle,
        Self::Deploy,
        Self::Python,
        Self::Fuzz,
        Self::Kernel,
        Self::E2e,
        Self::Vm,
        Self::Licences,
    ];

    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lint => "lint",
            Self::Unit => "unit",
            Self::Oracle => "oracle",
            Self::Fuzz => "fuzz",
            Self::Deploy => "deploy",
            Self::Python => "python",
            Self::Kernel => "kernel",
            Self::E2e => "e2e",
            Self::Vm => "vm",
            Self::Licences => "licences",
        }
    }

    /// Runs it.
    pub(crate) fn run(self, place: &Place) -> Result<Tally> {
        match self {
            Self::Lint => lint(place),
            Self::Unit => unit(place),
            Self::Oracle => oracle(place),
            Self::Fuzz => crate::fuzz::suite(place),
            Self::Deploy => deploy::run(&place.root),
            Self::Python => python::run(&place.root),
            Self::Kernel => in_kernel(place, &["--package", SENSOR, "--test", "*"]),
            Self::E2e => in_kernel(place, &["--package", E2E]),
            Self::Vm => vm(place),
            Self::Licences => licences(place),
        }
    }
}

fn lint(place: &Place) -> Result<Tally> {
    let root = &place.root;
    let mut tally = cargo::check(root, &["fmt", "--all", "--check"])?;
    tally.add(cargo::check(root, &["fmt", "--check", "--manifest-path", "sensor-ebpf/Cargo.toml"])?);
    tally.add(cargo::check(root, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?);
    tally.add(cargo::check(root, &[&["clippy"], &ORACLE[..], &["--", "-D", "warnings"]].concat())?);
    tally.add(kernel_half(root)?);
    Ok(tally)
}

fn unit(place: &Place) -> Result<Tally> {
    let root = &place.root;
    let mut tally = cargo::test(root, &["--workspace", "--exclude", E2E, "--exclude", GUEST, "--exclude", SENSOR])?;
    tally.add(cargo::test(root, &["--package", SENSOR, "--lib"])?);
    tally.add(cargo::test(root, &["--package", SENSOR, "--doc"])?);
    Ok(tally)
}

fn oracle(place: &Place) -> Result<Tally> {
    cargo::test(&place.root, &ORACLE)
}

fn in_kernel(place: &Place, args: &[&str]) -> Result<Tally> {
    if let Some(why) = &place.no_kernel {
        return Ok(Tally::skip(cargo::list(&place.root, args)?, why));
    }
    Ok(cargo::test(&place.root, args)?.insist("this is root on a kernel with BTF"))
}

fn vm(place: &Place) -> Result<Tally> {
    match crate::vm::obstacle() {
        None => crate::vm::run(&place.root),
        Some(why) if place.no_kernel.is_some() => Ok(Tally::skip(1, &why)),
        Some(why) => Ok(Tally::skip(1, &why).insist("this is root on a kernel with BTF")),
    }
}

fn licences(place: &Place) -> Result<Tally> {
    if !has("cargo-deny") {
        return Ok(Tally::skip(1, "no cargo-deny here: `cargo xtask setup --for dev` installs it"));
    }
    cargo::check(&place.root, &["deny", "check", "bans", "licenses", "sources"])
}

/// The kernel half under clippy. For the host: its target has no compiled `core` in every toolchain.
fn kernel_half(root: &std::path::Path) -> Result<Tally> {
    let args = ["clippy", "--manifest-path", "sensor-ebpf/Cargo.toml", "--target-dir", "target/sensor-ebpf-lint"];
    let mut cargo = cargo::command(root, &args);
    // Its intrinsics are unstable.
    cargo.args(["--", "-D", "warnings"]).env("RUSTC_BOOTSTRAP", "1");
    Ok(Tally::of(cargo.status()?.success(), "clippy of the kernel half"))
}
