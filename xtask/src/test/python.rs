//! The trainer's checks. They need its environment, which only `cargo xtask setup --for train` makes.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::Tally;

/// Runs ruff, mypy and the trainer's tests where its environment is.
pub(crate) fn run(root: &Path) -> Result<Tally> {
    let trainer = root.join("trainer");
    let python = trainer.join(".venv/bin/python");
    if !python.exists() {
        return Ok(Tally::skip(1, "no trainer/.venv: `cargo xtask setup --for train`, then run this again"));
    }
    let mut tally = module(&trainer, &python, &["ruff", "check", "."])?;
    tally.add(module(&trainer, &python, &["ruff", "format", "--check", "."])?);
    tally.add(module(&trainer, &python, &["mypy"])?);
    tally.add(pytest(&trainer, &python)?);
    Ok(tally)
}

fn module(trainer: &Path, python: &Path, args: &[&str]) -> Result<Tally> {
    let status = Command::new(python).current_dir(trainer).arg("-m").args(args).status()?;
    Ok(Tally::of(status.success(), &format!("`python -m {}`", args.join(" "))))
}

fn pytest(trainer: &Path, python: &Path) -> Result<Tally> {
    let output = Command::new(python).current_dir(trainer).args(["-m", "pytest", "-q"]).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    let mut tally = counts(said.lines().last().unwrap_or_default());
    if !output.status.success() && tally.failed == 0 {
        tally.add(Tally::failure(format!("pytest: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    Ok(tally)
}

/// Reads pytest's last line: `1 failed, 11 passed, 2 skipped in 0.52s`.
fn counts(line: &str) -> Tally {
    let mut tally = Tally::default();
    let words: Vec<_> = line.trim_matches(['=', ' ']).split([' ', ',']).filter(|word| !word.is_empty()).collect();
    for pair in words.windows(2) {
        let (Ok(number), Some(word)) = (pair.first().unwrap_or(&"").parse::<u64>(), pair.get(1)) else { continue };
        match *word {
            "passed" => tally.passed += number,
            "failed" | "error" | "errors" => tally.failed += number,
            "skipped" => tally.skipped += number,
            _ => {}
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_last_line_of_pytest() {
        let tally = super::counts("=== 1 failed, 11 passed, 2 skipped, 1 error in 0.52s ===");
        assert_eq!(tally.to_string(), "11 passed, 2 failed, 2 skipped");
    }
}
