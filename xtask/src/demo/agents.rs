//! Ganglion itself in the server's namespace: `ganglion run`, asked and watched through its own commands.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use super::watch::{Seen, Watcher};
use crate::lab::range::Range;
use crate::process::{Group, output, target_dir};

const READY: Duration = Duration::from_secs(60);

/// The binary, the bundle and the playbook, copied to where a user without privileges can read them.
pub(super) struct Files {
    dir: TempDir,
}

impl Files {
    /// Builds the release binary and lays everything out.
    pub(super) fn build() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace")?;
        eprintln!("building ganglion (the first time takes some minutes)");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--release", "--quiet", "--package", "ganglion"])
            .current_dir(root)
            .status()
            .context("starting cargo")?;
        if !status.success() {
            bail!("ganglion does not build ({status})");
        }
        let dir = tempfile::Builder::new().prefix("ganglion-demo-").tempdir_in("/var/tmp")?;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        copy(&target_dir(root).join("release/ganglion"), &dir.path().join("ganglion"), 0o755)?;
        copy(&root.join("playbooks/default.yaml"), &dir.path().join("playbook.yaml"), 0o644)?;
        let bundle = dir.path().join("bundle");
        fs::create_dir(&bundle)?;
        fs::set_permissions(&bundle, fs::Permissions::from_mode(0o755))?;
        for file in ["model.onnx", "manifest.json"] {
            copy(&root.join("models/lab-v1").join(file), &bundle.join(file), 0o644)?;
        }
        Ok(Self { dir })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("copying {}", from.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// Sensor and brain, supervised. Dropped, they end and leave nothing attached.
pub(super) struct Agents {
    group: Group,
    watcher: Option<Watcher>,
    seen: Arc<Mutex<Seen>>,
    files: Files,
    run_dir: PathBuf,
    pins: PathBuf,
    log: PathBuf,
}

impl Agents {
    /// Starts `ganglion run` and waits until sensor and brain answer.
    pub(super) fn start(range: &Range, files: Files, enforce: bool) -> Result<Self> {
        let dir = range.dir();
        let (run_dir, pins) = (dir.path.join("run"), Path::new("/sys/fs/bpf").join(&dir.id));
        let mut command = range.command_in_server(&files.path("ganglion").to_string_lossy())?;
        command.args(["run", "--interface", range.server()?.interface()]);
        command.args(["--mode", if enforce { "enforce" } else { "observe" }, "--detach-on-exit"]);
        command.arg("--run-dir").arg(&run_dir).arg("--pin-root").arg(&pins);
        command.arg("--record").arg(files.path("records.gnl"));
        command.arg("--bundle").arg(files.path("bundle")).arg("--playbook").arg(files.path("playbook.yaml"));
        let log = dir.log("ganglion");
        let group = Group::start(command, Some(&log))?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut agents = Self { group, watcher: None, seen, files, run_dir, pins, log };
        agents.wait_until_ready()?;
        let watcher = Watcher::start(&agents.files.path("ganglion"), &agents.run_dir, Arc::clone(&agents.seen))?;
        agents.watcher = Some(watcher);
        Ok(agents)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY;
        loop {
            self.check()?;
            if self.status().is_ok_and(|status| status["sensor"]["brain_connected"] == true) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("sensor and brain are not ready after {} s: {}", READY.as_secs(), self.last_words());
            }
            crate::stop::sleep(Duration::from_millis(200))?;
        }
    }

    /// An error if they are no longer there.
    pub(super) fn check(&mut self) -> Result<()> {
        crate::stop::check()?;
        match self.group.poll()? {
            Some(status) => bail!("ganglion ended in the middle ({status}): {}", self.last_words()),
            None => Ok(()),
        }
    }

    /// `ganglion status --json`.
    pub(super) fn status(&self) -> Result<Value> {
        let mut command = Command::new(self.files.path("ganglion"));
        command.args(["status", "--json", "--control"]).arg(self.run_dir.join("sensor.sock"));
        command.arg("--brain").arg(self.run_dir.join("brain.sock"));
        Ok(serde_json::from_str(&output(&mut command)?)?)
    }

    /// What was seen so far.
    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends them; the bytes of the recording.
    pub(super) fn stop(mut self) -> Result<Vec<u8>> {
        self.watcher = None;
        match self.group.end(Duration::from_secs(40)) {
            Some(status) if status.success() => {}
            Some(status) => bail!("ganglion ended with {status}: {}", self.last_words()),
            None => bail!("ganglion did not end within 40 s: {}", self.last_words()),
        }
        let path = self.files.path("records.gnl");
        fs::read(&path).with_context(|| format!("reading {}", path.display()))
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(6).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n  ")
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        self.watcher = None;
        self.group.end(Duration::from_secs(10));
        // A sensor that was killed leaves its pins on purpose: here nobody comes back for them.
        let _never_pinned = fs::remove_dir_all(&self.pins);
    }
}
