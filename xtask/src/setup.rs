//! `cargo xtask setup`: says what is missing, asks, installs it, says what there is now.
//!
//! For Debian 12 on x86-64 with rustup. What is needed stands in [`needs`] as data; running it again
//! changes nothing.

mod apt;
mod bpf;
mod deny;
mod needs;
mod onnx;
mod python;
mod report;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::ValueEnum;

use needs::Need;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the machine is for; each includes the ones before it
    #[arg(long = "for", value_enum)]
    purpose: Purpose,
    /// Do not ask (nor when the environment says CI)
    #[arg(long)]
    yes: bool,
    /// The final table as JSON
    #[arg(long)]
    json: bool,
}

/// What a machine is set up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Purpose {
    /// Build and run Ganglion, its demo and its laboratory
    Run,
    /// Test and change it
    Dev,
    /// Train models
    Train,
}

/// Something that is there.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) path: String,
    pub(crate) version: String,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if std::env::consts::ARCH != "x86_64" {
        bail!("setup knows Debian 12 on x86-64 only; this machine is {}", std::env::consts::ARCH);
    }
    crate::stop::listen()?;
    let needs = needs::of(args.purpose);
    let missing = missing(&needs)?;
    if !missing.is_empty() {
        explain(&missing);
        if !nix::unistd::geteuid().is_root() {
            bail!("installing needs root: run this with sudo, or as root");
        }
        ask(args)?;
        install(&missing)?;
    }
    report::print(&needs, args.json)
}

/// How a command that needs things installed gets them.
#[derive(Debug, clap::Args)]
pub(crate) struct Ensure {
    /// Install what is missing without asking (nor when the environment says CI, or nobody can be asked)
    #[arg(long)]
    yes: bool,
    /// Nothing is looked for or installed first
    #[arg(long)]
    no_setup: bool,
}

impl Ensure {
    /// Installs what is missing for `purpose`; says nothing when all is there.
    pub(crate) fn run(&self, purpose: Purpose) -> Result<()> {
        if self.no_setup || missing(&needs::of(purpose))?.is_empty() {
            return Ok(());
        }
        // Who starts such a command in a script wants it to run.
        run(&Args { purpose, yes: self.yes || !std::io::stdin().is_terminal(), json: false })
    }
}

/// A Debian package that one command alone needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extra {
    pub(crate) package: &'static str,
    /// By which it is known, whoever installed that; without one, dpkg is asked.
    pub(crate) program: Option<&'static str>,
    pub(crate) what: &'static str,
}

impl Ensure {
    /// Installs what is missing of `extras`; an error where it stays missing.
    pub(crate) fn extra(&self, extras: &[Extra]) -> Result<()> {
        let needs: Vec<Need> = extras.iter().map(Need::extra).collect();
        let missing = missing(&needs)?;
        let Some(first) = missing.first() else { return Ok(()) };
        if self.no_setup {
            bail!("{} is not installed", first.name);
        }
        explain(&missing);
        if !nix::unistd::geteuid().is_root() {
            bail!("{} is not installed, and installing needs root", first.name);
        }
        ask(&Args { purpose: Purpose::Run, yes: self.yes || !std::io::stdin().is_terminal(), json: false })?;
        install(&missing)
    }

    /// A Python environment in `folder` with these packages, pinned; made where it is not there.
    pub(crate) fn python(&self, folder: &Path, packages: &[&str]) -> Result<PathBuf> {
        if !python::has(folder, packages) {
            if self.no_setup {
                bail!("{} is not there", folder.display());
            }
            self.extra(&[Extra { package: "python3-venv", program: None, what: "Python environments" }])?;
            python::make(folder, packages)?;
        }
        Ok(folder.to_owned())
    }
}

fn missing(needs: &[Need]) -> Result<Vec<&Need>> {
    let mut missing = Vec::new();
    for need in needs {
        if need.find()?.is_none() {
            missing.push(need);
        }
    }
    Ok(missing)
}

/// To standard error: the final table alone belongs to standard output.
fn explain(missing: &[&Need]) {
    eprintln!("Missing:");
    for need in missing {
        eprintln!("  {:<20} {}", need.name, need.what);
        if !need.is_package() {
            eprintln!("  {:<20}   by {}", "", need.how);
        }
    }
    eprintln!("Packages come from Debian by apt-get; their daemons are kept from starting.");
}

fn ask(args: &Args) -> Result<()> {
    if args.yes || std::env::var_os("CI").is_some() {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        bail!("nobody to ask: `--yes` installs without asking");
    }
    eprint!("Install all of this? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        bail!("nothing was installed");
    }
    Ok(())
}

/// Packages at once, then the rest in the order of the table.
fn install(missing: &[&Need]) -> Result<()> {
    let (packages, others): (Vec<&Need>, Vec<&Need>) = missing.iter().copied().partition(|need| need.is_package());
    let packages: Vec<&str> = packages.iter().map(|need| need.name).collect();
    if !packages.is_empty() {
        apt::install(&packages)?;
    }
    for need in others {
        crate::stop::check()?;
        need.install()?;
    }
    Ok(())
}
