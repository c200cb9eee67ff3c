//! One run of one target under libFuzzer, and what came of it.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Target;
use crate::process::describe;

/// Memory of the whole process: far above what any input may take, a window of zstd (128 MiB) included.
const RSS_MAX_MIB: u32 = 512;
/// Seconds for one input.
const INPUT_MAX_S: u32 = 10;
/// What libFuzzer exits with when it was interrupted.
const INTERRUPTED: i32 = 72;
/// Lines of a quiet run that are shown when it fails.
const TAIL: usize = 40;

/// When a run is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) runs: Option<u64>,
    pub(super) time: Option<Duration>,
    /// Processes.
    pub(super) jobs: u16,
}

/// Where targets and inputs are.
pub(super) struct Session {
    /// `fuzz/`.
    pub(super) folder: PathBuf,
    pub(super) binaries: PathBuf,
    /// Shows what libFuzzer says while it runs.
    pub(super) loud: bool,
}

/// What came of a run, as libFuzzer said.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) success: bool,
    pub(super) executed: u64,
    /// Edges of the program, and features: edges by how often, and values compared.
    coverage: (u64, u64),
    /// Inputs that are worth keeping.
    kept: u64,
    taken: Duration,
    /// The input that something was found with.
    pub(super) artefact: Option<PathBuf>,
}

impl Session {
    /// Where inputs found are kept, as `cargo fuzz` has it.
    pub(super) fn corpus(&self, target: Target) -> PathBuf {
        self.folder.join("corpus").join(target.name())
    }

    fn seeds(&self, target: Target) -> PathBuf {
        self.folder.join("seeds").join(target.name())
    }

    /// From seeds and corpus, which grows, within `bounds`.
    pub(super) fn run(&self, target: Target, corpus: &Path, bounds: Bounds) -> Result<Outcome> {
        let mut command = self.command(target)?;
        command.args(bounds.runs.map(|runs| format!("-runs={runs}")));
        command.args(bounds.time.map(|time| format!("-max_total_time={}", time.as_secs())));
        if bounds.jobs > 1 {
            command.arg(format!("-fork={}", bounds.jobs));
        }
        fs::create_dir_all(corpus).with_context(|| format!("creating {}", corpus.display()))?;
        self.watch(command.arg(corpus).arg(self.seeds(target)))
    }

    /// The seeds alone, once each.
    pub(super) fn replay(&self, target: Target) -> Result<Outcome> {
        self.watch(self.command(target)?.arg("-runs=0").arg(self.seeds(target)))
    }

    /// One input, with all that is said of it.
    pub(super) fn once(&self, target: Target, input: &Path) -> Result<()> {
        if !input.is_file() {
            bail!("{}: no such file", input.display());
        }
        let mut command = self.command(target)?;
        command.arg(input).env("RUST_BACKTRACE", "1");
        let status = command.status().with_context(|| format!("starting {}", describe(&command)))?;
        if !status.success() {
            bail!("{} fails with {} ({status})", target.name(), input.display());
        }
        println!("{}: {} is harmless", target.name(), input.display());
        Ok(())
    }

    fn command(&self, target: Target) -> Result<Command> {
        let artefacts = self.folder.join("artifacts").join(target.name());
        fs::create_dir_all(&artefacts).with_context(|| format!("creating {}", artefacts.display()))?;
        let mut command = Command::new(self.binaries.join(target.name()));
        command.arg(format!("-max_len={}", target.input_bytes_max()));
        command.arg(format!("-rss_limit_mb={RSS_MAX_MIB}")).arg(format!("-timeout={INPUT_MAX_S}"));
        command.arg(format!("-artifact_prefix={}/", artefacts.display()));
        Ok(command)
    }

    fn watch(&self, command: &mut Command) -> Result<Outcome> {
        let begun = Instant::now();
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
        let child = child.as_mut().map_err(|error| anyhow::anyhow!("starting {}: {error}", describe(command)))?;
        let (mut outcome, mut said) = (Outcome::default(), Vec::new());
        if let Some(stderr) = child.stderr.take() {
            for line in BufReader::new(stderr).split(b'\n') {
                let line = String::from_utf8_lossy(&line?).into_owned();
                outcome.read(&line);
                if self.loud {
                    eprintln!("{line}");
                } else {
                    said.push(line);
                }
            }
        }
        let status = child.wait()?;
        outcome.taken = begun.elapsed();
        outcome.success = outcome.artefact.is_none() && (status.success() || status.code() == Some(INTERRUPTED));
        if !outcome.success {
            said.iter().skip(said.len().saturating_sub(TAIL)).for_each(|line| eprintln!("{line}"));
        }
        Ok(outcome)
    }
}

impl Outcome {
    /// Takes the figures of a status line (`#123 NEW cov: 4 ft: 5 corp: 6/7b …`) and the path of a finding.
    fn read(&mut self, line: &str) {
        if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.artefact = Some(PathBuf::from(path.trim()));
        }
        let Some(rest) = line.strip_prefix('#') else { return };
        self.executed = number(rest).unwrap_or(self.executed);
        for (name, figure) in
            [("cov: ", &mut self.coverage.0), ("ft: ", &mut self.coverage.1), ("corp: ", &mut self.kept)]
        {
            if let Some((_, after)) = rest.split_once(name) {
                *figure = number(after).unwrap_or(*figure);
            }
        }
    }
}

/// The number that `text` begins with.
fn number(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().ok()
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (edges, features) = self.coverage;
        write!(
            f,
            "{} executions in {:.1} s, {edges} edges, {features} features",
            self.executed,
            self.taken.as_secs_f64()
        )?;
        write!(f, ", {} inputs kept", self.kept)?;
        match &self.artefact {
            Some(path) => write!(f, ", found something: {}", path.display()),
            None if !self.success => write!(f, ", broke off"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_a_run_are_read() {
        let mut outcome = Outcome::default();
        for line in [
            "INFO: Running with entropic power schedule (0xFF, 100).",
            "#25\tINITED cov: 885 ft: 2213 corp: 23/24Kb exec/s: 0 rss: 30Mb",
            "#53202\tDONE   cov: 1219 ft: 3937 corp: 539/503Kb lim: 3584 exec/s: 5911 rss: 37Mb",
            "Done 53202 runs in 9 second(s)",
        ] {
            outcome.read(line);
        }
        assert_eq!((outcome.executed, outcome.coverage, outcome.kept), (53_202, (1219, 3937), 539));
        assert_eq!(outcome.artefact, None);
        outcome.read("#7: cov: 20 ft: 30 corp: 2 exec/s: 5 oom/timeout/crash: 0/0/0 time: 1s");
        assert_eq!((outcome.executed, outcome.coverage, outcome.kept), (7, (20, 30), 2));
        outcome.read("artifact_prefix='a/'; Test unit written to a/crash-da39");
        assert_eq!(outcome.artefact, Some(PathBuf::from("a/crash-da39")));
    }

    #[test]
    fn a_target_that_finds_something_fails_and_names_the_input() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let session = Session { folder: folder.path().into(), binaries: folder.path().into(), loud: false };
        let target = folder.path().join("packet");
        let bounds = Bounds { runs: Some(1), time: None, jobs: 1 };
        for (script, success, artefact) in [
            ("#!/bin/sh\necho '#9\tDONE cov: 1' >&2\n", true, None),
            ("#!/bin/sh\nexit 72\n", true, None),
            ("#!/bin/sh\nexit 1\n", false, None),
            ("#!/bin/sh\necho 'Test unit written to x/crash-1' >&2\nexit 77\n", false, Some("x/crash-1")),
        ] {
            fs::write(&target, script).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).unwrap();
            let outcome = session.run(Target::Packet, &folder.path().join("corpus"), bounds).unwrap();
            assert_eq!((outcome.success, outcome.artefact), (success, artefact.map(PathBuf::from)), "{script}");
        }
    }
}
