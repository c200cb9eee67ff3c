//! What an extraction says when it is done.

use ganglion_extract::capture::CaptureError;
use ganglion_extract::cicflowmeter::Counts;
use serde_json::{Value, json};

use super::super::super::say_json;
use super::output::Format;
use super::{Extract, Profile};
use crate::exit::Result;
use crate::units;

/// What was wrong with a capture.
pub(super) struct Fault {
    /// Names the capture.
    pub(super) message: String,
    /// Where, in bytes of the uncompressed capture, if it is about a place.
    byte: Option<u64>,
    /// Frames of a link type that is not read; 0 if it is about something else.
    pub(super) frames_refused: u64,
}

impl Fault {
    pub(super) fn of(error: &CaptureError) -> Self {
        let byte = match error {
            CaptureError::Read { offset, .. }
            | CaptureError::Damaged { offset, .. }
            | CaptureError::LinkType { offset, .. } => Some(*offset),
            CaptureError::Open { .. } | CaptureError::NotACapture { .. } => None,
        };
        Self { message: error.to_string(), byte, frames_refused: 0 }
    }
}

/// Figures of an extraction.
pub(super) struct Summary {
    pub(super) files: usize,
    /// Files that are no capture, or none that can be read.
    pub(super) unread: usize,
    pub(super) counts: Counts,
    /// Distinct 5-tuples, all held until the end.
    pub(super) tuples: usize,
    pub(super) peak_memory_bytes: Option<u64>,
    pub(super) faults: Vec<Fault>,
}

impl Summary {
    /// To standard error, which never mixes with rows; as JSON to standard output where that is free.
    pub(super) fn say(&self, args: &Extract) -> Result<()> {
        if !args.json {
            eprintln!("{}", self.text(args));
            return Ok(());
        }
        self.warnings().iter().for_each(|warning| eprintln!("ganglion: {warning}"));
        let json = self.json(args);
        if args.output.as_os_str() == super::STANDARD {
            // One line, the last: warnings may stand before it.
            eprintln!("{json}");
            return Ok(());
        }
        say_json(&json)
    }

    fn text(&self, args: &Extract) -> String {
        let Counts { frames, not_ipv4, cut, backwards, rows } = self.counts;
        let count = units::grouped;
        let memory = self
            .peak_memory_bytes
            .map_or_else(String::new, |bytes| format!(", {} of memory at peak", units::bytes(bytes)));
        let mut lines = self.warnings();
        lines.push(format!(
            "{}: {} rows of {} frames; captures read: {}",
            args.output.display(),
            count(rows),
            count(frames),
            count((self.files - self.unread) as u64)
        ));
        lines.push(format!(
            "  in no row: {} (not IPv4, or a protocol that the profile drops); cut: {}; time backwards: {}",
            count(not_ipv4),
            count(cut),
            count(backwards)
        ));
        lines.push(format!("  distinct 5-tuples: {}, held to the end{memory}", count(self.tuples as u64)));
        lines.join("\n")
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for fault in self.faults.iter().filter(|fault| fault.frames_refused > 1) {
            warnings.push(format!("warning: {} frames were left out: {}", fault.frames_refused, fault.message));
        }
        let Counts { cut, backwards, .. } = self.counts;
        if backwards > 0 {
            let times = units::grouped(backwards);
            warnings.push(format!(
                "warning: time runs backwards {times} times: gaps and durations around them are as the profile counts \
                 them; sort the capture by time (reordercap, mergecap) if that is not meant"
            ));
        }
        if cut > 0 {
            let frames = units::grouped(cut);
            warnings.push(format!(
                "warning: {frames} frames were cut when they were captured: their lengths come out too small; capture \
                 with a larger snap length"
            ));
        }
        warnings
    }

    fn json(&self, args: &Extract) -> Value {
        let Profile::Cicflowmeter = args.profile;
        let Counts { frames, not_ipv4, cut, backwards, rows } = self.counts;
        let faults: Vec<_> = self
            .faults
            .iter()
            .map(
                |fault| json!({ "message": fault.message, "byte": fault.byte, "frames_refused": fault.frames_refused }),
            )
            .collect();
        json!({
            "output": args.output.display().to_string(),
            "format": Format::of(args.format, &args.output).map(Format::name).ok(),
            "profile": "cicflowmeter",
            "files": self.files,
            "files_unread": self.unread,
            "frames": frames,
            "rows": rows,
            "not_ipv4": not_ipv4,
            "cut": cut,
            "backwards": backwards,
            "tuples": self.tuples,
            "peak_memory_bytes": self.peak_memory_bytes,
            "faults": faults,
        })
    }
}

/// The most that this process had in memory so far, as the kernel counted.
pub(super) fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}
