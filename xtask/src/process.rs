//! Child processes that never outlive their owner and never run past their bound.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How a bounded process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, with this code; `None` when a signal ended it.
    Own(Option<i32>),
    /// Its time was over.
    Cut,
}

/// A process group that is killed when its owner lets go of it.
#[derive(Debug)]
pub(crate) struct Group {
    child: Child,
    name: String,
    over: Option<ExitStatus>,
}

impl Group {
    /// Starts `command` as the leader of a group of its own, its output going to `log`.
    pub(crate) fn start(mut command: Command, log: Option<&Path>) -> Result<Self> {
        let name = describe(&command);
        let (out, err) = match log {
            Some(path) => {
                let file = File::options().create(true).append(true).open(path);
                let file = file.with_context(|| format!("opening {}", path.display()))?;
                (Stdio::from(file.try_clone()?), Stdio::from(file))
            }
            None => (Stdio::null(), Stdio::null()),
        };
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = command.process_group(0).spawn();
        let child = child.with_context(|| format!("starting {name}"))?;
        Ok(Self { child, name, over: None })
    }

    /// The exit status, once there is one.
    pub(crate) fn poll(&mut self) -> Result<Option<ExitStatus>> {
        if self.over.is_none() {
            self.over = self.child.try_wait().with_context(|| format!("waiting for {}", self.name))?;
        }
        Ok(self.over)
    }

    /// Waits until the process ends, `deadline` passes or `stop` says so; then the group is ended.
    pub(crate) fn wait(&mut self, deadline: Instant, stop: impl Fn() -> bool) -> Result<End> {
        loop {
            if let Some(status) = self.poll()? {
                return Ok(End::Own(status.code()));
            }
            if Instant::now() >= deadline || stop() {
                self.end(Duration::from_millis(500));
                return Ok(End::Cut);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGTERM, then SIGKILL after `grace`; returns the status if the process left by itself in time.
    pub(crate) fn end(&mut self, grace: Duration) -> Option<ExitStatus> {
        self.signal(Signal::SIGTERM);
        let deadline = Instant::now() + grace;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.poll() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.signal(Signal::SIGKILL);
        self.over = self.child.wait().ok();
        None
    }

    fn signal(&self, signal: Signal) {
        // Once reaped, the number may belong to somebody else.
        if self.over.is_none()
            && let Ok(pid) = i32::try_from(self.child.id())
        {
            let _gone_already = killpg(Pid::from_raw(pid), signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if matches!(self.poll(), Ok(None)) {
            self.end(Duration::from_millis(300));
        }
    }
}

/// Runs to the end and returns what was printed; an error carries what the program complained of.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = describe(command);
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("starting {name}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("`{name}` failed ({}): {}", output.status, complaint.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command line, for messages.
pub(crate) fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Where cargo puts what it builds for the workspace at `root`.
pub(crate) fn target_dir(root: &Path) -> PathBuf {
    // A relative one counts from where cargo runs, which is the root; an absolute one replaces it.
    root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_lies_where_cargo_builds() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let test = std::env::current_exe().unwrap();
        assert!(test.starts_with(target_dir(root)), "{} is not below {}", test.display(), target_dir(root).display());
    }
}
