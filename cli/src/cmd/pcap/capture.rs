//! The frames of one capture, and what was wrong with it.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use ganglion_extract::capture::{Capture, CaptureError, Frame};
use indicatif::{ProgressBar, ProgressStyle};

use crate::exit::{Error, Result};

/// Names standard input in place of a file.
const STANDARD: &str = "-";
/// Frames between two looks at how far reading is.
const FRAMES_A_LOOK: u64 = 4_096;
const OF_KNOWN_SIZE: &str = "{bar:30} {percent:>3} %  {binary_bytes_per_sec}, {eta} left";
const OF_UNKNOWN_SIZE: &str = "{spinner} {binary_bytes}  {binary_bytes_per_sec}, {elapsed}";

/// An open capture.
pub(super) struct Input {
    capture: Capture,
    bar: ProgressBar,
    pub(super) frames: u64,
    /// In words, the first of its kind.
    pub(super) faults: Vec<String>,
    refused: u64,
}

impl Input {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let is_standard = path.as_os_str() == STANDARD;
        if !is_standard {
            let about =
                std::fs::metadata(path).map_err(|error| Error::Usage(format!("{name}: can't be opened: {error}")))?;
            if about.is_dir() {
                return Err(Error::Usage(format!("{name}: a folder; name a capture in it")));
            }
        }
        let opened =
            if is_standard { Capture::from_reader(std::io::stdin(), "standard input") } else { Capture::open(path) };
        let capture = opened.map_err(|error| Error::Failed(error.to_string()))?;
        let bytes =
            std::fs::metadata(path).ok().filter(|about| about.is_file() && !is_standard).map(|about| about.len());
        let bar = bytes.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        if let Ok(style) = ProgressStyle::with_template(if bytes.is_some() { OF_KNOWN_SIZE } else { OF_UNKNOWN_SIZE }) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Ok(Self { capture, bar, frames: 0, faults: Vec::new(), refused: 0 })
    }

    /// Gives every frame to `take`, up to the end or to where the capture is damaged.
    pub(super) fn feed(&mut self, mut take: impl FnMut(&Frame<'_>) -> ControlFlow<()>) {
        loop {
            match self.capture.advance() {
                Ok(true) => {
                    self.frames += 1;
                    if take(&self.capture.frame()).is_break() {
                        break;
                    }
                }
                Ok(false) => break,
                Err(error @ CaptureError::LinkType { .. }) => {
                    if self.refused == 0 {
                        self.faults.push(error.to_string());
                    }
                    self.refused += 1;
                }
                Err(error) => {
                    self.faults.push(error.to_string());
                    break;
                }
            }
            if self.frames.is_multiple_of(FRAMES_A_LOOK) {
                self.bar.set_position(self.capture.input_bytes_read());
            }
        }
        self.bar.finish_and_clear();
        self.faults.iter().for_each(|fault| eprintln!("ganglion: {fault}"));
    }
}
