//! `ganglion run`: sensor and brain as two processes, the brain without privileges.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use nix::unistd::{Gid, Uid, User, geteuid, setgroups};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::{brain, sensor, stop_signal};
use crate::exit::{Code, Error, Result};
use crate::supervise::{Spec, Supervised};

/// Loading a large model takes seconds; the sensor starts without the brain after this.
const BRAIN_READY: Duration = Duration::from_secs(30);
/// The sensor hands over its last records when it ends.
const SENSOR_END: Duration = Duration::from_secs(15);
const BRAIN_END: Duration = Duration::from_secs(5);

/// `ganglion run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten, next_help_heading = "Sensor")]
    sensor: sensor::Options,
    #[command(flatten, next_help_heading = "Brain")]
    brain: brain::Options,
    /// User that the brain runs as [default: ganglion when there is one, else nobody]
    #[arg(long, value_name = "USER", help_heading = "Processes")]
    brain_user: Option<String>,
    /// Folder of both sockets, brain.sock and sensor.sock
    #[arg(long, value_name = "DIR", default_value = "/run/ganglion", help_heading = "Processes")]
    run_dir: PathBuf,
}

/// Options as they were given, for the two processes.
pub(crate) struct Given {
    /// Those of the sensor.
    pub(crate) sensor: Vec<String>,
    /// Those of the brain.
    pub(crate) brain: Vec<String>,
}

/// Supervises both until a signal ends it.
pub(crate) async fn run(args: Run, given: Given) -> Result {
    if args.sensor.names_sockets() {
        return Err(Error::Usage("`ganglion run` names the sockets itself: use --run-dir".into()));
    }
    args.sensor.settings()?;
    args.brain.settings()?;
    if !geteuid().is_root() {
        return Err(Error::Privilege(
            "`ganglion run` needs root, to load kernel programs and to start the brain as another user".into(),
        ));
    }
    let user = brain_user(args.brain_user.as_deref())?;
    prepare(&args.run_dir, user.gid)?;
    // The brain's socket belongs to its group; the sensor reaches it even after it gave its capabilities up.
    setgroups(&[user.gid]).context("setgroups")?;
    let socket = args.run_dir.join("brain.sock");
    let control = args.run_dir.join("sensor.sock");
    let brain = command_line("brain", [("--listen", &socket)], given.brain);
    let sensor = command_line("sensor", [("--control", &control), ("--brain", &socket)], given.sensor);
    let switch = (user.uid != Uid::effective()).then_some((user.uid, user.gid));
    let brain = Spec { name: "brain", args: brain, user: switch };
    let sensor = Spec { name: "sensor", args: sensor, user: None };
    supervise(brain, sensor, &socket).await
}

fn command_line<const N: usize>(name: &str, sockets: [(&str, &PathBuf); N], given: Vec<String>) -> Vec<String> {
    let mut args = vec![name.to_owned()];
    args.extend(sockets.map(|(option, path)| format!("{option}={}", path.display())));
    args.extend(given);
    args
}

fn brain_user(name: Option<&str>) -> Result<User> {
    let find = |name: &str| User::from_name(name).with_context(|| format!("looking up user {name}"));
    if let Some(name) = name {
        return find(name)?.ok_or_else(|| Error::Usage(format!("--brain-user {name}: no such user")));
    }
    if let Some(user) = find("ganglion")? {
        return Ok(user);
    }
    warn!("no user `ganglion`: the brain runs as `nobody` (deploy/sysusers.d/ganglion.conf makes the user)");
    find("nobody")?
        .ok_or_else(|| Error::Usage("neither user `ganglion` nor `nobody`: name one with --brain-user".into()))
}

/// Makes the folder of the sockets. Sticky: the brain's group may add its socket, not replace the sensor's.
fn prepare(folder: &Path, group: Gid) -> Result<()> {
    let what = || format!("folder of the sockets, {}", folder.display());
    fs::create_dir_all(folder).with_context(what)?;
    chown(folder, Some(0), Some(group.as_raw())).with_context(what)?;
    fs::set_permissions(folder, Permissions::from_mode(0o1771)).with_context(what)?;
    Ok(())
}

async fn supervise(brain: Spec, sensor: Spec, socket: &Path) -> Result {
    let mut brain = Supervised::start(brain)?;
    let mut running = None;
    let result = tokio::select! {
        error = keep_both(&mut brain, &mut running, sensor, socket) => Err(error),
        () = stop_signal() => Ok(Code::Ok),
    };
    info!("ending");
    if let Some(sensor) = &mut running {
        sensor.end(SENSOR_END).await;
    }
    brain.end(BRAIN_END).await;
    result
}

/// Keeps the brain, then also the sensor, running. Returns when one of them gives up.
async fn keep_both(brain: &mut Supervised, sensor: &mut Option<Supervised>, spec: Spec, socket: &Path) -> Error {
    tokio::select! {
        error = brain.keep() => return error,
        () = answering(socket) => {}
    }
    let sensor = match Supervised::start(spec) {
        Ok(started) => sensor.insert(started),
        Err(error) => return error,
    };
    tokio::select! {
        error = brain.keep() => error,
        error = sensor.keep() => error,
    }
}

/// Returns when the brain answers, or has had its time: the sensor can wait for it too.
async fn answering(socket: &Path) {
    let deadline = Instant::now() + BRAIN_READY;
    while Instant::now() < deadline {
        if UnixStream::connect(socket).await.is_ok() {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    warn!(socket = %socket.display(), "the brain does not answer yet, the sensor starts without it");
}
