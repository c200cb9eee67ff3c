//! What `cargo xtask bench xdp | expiry | contention` measures in the kernel; prints a report as JSON.

mod bpf;
mod contention;
mod expiry;
mod frames;
mod kernel;
mod peer;
mod report;
mod xdp;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|a| a == "--quick");
    let report = match arguments.first().map(String::as_str) {
        Some("xdp") => xdp::run(quick)?,
        Some("expiry") => expiry::run(quick)?,
        Some("contention") => contention::run(quick)?,
        _ => bail!("what to measure: xdp, expiry or contention"),
    };
    println!("{report}");
    Ok(())
}
