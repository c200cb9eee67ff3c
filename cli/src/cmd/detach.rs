//! `ganglion detach`: programs, links and maps of a sensor taken off the kernel.

use super::say;
use super::sensor::{Options, failed};
use crate::exit::{Code, Result};

/// Detaches; blocks and live flows end with it.
pub(crate) fn run(options: &Options) -> Result {
    let config = options.settings()?;
    let removed = ganglion_sensor::detach(&config).map_err(failed)?;
    let (interfaces, count) = (config.interfaces.join(", "), removed.len());
    say(&format!("{interfaces}: nothing of Ganglion is left in the kernel ({count} pins removed)"))?;
    Ok(Code::Ok)
}
