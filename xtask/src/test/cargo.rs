//! Runs cargo, shows what it says, counts its tests.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::Tally;
use crate::process::describe;

/// `cargo` with these arguments in the repository.
pub(crate) fn command(root: &Path, args: &[&str]) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).args(args);
    cargo
}

/// One check: passes when cargo succeeds.
pub(crate) fn check(root: &Path, args: &[&str]) -> Result<Tally> {
    let mut cargo = command(root, args);
    let what = format!("`cargo {}`", args.join(" "));
    let status = cargo.status().with_context(|| format!("starting {}", describe(&cargo)))?;
    Ok(Tally::of(status.success(), &what))
}

/// Counts the tests of `cargo test …`; a build that fails is one failure.
pub(crate) fn test(root: &Path, args: &[&str]) -> Result<Tally> {
    let mut cargo = command(root, &["test", "--no-fail-fast"]);
    cargo.args(args).stdout(Stdio::piped());
    let mut child = cargo.spawn().with_context(|| format!("starting {}", describe(&cargo)))?;
    let mut tally = Tally::default();
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            tally.read(&line);
            if line.contains(" ... FAILED") {
                tally.notes.push(line.trim().to_owned());
            }
            println!("{line}");
        }
    }
    if !child.wait()?.success() && tally.failed == 0 {
        tally.add(Tally::failure(format!("`cargo test {}` does not build or broke off", args.join(" "))));
    }
    Ok(tally)
}

/// How many tests `cargo test …` would run.
pub(crate) fn list(root: &Path, args: &[&str]) -> Result<u64> {
    let mut cargo = command(root, &["test", "--quiet"]);
    cargo.args(args).args(["--", "--list"]);
    let listed = crate::process::output(&mut cargo)?;
    Ok(listed.lines().filter(|line| line.ends_with(": test")).count() as u64)
}
