//! A bundle is loaded and run in a process of its own first, which the kernel bounds in memory and time.
//!
//! A model is a program: it may ask for a terabyte, or never end. What is found here is found before the model is let
//! into a brain that is judging. [`Vetting::check`] starts the process, [`vet`] is what it does.

use super::{BundleError, Files, Keyring};
use crate::model::{Preference, Settings};
use nix::sys::resource::{Resource, setrlimit};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What the program is told to do; hidden words of `ganglion`.
pub const WORDS: [&str; 2] = ["model", "vet"];
/// Of what the process says, so much is read, in bytes.
const SAID: u64 = 4 << 10;
/// Address space beside what the model's size asks for: ONNX Runtime, its arena, stacks.
const BASE_BYTES: u64 = 1 << 30;
/// Address space per byte of the model: read, parsed, optimised, packed.
const PER_MODEL_BYTE: u64 = 8;
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What loading and the self-test may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Address space, bytes.
    pub memory_bytes: u64,
    /// Processor time, s; the wall's is twice as long.
    pub cpu_s: u64,
}

impl Limits {
    /// For a model of this size.
    pub fn of_model(model_bytes: usize) -> Self {
        Self { memory_bytes: BASE_BYTES + PER_MODEL_BYTE * model_bytes as u64, cpu_s: 30 }
    }
}

/// How a bundle is tried in a process of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vetting {
    /// A `ganglion`.
    pub program: PathBuf,
    /// Rows that the brain will score at once.
    pub rows: usize,
    /// Other limits than those for the model's size.
    pub limits: Option<Limits>,
}

impl Vetting {
    /// By the program that is running, which has to be `ganglion`.
    pub fn this_program(rows: usize) -> Self {
        Self { program: "/proc/self/exe".into(), rows, limits: None }
    }

    /// Loads and runs the bundle, of which `files` were read from `folder`, elsewhere.
    ///
    /// # Errors
    /// When it fails there, or takes more than it may.
    pub fn check(&self, folder: &Path, files: &Files) -> Result<(), BundleError> {
        let limits = self.limits.unwrap_or_else(|| Limits::of_model(files.model_bytes()));
        let refused = |why: String| BundleError::Vetted { folder: folder.into(), why };
        let mut child = self
            .command(folder, &files.manifest_digest, limits)
            .spawn()
            .map_err(|error| refused(format!("can't start {} to try it: {error}", self.program.display())))?;
        let status = wait(&mut child, Duration::from_secs(2 * limits.cpu_s));
        let said = said(&mut child);
        match status {
            Ok(Some(status)) if status.success() => Ok(()),
            Ok(Some(status)) => Err(refused(why(status, limits, &said))),
            Ok(None) => Err(refused(format!("loading and self-test take longer than {} s", 2 * limits.cpu_s))),
            Err(error) => Err(refused(format!("its trial can't be watched: {error}"))),
        }
    }

    fn command(&self, folder: &Path, digest: &str, limits: Limits) -> Command {
        let mut command = Command::new(&self.program);
        command.args(WORDS).arg(folder).args(["--digest", digest, "--rows", &self.rows.to_string()]);
        command.args(["--memory-bytes", &limits.memory_bytes.to_string(), "--cpu-s", &limits.cpu_s.to_string()]);
        command.args(["--log", "error"]);
        // Each thread's arena of the C library takes address space that is never used.
        command.env("MALLOC_ARENA_MAX", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }
}

/// What the process does: limits itself, then loads the bundle and scores its rows, in batches of up to `rows`.
///
/// # Errors
/// In one line, what is wrong with it.
pub fn vet(folder: &Path, digest: &str, rows: usize, limits: Limits) -> Result<(), BundleError> {
    let refused = |why: String| BundleError::Vetted { folder: folder.into(), why };
    // At the first limit of processor time a process is told why, at the second it is killed.
    for (resource, soft, hard) in [
        (Resource::RLIMIT_AS, limits.memory_bytes, limits.memory_bytes),
        (Resource::RLIMIT_CPU, limits.cpu_s, limits.cpu_s + 1),
        (Resource::RLIMIT_CORE, 0, 0),
    ] {
        setrlimit(resource, soft, hard).map_err(|error| refused(format!("can't set {resource:?}: {error}")))?;
    }
    // Who vouches for it was looked at by who asks.
    let files = Files::read(folder, &Keyring::default())?;
    if files.manifest_digest != digest {
        return Err(refused("it was changed while it was read".into()));
    }
    // Where there is a GPU: its driver takes more address space than any limit would leave.
    let mut bundle = files.load(&Settings { provider: Preference::Cpu, ..Settings::default() })?;
    let test = &bundle.manifest.self_test.rows;
    let batch: Vec<f32> = test.iter().cycle().take(rows).flatten().copied().collect();
    let scores = bundle.model.score_raw(&batch, rows);
    let scores = scores.map_err(|source| BundleError::Model { id: bundle.manifest.id.clone(), source })?;
    match (0..scores.rows()).find(|row| !scores.is_finite(*row)) {
        Some(row) => Err(refused(format!("NaN or infinity on row {row} of a batch of {rows}"))),
        None => Ok(()),
    }
}

/// Its status; `None` when it took too long and was killed.
fn wait(child: &mut Child, patience: Duration) -> std::io::Result<Option<ExitStatus>> {
    let began = Instant::now();
    while began.elapsed() < patience {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

fn said(child: &mut Child) -> String {
    let mut bytes = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // What could be read is shown; it is for people only.
        let _ = stderr.take(SAID).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn why(status: ExitStatus, limits: Limits, said: &str) -> String {
    let line = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    let line: String = line.trim_start_matches("ganglion: ").chars().filter(|c| !c.is_control()).take(400).collect();
    match status.signal() {
        Some(signal) if signal == nix::sys::signal::Signal::SIGXCPU as i32 => {
            format!("loading and self-test take more than {} s of processor time", limits.cpu_s)
        }
        Some(signal) if signal == nix::sys::signal::Signal::SIGKILL as i32 => format!(
            "loading and self-test were killed: {} s of processor time or the machine's memory were not enough",
            limits.cpu_s
        ),
        Some(signal) => format!(
            "loading and self-test crash (signal {signal}) where {} MiB of memory may be used: {line}",
            limits.memory_bytes >> 20
        ),
        None => line,
    }
}
