//! `ganglion sensor`: the privileged half, in the foreground.

use std::path::PathBuf;

use clap::Args;
use ganglion_sensor::{Overrides, PreflightError, SensorConfig, SensorError};

use super::{Process, settings_file, stop_signal};
use crate::exit::{Code, Error, Result};

const DEFAULT_FILE: &str = "/etc/ganglion/sensor.yaml";

/// What `ganglion sensor`, `ganglion detach` and `ganglion run` know of the sensor.
#[derive(Clone, Debug, Default, Args)]
#[group(id = "sensor_options")]
pub(crate) struct Options {
    /// Settings of the sensor (YAML) [default: /etc/ganglion/sensor.yaml where there is one]
    #[arg(long, value_name = "FILE")]
    sensor_config: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
}

/// `ganglion sensor`.
#[derive(Debug, Args)]
pub(crate) struct Sensor {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    process: Process,
}

impl Options {
    /// File and command line together, checked.
    pub(crate) fn settings(&self) -> Result<SensorConfig> {
        let mut config = match settings_file(self.sensor_config.as_deref(), DEFAULT_FILE) {
            Some(path) => SensorConfig::from_file(path).map_err(|error| Error::Usage(error.to_string()))?,
            None => SensorConfig::default(),
        };
        let mut overrides = self.overrides.clone();
        overrides.brain = overrides.brain.map(as_url);
        overrides.apply(&mut config);
        config.validate().map_err(|error| Error::Usage(error.to_string()))?;
        Ok(config)
    }

    /// Whether options are given that `ganglion run` decides itself.
    pub(crate) fn names_sockets(&self) -> bool {
        self.overrides.brain.is_some() || self.overrides.control_socket.is_some()
    }
}

/// A path alone means a unix socket.
fn as_url(brain: String) -> String {
    if brain.starts_with('/') { format!("unix://{brain}") } else { brain }
}

/// Runs the sensor until a signal ends it.
pub(crate) fn run(args: Sensor) -> Result {
    let config = args.options.settings()?;
    if args.process.check {
        super::say("settings of the sensor: good")?;
        return Ok(Code::Ok);
    }
    args.process.supervision.begin()?;
    // Its runtime starts after the privileges are dropped: capabilities belong to threads.
    ganglion_sensor::run_blocking(config, stop_signal()).map_err(failed)?;
    Ok(Code::Ok)
}

/// The sensor's error with the code that scripts see.
pub(crate) fn failed(error: SensorError) -> Error {
    match error {
        SensorError::Config(error) => Error::Usage(error.to_string()),
        SensorError::Preflight(error @ PreflightError::Capabilities(_)) => Error::Privilege(error.to_string()),
        SensorError::Preflight(error @ PreflightError::Interface { .. }) => Error::Usage(error.to_string()),
        other => Error::Failed(other.to_string()),
    }
}
