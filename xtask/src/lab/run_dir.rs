//! What a run leaves on the machine while it lives, and how all of it goes away again.
//!
//! A run is its folder `/run/ganglion-lab/<run>` and the namespaces `<run>-*`; every process of it
//! lives in one of those namespaces. No user, file or interface outside of them is touched, so this
//! module alone can clean up, whoever died before.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::draw::Split;
use crate::process::output;

const ROOT: &str = "/run/ganglion-lab";
const NAMESPACES: &str = "/run/netns";
/// Runs are named `gl-<pid>`.
const PREFIX: &str = "gl-";

/// What a later process must know about a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pid: u32,
    started: String,
    /// Made by `lab up`: stays when its maker ends.
    pub(crate) kept: bool,
    pub(crate) scenario: String,
    pub(crate) seed: u64,
    pub(crate) split: Split,
}

/// The folder of one run.
#[derive(Debug, Clone)]
pub(crate) struct RunDir {
    pub(crate) id: String,
    pub(crate) path: PathBuf,
}

impl RunDir {
    /// A folder for this process.
    pub(crate) fn create(scenario: &str, seed: u64, split: Split) -> Result<Self> {
        let pid = std::process::id();
        let dir = Self::named(&format!("{PREFIX}{pid}"));
        if dir.path.exists() {
            bail!("{} exists already: `cargo xtask lab clean` removes what dead runs left", dir.path.display());
        }
        for folder in ["etc", "home/alice", "log", "tmp", "empty"] {
            let folder = dir.path.join(folder);
            fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        }
        dir.write(&State { pid, started: started(pid), kept: false, scenario: scenario.to_owned(), seed, split })?;
        Ok(dir)
    }

    /// The folder of the run with this name.
    pub(crate) fn named(id: &str) -> Self {
        Self { id: id.to_owned(), path: Path::new(ROOT).join(id) }
    }

    /// What the run says about itself.
    pub(crate) fn state(&self) -> Result<State> {
        let text = fs::read(self.path.join("state.json"))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Lets the range stay when this process ends.
    pub(crate) fn keep(&self) -> Result<()> {
        self.write(&State { kept: true, ..self.state()? })
    }

    fn write(&self, state: &State) -> Result<()> {
        fs::write(self.path.join("state.json"), serde_json::to_vec_pretty(state)?)?;
        Ok(())
    }

    /// A file for the output of something.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.path.join("log").join(format!("{name}.log"))
    }

    /// Where a sensor of this run pins its programs and maps; goes away with the run.
    pub(crate) fn pins(&self) -> PathBuf {
        Path::new("/sys/fs/bpf").join(&self.id)
    }

    /// Whether anything still needs this run.
    fn in_use(&self) -> bool {
        self.state().is_ok_and(|state| state.kept || started(state.pid) == state.started)
    }

    /// Starts a process that cleans up after this one, however this one ends.
    pub(crate) fn janitor(&self) -> Result<Child> {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["drive", "janitor", &self.id]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.process_group(0).spawn().context("starting the janitor")
    }

    /// Ends every process in the run's namespaces, then removes namespaces and folder.
    pub(crate) fn remove(&self) -> Result<()> {
        let namespaces = self.namespaces();
        end_processes_in(&namespaces);
        for netns in &namespaces {
            output(Command::new("ip").args(["netns", "del", netns]))?;
        }
        for folder in [&self.pins(), &self.path] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("removing {}", folder.display()));
                }
                _ => {}
            }
        }
        // Fails while other runs live in it.
        let _others = fs::remove_dir(ROOT);
        Ok(())
    }

    fn namespaces(&self) -> Vec<String> {
        let prefix = format!("{}-", self.id);
        names(Path::new(NAMESPACES)).into_iter().filter(|name| name.starts_with(&prefix)).collect()
    }
}

/// Every run there are traces of.
pub(crate) fn all() -> Vec<RunDir> {
    let mut ids: HashSet<String> = names(Path::new(ROOT)).into_iter().collect();
    for name in names(Path::new(NAMESPACES)) {
        let digits = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')).map(|(digits, _)| digits);
        if let Some(digits) = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())) {
            ids.insert(format!("{PREFIX}{digits}"));
        }
    }
    ids.retain(|id| id.starts_with(PREFIX));
    ids.iter().map(|id| RunDir::named(id)).collect()
}

/// The namespaces of every run.
pub(crate) fn namespaces() -> Vec<PathBuf> {
    let dirs = all().into_iter();
    dirs.flat_map(|dir| dir.namespaces()).map(|name| Path::new(NAMESPACES).join(name)).collect()
}

/// Removes what dead runs left; returns their names.
pub(crate) fn clean() -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for dir in all() {
        if !dir.in_use() {
            dir.remove()?;
            removed.push(dir.id);
        }
    }
    Ok(removed)
}

/// The run that `lab up` made, if there is one.
pub(crate) fn kept() -> Option<RunDir> {
    all().into_iter().find(|dir| dir.state().is_ok_and(|state| state.kept))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// When a process started, in the kernel's ticks; empty when it is gone. Tells a reused number apart.
fn started(pid: u32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map(|(_, rest)| rest);
    after_name.and_then(|rest| rest.split_whitespace().nth(19)).unwrap_or_default().to_owned()
}

/// Kills until nobody is left: servers may fork while we look.
fn end_processes_in(namespaces: &[String]) {
    let identity = |path: PathBuf| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    let mut ours: HashSet<_> =
        namespaces.iter().filter_map(|name| identity(Path::new(NAMESPACES).join(name))).collect();
    // A namespace file that is not mounted, or the machine's own network, is never ours.
    for not_ours in ["/proc/self/ns/net", "/proc/1/ns/net"] {
        if let Some(id) = identity(not_ours.into()) {
            ours.remove(&id);
        }
    }
    for _ in 0..50 {
        let inside = names(Path::new("/proc")).into_iter().filter_map(|name| name.parse::<i32>().ok());
        let inside: Vec<i32> = inside
            .filter(|pid| identity(format!("/proc/{pid}/ns/net").into()).is_some_and(|id| ours.contains(&id)))
            .collect();
        if inside.is_empty() {
            return;
        }
        for pid in inside {
            let _gone_already = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
