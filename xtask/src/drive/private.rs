//! Starts a daemon in a mount namespace of its own, in which the range's user files lie over the
//! machine's and `/run` is empty but for the run's own folder.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::lab::accounts;

#[derive(clap::Args)]
pub(super) struct Args {
    dir: PathBuf,
    program: PathBuf,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("a mount namespace (needs root)")?;
    // Nothing mounted below is seen outside; what is unmounted outside goes here too.
    change(None, Path::new("/"), MsFlags::MS_SLAVE | MsFlags::MS_REC)?;
    for name in accounts::FILES {
        bind(&args.dir.join("etc").join(name), &Path::new("/etc").join(name))?;
    }
    let pam = Path::new("/etc/pam.d/vsftpd");
    if pam.exists() {
        bind(&args.dir.join("etc").join(accounts::PAM), pam)?;
    }
    // sshd wants /run/sshd, which only its service makes.
    let aside = Path::new("/mnt");
    bind(&args.dir, aside)?;
    mount(Some("tmpfs"), Path::new("/run"), Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
        .context("an empty /run")?;
    fs::create_dir_all("/run/sshd")?;
    fs::create_dir_all(&args.dir)?;
    change(Some(aside), &args.dir, MsFlags::MS_MOVE)?;
    let error = Command::new(&args.program).args(&args.args).exec();
    Err(error).with_context(|| format!("starting {}", args.program.display()))
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    change(Some(from), to, MsFlags::MS_BIND)
}

fn change(from: Option<&Path>, to: &Path, flags: MsFlags) -> Result<()> {
    mount(from, to, None::<&str>, flags, None::<&str>).with_context(|| format!("mounting over {}", to.display()))
}
