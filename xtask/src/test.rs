//! `cargo xtask test`: everything that can fail, in the order in which it fails fastest.

pub(crate) mod cargo;
mod deploy;
mod python;
mod suite;
mod tally;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};

use crate::setup::{Ensure, Purpose};

pub(crate) use suite::Suite;
pub(crate) use tally::Tally;

/// `cargo xtask test`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
As root on a kernel with BTF a skipped kernel, e2e or vm test counts as failed.

Examples:
  cargo xtask test              everything, after installing what is missing; what CI runs
  cargo xtask test lint unit    seconds, without privileges
  sudo -E cargo xtask test e2e  the real binary in network namespaces")]
pub(crate) struct Args {
    /// What to run; everything when none is named
    #[arg(value_enum)]
    suites: Vec<Suite>,
    #[command(flatten)]
    setup: Ensure,
}

/// Where the tests run.
pub(crate) struct Place {
    /// The repository.
    pub(crate) root: PathBuf,
    /// Why nothing can be loaded into this kernel, where that is so.
    pub(crate) no_kernel: Option<String>,
}

impl Place {
    fn here() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned();
        let no_kernel = if !nix::unistd::geteuid().is_root() {
            Some("needs root".to_owned())
        } else if !Path::new("/sys/kernel/btf/vmlinux").exists() {
            Some("this kernel has no BTF (/sys/kernel/btf/vmlinux)".to_owned())
        } else {
            None
        };
        Self { root, no_kernel }
    }
}

/// Runs the suites; the last line says what came of them.
pub(crate) fn run(args: &Args) -> Result<()> {
    crate::stop::listen()?;
    if args.suites.is_empty() {
        args.setup.run(Purpose::Train)?;
    }
    let place = Place::here();
    let suites = if args.suites.is_empty() { Suite::ALL.to_vec() } else { args.suites.clone() };
    let mut all = Tally::default();
    let mut rows = Vec::new();
    for suite in suites {
        crate::stop::check()?;
        println!("\n== {} ==", suite.name());
        let begun = Instant::now();
        let tally = suite.run(&place).unwrap_or_else(|error| Tally::failure(format!("{error:#}")));
        for note in &tally.notes {
            println!("{}: {note}", suite.name());
        }
        rows.push(format!("{:<9} {tally}  ({:.0} s)", suite.name(), begun.elapsed().as_secs_f64()));
        all.add(tally);
    }
    println!("\n{}\n", rows.join("\n"));
    println!("{all}");
    if all.failed > 0 {
        // The counts are the last line; an error message would stand behind them.
        std::process::exit(1);
    }
    if all.passed == 0 {
        bail!("nothing was tested");
    }
    Ok(())
}

/// Whether a program can be found.
pub(crate) fn has(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}
