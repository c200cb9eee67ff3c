//! The sensor in the server's namespace, recording.
//!
//! The one place that knows the sensor's command line.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::range::Range;
use crate::process::Group;

/// A sensor that observes and writes raw records. Dropped, it is killed; its pins go with the range.
#[derive(Debug)]
pub(crate) struct Sensor {
    group: Group,
    log: PathBuf,
}

impl Sensor {
    /// Starts `binary` and returns once its control socket is there.
    pub(crate) fn record(range: &Range, binary: &Path, records: &Path) -> Result<Self> {
        let dir = range.dir();
        let control = dir.path.join("sensor.sock");
        let pins = dir.pins();
        let mut command: Command = range.command_in_server(&binary.to_string_lossy())?;
        command.args(["sensor", "--interface", range.server()?.interface(), "--mode", "observe"]);
        command.arg("--record").arg(records).arg("--control").arg(&control).arg("--pin-root").arg(&pins);
        // Here nobody comes back to the pins: flows that still live become records at the end.
        command.arg("--detach-on-exit");
        let log = dir.log("sensor");
        let mut sensor = Self { group: Group::start(command, Some(&log))?, log };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !control.exists() {
            crate::stop::check()?;
            if let Some(status) = sensor.group.poll()? {
                bail!("the sensor ended at once ({status}): {}", sensor.last_words());
            }
            if Instant::now() > deadline {
                bail!("the sensor is not ready after 20 s: {}", sensor.last_words());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(sensor)
    }

    /// Asks it to write out its live flows and end.
    pub(crate) fn stop(mut self) -> Result<()> {
        match self.group.end(Duration::from_secs(30)) {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("the sensor ended with {status}: {}", self.last_words()),
            None => bail!("the sensor did not end within 30 s of SIGTERM"),
        }
    }

    /// An error if it is no longer there.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.group.poll()? {
            Some(status) => bail!("the sensor ended in the middle ({status}): {}", self.last_words()),
            None => Ok(()),
        }
    }

    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        self.group.end(Duration::from_secs(2));
    }
}
