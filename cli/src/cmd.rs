//! One file per command, named as the user names it; `targets` is what two of them share.

pub(crate) mod allow;
pub(crate) mod block;
pub(crate) mod brain;
pub(crate) mod detach;
pub(crate) mod events;
pub(crate) mod features;
pub(crate) mod flow;
pub(crate) mod flows;
pub(crate) mod mode;
pub(crate) mod model;
pub(crate) mod pcap;
pub(crate) mod run;
pub(crate) mod sensor;
pub(crate) mod status;
mod targets;

use std::path::{Path, PathBuf};

use clap::Args;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::{Error, Result};

/// Where to ask the sensor, and how to answer.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// The sensor's control socket
    #[arg(long, value_name = "SOCK", default_value = crate::client::CONTROL_SOCKET, env = "GANGLION_CONTROL")]
    pub(crate) control: PathBuf,
    /// Answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `ganglion sensor` and `ganglion brain` are told about themselves.
#[derive(Debug, Args)]
pub(crate) struct Process {
    /// Check the settings and what they name, start nothing
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) supervision: Supervision,
}

/// Given by `ganglion run` to the processes it starts.
#[derive(Debug, Args)]
pub(crate) struct Supervision {
    /// Process that this one ends with
    #[arg(long, hide = true, value_name = "PID")]
    supervisor: Option<i32>,
}

impl Supervision {
    /// From here on this process ends when its supervisor does, even when that is killed.
    pub(crate) fn begin(&self) -> Result<()> {
        let Some(supervisor) = self.supervisor else { return Ok(()) };
        set_pdeathsig(Signal::SIGTERM).map_err(std::io::Error::from)?;
        if getppid().as_raw() != supervisor {
            return Err(Error::Failed("the supervisor has ended".into()));
        }
        Ok(())
    }
}

/// The settings file to read: the one that was named, else the usual one where it exists.
pub(crate) fn settings_file<'a>(named: Option<&'a Path>, usual: &'a str) -> Option<&'a Path> {
    named.or_else(|| Some(Path::new(usual)).filter(|path| path.exists()))
}

/// Resolves with the first SIGTERM, SIGINT or SIGHUP.
pub(crate) async fn stop_signal() {
    tokio::select! {
        () = received(SignalKind::terminate()) => {}
        () = received(SignalKind::interrupt()) => {}
        () = received(SignalKind::hangup()) => {}
    }
}

async fn received(kind: SignalKind) {
    match signal(kind) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        // Its default action then ends the process.
        Err(error) => {
            tracing::warn!(%error, ?kind, "this signal can't be handled");
            std::future::pending::<()>().await;
        }
    }
}

/// Prints a line; a reader that went away (`| head`) is no error.
pub(crate) fn say(text: &str) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints a value as one JSON document.
pub(crate) fn say_json(value: &serde_json::Value) -> Result<()> {
    say(&format!("{value:#}"))
}
