//! Somebody types into an SSH session, key by key, with a mistake and a pause here and there.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rand::Rng;

use super::pace::pause;
use crate::lab::accounts::{PASSWORD, USER};
use crate::lab::draw::rng;

#[derive(clap::Args)]
pub(super) struct Args {
    server: String,
    #[arg(long)]
    keys: usize,
    #[arg(long, default_value_t = 80)]
    pause_ms: u64,
    /// A wrong password first.
    #[arg(long)]
    mistype: bool,
    #[arg(long)]
    seed: u64,
}

/// Options that keep ssh and scp from remembering or asking anything.
pub(crate) const SSH_OPTIONS: [&str; 8] = [
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "UserKnownHostsFile=/dev/null",
    "-o",
    "PreferredAuthentications=password",
    "-F",
    "/dev/null",
];

pub(super) fn run(args: &Args) -> Result<()> {
    let server = super::address(&args.server)?;
    let login = |password: &str| {
        let mut command = Command::new("sshpass");
        command.args(["-p", password, "ssh", "-tt"]).args(SSH_OPTIONS);
        command.args(["-o", "NumberOfPasswordPrompts=1", &format!("{USER}@{server}")]);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        command
    };
    let mut rng = rng(args.seed, "typing", 0);
    if args.mistype {
        let status = login("correct horse batery").status().context("starting sshpass")?;
        if status.success() {
            bail!("the wrong password was taken");
        }
        pause(Duration::from_millis(1500), &mut rng);
    }
    let mut session = login(PASSWORD).spawn().context("starting sshpass")?;
    let Some(mut keyboard) = session.stdin.take() else { bail!("no keyboard") };
    std::thread::sleep(Duration::from_millis(600));
    const LINES: &str = "ls -l /etc\nuptime\ncat /proc/meminfo\nps aux\necho done\nhead -c 20000 /etc/services\ndf\n";
    for key in LINES.bytes().cycle().skip(rng.random_range(0..40)).take(args.keys) {
        keyboard.write_all(&[key])?;
        let mean = if key == b'\n' { args.pause_ms * 5 } else { args.pause_ms };
        pause(Duration::from_millis(mean), &mut rng);
    }
    // Whatever was typed half may be waiting for input.
    keyboard.write_all(b"\x03\x03\nexit 0\n")?;
    drop(keyboard);
    let status = session.wait()?;
    if !status.success() && status.code() != Some(127) {
        bail!("ssh ended with {status}");
    }
    Ok(())
}
