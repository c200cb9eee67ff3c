//! Guessing passwords.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::super::accounts::USER;
use super::{Plan, Stage, single};

pub(super) fn hydra(stage: &Stage<'_>) -> Result<Plan> {
    let (attacker, server) = (stage.attacker(0)?, stage.shared.server()?);
    let mut words = String::new();
    for number in 0..stage.number("attempts")? {
        writeln!(words, "guess{:06}", (stage.seed.wrapping_add(number * 7919)) % 1_000_000)?;
    }
    let folder = stage.shared.dir.path.join("tmp");
    let list = folder.join(format!("words-{}", stage.seed));
    std::fs::write(&list, words).with_context(|| format!("writing {}", list.display()))?;

    let mut command = attacker.command("hydra");
    // hydra keeps its state in the folder it runs in.
    command.current_dir(folder).args(["-I", "-l", USER, "-P"]).arg(&list);
    command.args(["-t", &stage.number("tasks")?.to_string(), "-w", "5"]);
    command.arg(format!("{}://{}", stage.variant(), server.v4));
    Ok(single(attacker, server, 4, command))
}
