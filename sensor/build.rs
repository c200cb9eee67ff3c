//! Builds the kernel half and leaves its object in `OUT_DIR`, to be embedded.
//!
//! aya-build insists on rustup; here any compiler serves that has the sources of `core`: a rustup toolchain's
//! (component rust-src) first, the system's second. `cargo xtask setup --for run` installs what is missing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const HOW: &str = "run `cargo xtask setup --for run` as root, which installs what the kernel half is built with";
const TARGET: &str = "bpfel-unknown-none";
/// Version 3 of the instruction set has the 32-bit atomics of the try-lock.
const FLAGS: [&str; 4] = ["-Cdebuginfo=2", "-Clink-arg=--btf", "-Clinker=bpf-linker", "-Ctarget-cpu=v3"];

/// A compiler with the sources of `core`, and the cargo that goes with it.
struct Toolchain {
    rustc: PathBuf,
    cargo: PathBuf,
}

fn main() {
    println!("cargo::rerun-if-changed=../sensor-ebpf/src");
    println!("cargo::rerun-if-changed=../sensor-ebpf/Cargo.toml");
    println!("cargo::rerun-if-changed=../sensor-ebpf/Cargo.lock");
    println!("cargo::rerun-if-changed=../flow/src");
    println!("cargo::rerun-if-env-changed=GANGLION_BPF_RUSTC");
    println!("cargo::rerun-if-env-changed=GANGLION_BPF_CARGO");
    if let Err(message) = build() {
        println!("cargo::error={message}");
        std::process::exit(1);
    }
}

fn build() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets no OUT_DIR")?);
    let toolchain = find_toolchain().ok_or(format!("no Rust compiler with the sources of `core` found: {HOW}"))?;
    let path = search_path();
    if !env::split_paths(&path).any(|dir| dir.join("bpf-linker").is_file()) {
        return Err(format!("bpf-linker is not on the PATH: {HOW}"));
    }
    // One folder for debug and release builds: `core` is the dear part.
    let target = out.ancestors().nth(4).unwrap_or(&out).join("sensor-ebpf");
    let status = Command::new(&toolchain.cargo)
        .args(["build", "--features", &features().join(",")])
        .args(["--quiet", "--release", "--locked", "-Zbuild-std=core", "--target", TARGET, "--target-dir"])
        .arg(&target)
        .current_dir("../sensor-ebpf")
        .env_clear()
        .envs(env::vars_os().filter(|(name, _)| is_inherited(name)))
        .env("PATH", path)
        .env("RUSTC", &toolchain.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"))
        .status()
        .map_err(|error| format!("{} can't be started: {error}; {HOW}", toolchain.cargo.display()))?;
    if !status.success() {
        return Err(format!("the kernel half does not build with {} ({status})", toolchain.rustc.display()));
    }
    let object = target.join(TARGET).join("release/ganglion");
    fs::copy(&object, out.join("ganglion.bpf.o"))
        .map(drop)
        .map_err(|error| format!("{} can't be copied: {error}", object.display()))
}

/// Features of the kernel half. It runs on the processor that the sensor is built for.
fn features() -> Vec<&'static str> {
    let bench = env::var_os("CARGO_FEATURE_BENCH").map(|_| "bench");
    let ordered = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64").then_some("ordered-stores");
    bench.into_iter().chain(ordered).collect()
}

/// Cargo's and rustc's own variables speak of the outer build.
fn is_inherited(name: &OsString) -> bool {
    name.to_str().is_some_and(|name| {
        matches!(name, "HOME" | "CARGO_HOME" | "RUSTUP_HOME" | "TMPDIR" | "USER")
            || name.starts_with("CARGO_HTTP")
            || name.starts_with("CARGO_REGISTR")
            || name.starts_with("CARGO_NET")
            || name.to_ascii_lowercase().ends_with("_proxy")
            || name.starts_with("SSL_CERT")
    })
}

fn search_path() -> OsString {
    let mut dirs: Vec<PathBuf> = env::var_os("PATH").map(|p| env::split_paths(&p).collect()).unwrap_or_default();
    dirs.extend(env::var_os("CARGO_HOME").map(|home| PathBuf::from(home).join("bin")));
    dirs.extend(env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo/bin")));
    env::join_paths(dirs).unwrap_or_default()
}

fn find_toolchain() -> Option<Toolchain> {
    if let (Some(rustc), Some(cargo)) = (env::var_os("GANGLION_BPF_RUSTC"), env::var_os("GANGLION_BPF_CARGO")) {
        return Some(Toolchain { rustc: rustc.into(), cargo: cargo.into() });
    }
    let rustup = ["nightly", "stable"].into_iter().filter_map(|channel| {
        Some(Toolchain { rustc: rustup_which(channel, "rustc")?, cargo: rustup_which(channel, "cargo")? })
    });
    let system = Toolchain { rustc: "/usr/bin/rustc".into(), cargo: "/usr/bin/cargo".into() };
    rustup.chain([system]).find(has_core_sources)
}

fn rustup_which(channel: &str, tool: &str) -> Option<PathBuf> {
    let output = Command::new("rustup").args(["which", "--toolchain", channel, tool]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    (output.status.success() && path.is_file()).then_some(path)
}

fn has_core_sources(toolchain: &Toolchain) -> bool {
    let sysroot = Command::new(&toolchain.rustc).args(["--print", "sysroot"]).output();
    sysroot.is_ok_and(|output| {
        let root = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success()
            && Path::new(&root).join("lib/rustlib/src/rust/library/core/Cargo.toml").is_file()
            && toolchain.cargo.is_file()
    })
}
