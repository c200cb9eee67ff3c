//! From settings to a running sensor, and back.

mod serve;
mod start;

use crate::attach::{self, AttachError};
use crate::config::{ConfigError, SensorConfig};
use crate::control::SocketError;
use crate::layout::LayoutError;
use crate::load::LoadError;
use crate::preflight::PreflightError;
use crate::recording::RecordingError;
use crate::sweep::SweepError;

pub use start::Sensor;

/// Why the sensor does not run.
#[derive(Debug, thiserror::Error)]
pub enum SensorError {
    /// The settings make no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The machine is not fit.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// The control socket can't be had.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Pins can't be used.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The kernel half can't be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It can't be attached.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// Flows can't be expired.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// The recording can't be made.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The rules can't be taken over.
    #[error("rules can't be taken over from the maps: {0}")]
    Rules(String),
    /// Privileges can't be dropped.
    #[error("capabilities can't be dropped: {0}; start with --keep-privileges to go on with them")]
    Privileges(String),
    /// The metrics port is taken.
    #[error("can't serve metrics on {address}: {source}; choose another with --metrics")]
    Metrics {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A thread or a runtime can't be had.
    #[error("can't start {what}: {source}")]
    Thread {
        /// Which.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// Part of the sensor died.
    #[error("{0} ended by itself; programs and blocks stay in force")]
    Died(&'static str),
}

/// Runs a sensor until `shutdown` completes.
///
/// It runs on threads of its own, which drop their privileges once the programs are attached. The caller's
/// threads keep theirs: call [`run_blocking`] before starting a runtime where that matters.
///
/// # Errors
/// Says what failed, on what, and what to do.
pub async fn run(config: SensorConfig, shutdown: impl Future<Output = ()>) -> Result<(), SensorError> {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (done, result) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("sensor".into()).spawn(move || {
        let outcome = run_blocking(config, async {
            // An error means that the caller went away: the same as a shutdown.
            let _gone = stopped.await;
        });
        let _caller_gone = done.send(outcome);
    });
    thread.map_err(|source| SensorError::Thread { what: "the sensor's thread", source })?;
    let mut result = result;
    tokio::select! {
        outcome = &mut result => return outcome.unwrap_or(Err(SensorError::Died("the sensor's thread"))),
        () = shutdown => {}
    }
    let _already_over = stop.send(());
    result.await.unwrap_or(Err(SensorError::Died("the sensor's thread")))
}

/// Runs a sensor on this thread until `shutdown` completes, with a runtime of its own that starts after the
/// privileges are dropped.
///
/// # Errors
/// As [`run`].
pub fn run_blocking(config: SensorConfig, shutdown: impl Future<Output = ()>) -> Result<(), SensorError> {
    let sensor = Sensor::start(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("sensor-io")
        .enable_all()
        .build()
        .map_err(|source| SensorError::Thread { what: "the runtime", source })?;
    runtime.block_on(sensor.serve(shutdown))
}

/// Takes everything off that a sensor with these settings left in the kernel: links, filters, pins of maps.
/// Blocks end with it. Returns the names of the pins removed.
///
/// # Errors
/// The pin folder can't be read or emptied.
pub fn detach(config: &SensorConfig) -> Result<Vec<String>, SensorError> {
    let folder = config.pin_folder();
    attach::detach(&folder, &config.interfaces);
    remove_pins(&folder).map_err(|source| PreflightError::Folder { path: folder, source }.into())
}

/// Removes all pins of a folder, and the folder.
pub(crate) fn remove_pins(folder: &std::path::Path) -> std::io::Result<Vec<String>> {
    let mut removed = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(removed),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        std::fs::remove_file(entry.path())?;
        removed.push(entry.file_name().to_string_lossy().into_owned());
    }
    std::fs::remove_dir(folder)?;
    removed.sort();
    Ok(removed)
}
