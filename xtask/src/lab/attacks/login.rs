//! Guessing passwords.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::super::accounts::USER;
use super::{Plan, Stage, single};

pub(super) fn hydra(stage: &Stage<'_>) -> Result<Plan> {
    let (attacker, server) = (stage.attacker(0)?, stage.shared.server()?);
    let (folder, list) = words(stage)?;
    let mut command = attacker.command("hydra");
    // hydra keeps its state in the folder it runs in.
    command.current_dir(folder).args(["-I", "-l", USER, "-P"]).arg(&list);
    command.args(["-t", &stage.number("tasks")?.to_string(), "-w", "5"]);
    if stage.family()? == 6 {
        command.arg("-6");
    }
    command.arg(stage.url(stage.variant(), server)?);
    Ok(single(attacker, server, stage.family()?, command))
}

/// medusa asks several times over one connection, where hydra makes a new one sooner. It takes no IPv6 address.
pub(super) fn medusa(stage: &Stage<'_>) -> Result<Plan> {
    let (attacker, server) = (stage.attacker(0)?, stage.shared.server()?);
    let (folder, list) = words(stage)?;
    let mut command = attacker.command("medusa");
    command.current_dir(folder).args(["-h", &server.v4.to_string(), "-u", USER, "-P"]).arg(&list);
    command.args(["-M", stage.variant(), "-t", &stage.number("tasks")?.to_string(), "-g", "5", "-r", "0", "-b"]);
    Ok(single(attacker, server, 4, command))
}

/// A list of wrong passwords, in a folder that goes away with the run.
fn words(stage: &Stage<'_>) -> Result<(PathBuf, PathBuf)> {
    let mut words = String::new();
    for number in 0..stage.number("attempts")? {
        writeln!(words, "guess{:06}", (stage.seed.wrapping_add(number * 7919)) % 1_000_000)?;
    }
    write(stage, "words", &words)
}

/// A list for a tool; the folder, and the file in it.
pub(super) fn write(stage: &Stage<'_>, name: &str, text: &str) -> Result<(PathBuf, PathBuf)> {
    let folder: &Path = &stage.shared.dir.path.join("tmp");
    let list = folder.join(format!("{name}-{}", stage.seed));
    std::fs::write(&list, text).with_context(|| format!("writing {}", list.display()))?;
    Ok((folder.to_owned(), list))
}
