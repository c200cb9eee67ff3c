//! A child process that is kept running: started, watched, restarted with growing pauses, ended in order.

use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use crate::exit::{Error, Result};

/// A process that gives up by itself earlier than this in its first run is not restarted: its settings are wrong.
const SETTLED: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A run of this length makes the next pause short again.
const STEADY: Duration = Duration::from_secs(60);

/// What is started, and as whom.
pub(crate) struct Spec {
    /// "sensor" or "brain".
    pub(crate) name: &'static str,
    /// Arguments of this executable.
    pub(crate) args: Vec<String>,
    /// User and group, when not the supervisor's.
    pub(crate) user: Option<(Uid, Gid)>,
}

enum State {
    Running { child: Child, since: Instant },
    Paused { until: Instant },
    Ended,
}

/// A supervised process.
pub(crate) struct Supervised {
    spec: Spec,
    state: State,
    starts: u32,
    pause: Duration,
}

impl Supervised {
    /// Starts the process.
    pub(crate) fn start(spec: Spec) -> Result<Self> {
        let mut this = Self { spec, state: State::Ended, starts: 0, pause: FIRST_PAUSE };
        this.spawn()?;
        Ok(this)
    }

    fn spawn(&mut self) -> Result<()> {
        // By the kernel's own link: works where the user may not search the folders above the executable, and
        // goes on working when the file is replaced.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("ganglion").args(&self.spec.args).args(["--supervisor", &std::process::id().to_string()]);
        // A group of its own: Ctrl-C reaches the supervisor alone, which ends both in order.
        command.process_group(0);
        if let Some((uid, gid)) = self.spec.user {
            command.uid(uid.as_raw()).gid(gid.as_raw()).current_dir("/");
        }
        let child = command.spawn().map_err(|error| {
            Error::Other(anyhow::Error::new(error).context(format!("could not start the {}", self.spec.name)))
        })?;
        self.starts += 1;
        info!(process = self.spec.name, pid = child.id(), start = self.starts, "started");
        self.state = State::Running { child, since: Instant::now() };
        Ok(())
    }

    /// Keeps the process running; returns only when it is not worth going on. Safe to cancel.
    pub(crate) async fn keep(&mut self) -> Error {
        loop {
            match &mut self.state {
                State::Running { child, since } => {
                    let ended = child.wait().await;
                    let lived = since.elapsed();
                    match ended {
                        Ok(status) if self.starts == 1 && lived < SETTLED && status.code().is_some() => {
                            return self.gave_up(status);
                        }
                        Ok(status) => self.pause_after(&status.to_string(), lived),
                        Err(error) => self.pause_after(&error.to_string(), lived),
                    }
                }
                State::Paused { until } => {
                    sleep_until(*until).await;
                    if let Err(error) = self.spawn() {
                        self.pause_after(&error.to_string(), Duration::ZERO);
                    }
                }
                State::Ended => std::future::pending().await,
            }
        }
    }

    fn gave_up(&mut self, status: ExitStatus) -> Error {
        self.state = State::Ended;
        let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        Error::Child { name: self.spec.name, code: code.max(1) }
    }

    fn pause_after(&mut self, why: &str, lived: Duration) {
        if lived >= STEADY {
            self.pause = FIRST_PAUSE;
        }
        warn!(process = self.spec.name, why, again_in = ?self.pause, "ended, will be started again");
        self.state = State::Paused { until: Instant::now() + self.pause };
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Asks the process to end, and ends it by force after `patience`.
    pub(crate) async fn end(&mut self, patience: Duration) {
        let State::Running { child, .. } = &mut self.state else { return };
        if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) {
            // It may have ended just now: then there is nobody to tell.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        match timeout(patience, child.wait()).await {
            Ok(_) => info!(process = self.spec.name, "ended"),
            Err(_) => {
                warn!(process = self.spec.name, ?patience, "does not end, killed");
                let _ = child.kill().await;
            }
        }
        self.state = State::Ended;
    }
}
