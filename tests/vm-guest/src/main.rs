//! The only program of the virtual machine: process 1, which prepares the machine, runs the checks, says on the
//! console how each ended, and powers off.
//!
//! Lines for the harness (`cargo xtask test vm`) begin with `guest: `:
//! `guest: ok NAME`, `guest: failed NAME: why`, and at the end `guest: done, N passed, N failed`.

mod machine;
mod veth;

use std::process::ExitCode;

use anyhow::Result;

/// A check, and its name in the report.
type Check = (&'static str, fn() -> Result<()>);

const CHECKS: &[Check] = &[("veth", veth::check)];

fn main() -> ExitCode {
    if std::process::id() != 1 {
        eprintln!("this is the init of a virtual machine; `cargo xtask test vm` boots it");
        return ExitCode::from(2);
    }
    match machine::prepare() {
        Ok(kernel) => println!("guest: kernel {kernel}"),
        Err(error) => println!("guest: failed prepare: {error:#}"),
    }
    let (mut passed, mut failed) = (0, 0);
    for (name, check) in CHECKS {
        match check() {
            Ok(()) => {
                passed += 1;
                println!("guest: ok {name}");
            }
            Err(error) => {
                failed += 1;
                println!("guest: failed {name}: {error:#}");
            }
        }
    }
    println!("guest: done, {passed} passed, {failed} failed");
    machine::power_off()
}
