//! The only program of the virtual machine: process 1, which prepares the machine, runs the checks, says on the
//! console how each ended, and powers off.
//!
//! Lines for the harness (`cargo xtask test vm`) begin with `guest: `:
//! `guest: ok NAME`, `guest: failed NAME: why`, and at the end `guest: done, N passed, N failed`.

mod agent;
mod checks;
mod frames;
mod machine;
mod veth;

use std::process::ExitCode;

use anyhow::Result;
use checks::{CHECKS, Scene};
use ganglion_sensor::config::Ingress;

/// Lines shown of a long error.
const LAST_LINES: usize = 40;

/// What came of the checks.
#[derive(Default)]
struct Report {
    passed: u32,
    failed: u32,
}

impl Report {
    fn note<T>(&mut self, name: &str, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.passed += 1;
                println!("guest: ok {name}");
                Some(value)
            }
            Err(error) => {
                self.failed += 1;
                let text = format!("{error:#}");
                println!("guest: failed {name}: {}", text.lines().next().unwrap_or_default());
                // The verifier's log says at its end what was wrong.
                let rest: Vec<_> = text.lines().skip(1).collect();
                for line in rest.iter().skip(rest.len().saturating_sub(LAST_LINES)) {
                    println!("guest: | {line}");
                }
                None
            }
        }
    }
}

fn main() -> ExitCode {
    if std::process::id() != 1 {
        eprintln!("this is the init of a virtual machine; `cargo xtask test vm` boots it");
        return ExitCode::from(2);
    }
    let mut report = Report::default();
    if let Some(kernel) = report.note("prepare", machine::prepare()) {
        println!("guest: kernel {kernel}");
        run(&mut report, "xdp native", Ingress::Auto);
        run(&mut report, "clsact", Ingress::Clsact);
    }
    println!("guest: done, {} passed, {} failed", report.passed, report.failed);
    machine::power_off()
}

/// All checks on a sensor that meets packets at this hook.
fn run(report: &mut Report, hook: &'static str, ingress: Ingress) {
    let Some(mut scene) = report.note(&format!("{hook}: load and attach"), Scene::open(hook, ingress)) else { return };
    for (name, check) in CHECKS {
        report.note(&format!("{hook}: {name}"), check(&mut scene));
    }
    report.note(&format!("{hook}: a clean end"), scene.close());
}
