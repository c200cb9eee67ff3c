//! How far reading is, on a terminal.

use std::time::Duration;

use ganglion_extract::capture::Capture;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::inputs::Input;

const OF_KNOWN_SIZE: &str = "{bar:30} {percent:>3} %  {msg}  {binary_bytes_per_sec}, {eta} left";
const OF_UNKNOWN_SIZE: &str = "{spinner} {binary_bytes}  {msg}  {binary_bytes_per_sec}, {elapsed}";

/// A bar on standard error where that is a terminal; nothing elsewhere.
pub(super) struct Progress {
    bar: ProgressBar,
    /// Bytes of the captures before this one.
    done_bytes: u64,
    /// Bytes read of this one.
    read_bytes: u64,
}

impl Progress {
    /// Rows on a terminal are progress enough, and a bar would stand between them.
    pub(super) fn start(inputs: &[Input], rows_to_stdout: bool) -> Self {
        let hidden = rows_to_stdout && std::io::IsTerminal::is_terminal(&std::io::stdout());
        // Hides itself where it is no terminal.
        let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        // One pipe among the inputs, and nobody knows.
        let total: Option<u64> = inputs.iter().map(|input| input.bytes).sum();
        let bar = ProgressBar::with_draw_target(total, target);
        if let Ok(style) = ProgressStyle::with_template(if total.is_some() { OF_KNOWN_SIZE } else { OF_UNKNOWN_SIZE }) {
            bar.set_style(style);
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        Self { bar, done_bytes: 0, read_bytes: 0 }
    }

    /// Looks where reading is.
    pub(super) fn look(&mut self, capture: &Capture, figures: impl FnOnce() -> String) {
        self.read_bytes = capture.input_bytes_read();
        if !self.bar.is_hidden() {
            self.bar.set_position(self.done_bytes + self.read_bytes);
            self.bar.set_message(figures());
        }
    }

    /// A capture is read, to its end or to where it is damaged.
    pub(super) fn input_done(&mut self, input: &Input) {
        self.done_bytes += input.bytes.unwrap_or(self.read_bytes);
        self.read_bytes = 0;
        self.bar.set_position(self.done_bytes);
    }

    /// Prints a line on standard error, beside the bar.
    pub(super) fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
