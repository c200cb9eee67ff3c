//! One file per command, named as the user names it.

pub(crate) mod allow;
pub(crate) mod block;
pub(crate) mod brain;
pub(crate) mod detach;
pub(crate) mod events;
pub(crate) mod features;
pub(crate) mod flows;
pub(crate) mod mode;
pub(crate) mod model;
pub(crate) mod run;
pub(crate) mod sensor;
pub(crate) mod status;

use std::path::PathBuf;

use clap::Args;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::{Code, Error, Result};

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

/// The code for `failed` of `all` targets; the single failure keeps its own error.
pub(crate) fn sum_up(mut failures: Vec<Error>, all: usize) -> Result {
    let failed = failures.len();
    match failures.pop() {
        None => Ok(Code::Ok),
        Some(only) if all == 1 => Err(only),
        Some(last) if failed == all => {
            for failure in &failures {
                eprintln!("ganglion: {failure}");
            }
            Err(last)
        }
        Some(last) => {
            for failure in failures.iter().chain([&last]) {
                eprintln!("ganglion: {failure}");
            }
            Err(Error::Partial { failed, all })
        }
    }
}
