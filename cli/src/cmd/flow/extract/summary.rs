//! What an extraction says when it is done.

use ganglion_extract::capture::CaptureError;
use ganglion_extract::labels::Hits;
use ganglion_extract::{cicflowmeter, ganglion};
use ganglion_flow::Reason;
use serde_json::{Value, json};

use super::super::super::say_json;
use super::reading::Reading;
use super::{Extract, Plan};
use crate::exit::Result;
use crate::units;

/// Rules without a match that are named; JSON names all.
const NAMED: usize = 10;

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

/// What a profile counted.
pub(super) enum Figures {
    Ganglion(Box<ganglion::Counts>),
    Cicflowmeter(cicflowmeter::Counts),
}

/// Frames and rows, whatever the profile.
struct Common {
    frames: u64,
    rows: u64,
    cut: u64,
    backwards: u64,
}

impl Figures {
    fn common(&self) -> Common {
        match self {
            Self::Ganglion(counts) => {
                let (cut, backwards) = (counts.cut, counts.backwards);
                Common { frames: counts.frames(), rows: counts.rows, cut, backwards }
            }
            Self::Cicflowmeter(counts) => {
                let cicflowmeter::Counts { frames, rows, cut, backwards, .. } = *counts;
                Common { frames, rows, cut, backwards }
            }
        }
    }
}

/// Why flows end, by name.
const REASONS: [(Reason, &str); 7] = [
    (Reason::Fin, "fin"),
    (Reason::Rst, "rst"),
    (Reason::Idle, "idle"),
    (Reason::Active, "active"),
    (Reason::HalfOpen, "half_open"),
    (Reason::Reopened, "reopened"),
    (Reason::Shutdown, "capture_end"),
];

/// Figures of an extraction.
pub(super) struct Summary<'a> {
    args: &'a Extract,
    plan: &'a Plan,
    reading: &'a Reading<'a>,
    figures: Figures,
    hits: &'a Hits,
    peak_memory_bytes: Option<u64>,
}

impl<'a> Summary<'a> {
    pub(super) fn new(
        args: &'a Extract,
        plan: &'a Plan,
        reading: &'a Reading<'a>,
        figures: Figures,
        hits: &'a Hits,
    ) -> Self {
        Self { args, plan, reading, figures, hits, peak_memory_bytes: peak_memory_bytes() }
    }

    /// To standard error, which never mixes with rows; as JSON to standard output where that is free.
    pub(super) fn say(&self) -> Result<()> {
        if !self.args.json {
            eprintln!("{}", self.text());
            return Ok(());
        }
        self.warnings().iter().for_each(|warning| eprintln!("ganglion: {warning}"));
        let json = self.json();
        if self.args.output.as_os_str() == super::STANDARD {
            // One line, the last: warnings may stand before it.
            eprintln!("{json}");
            return Ok(());
        }
        say_json(&json)
    }

    fn text(&self) -> String {
        let Common { frames, rows, cut, backwards } = self.figures.common();
        let count = units::grouped;
        let mut lines = self.warnings();
        lines.push(format!(
            "{}: {} rows of {} frames; captures read: {}",
            self.args.output.display(),
            count(rows),
            count(frames),
            count((self.reading.files() - self.reading.unread()) as u64)
        ));
        let filtered =
            self.reading.filtered().map_or_else(String::new, |frames| format!("filtered out: {}; ", count(frames)));
        lines.push(format!(
            "  {filtered}in no row: {}; cut: {}; time backwards: {}",
            self.in_no_row(),
            count(cut),
            count(backwards)
        ));
        lines.push(format!("  {}{}", self.held(), self.memory()));
        if let Some((labels, _)) = &self.plan.labels {
            let rules = count(labels.rules() as u64);
            lines.push(format!(
                "  labelled by {rules} rules: {}; by default: {}",
                count(self.hits.rows()),
                count(rows.saturating_sub(self.hits.rows()))
            ));
        }
        lines.join("\n")
    }

    fn in_no_row(&self) -> String {
        let count = units::grouped;
        match &self.figures {
            Figures::Ganglion(counts) => {
                let reasons = counts.no_flow().map(|(reason, frames)| format!("{} {reason}", count(frames)));
                let after = Some(counts.after_end()).filter(|frames| *frames > 0);
                let all: Vec<_> =
                    reasons.chain(after.map(|frames| format!("{} after their flow's end", count(frames)))).collect();
                let sum = counts.frames() - counts.in_rows();
                if all.is_empty() { count(sum) } else { format!("{} ({})", count(sum), all.join(", ")) }
            }
            Figures::Cicflowmeter(counts) => {
                format!("{} (not IPv4, or a protocol that the profile drops)", count(counts.not_ipv4))
            }
        }
    }

    fn held(&self) -> String {
        match &self.figures {
            Figures::Ganglion(counts) => {
                format!("flows held at one time, at most: {}", units::grouped(counts.live_peak))
            }
            Figures::Cicflowmeter(counts) => {
                format!("distinct 5-tuples: {}, held to the end", units::grouped(counts.tuples))
            }
        }
    }

    fn memory(&self) -> String {
        self.peak_memory_bytes.map_or_else(String::new, |bytes| format!(", {} of memory at peak", units::bytes(bytes)))
    }

    fn unmatched(&self) -> Vec<&str> {
        self.plan.labels.as_ref().map_or_else(Vec::new, |(labels, _)| labels.unmatched(self.hits))
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for fault in self.reading.faults().iter().filter(|fault| fault.frames_refused > 1) {
            warnings.push(format!("warning: {} frames were left out: {}", fault.frames_refused, fault.message));
        }
        let Common { cut, backwards, .. } = self.figures.common();
        if backwards > 0 {
            let times = units::grouped(backwards);
            warnings.push(format!(
                "warning: time runs backwards {times} times: gaps and durations around them are as the profile counts \
                 them; sort the capture by time (reordercap, mergecap) if that is not meant"
            ));
        }
        if cut > 0 {
            let frames = units::grouped(cut);
            warnings.push(match self.figures {
                Figures::Ganglion(_) => format!(
                    "warning: {frames} frames were cut when they were captured: what lies beyond the cut is unknown, \
                     lengths are those on the wire"
                ),
                Figures::Cicflowmeter(_) => format!(
                    "warning: {frames} frames were cut when they were captured: their lengths come out too small; \
                     capture with a larger snap length"
                ),
            });
        }
        warnings.extend(self.columns_warning());
        warnings.extend(self.labels_warning());
        warnings
    }

    fn columns_warning(&self) -> Option<String> {
        let missing = self.plan.columns.missing();
        (!missing.is_empty()).then(|| {
            let (count, names) = (missing.len(), missing.join(", "));
            format!("warning: {count} columns are left out, which the profile has no answer to: {names}")
        })
    }

    fn labels_warning(&self) -> Option<String> {
        let unmatched = self.unmatched();
        (!unmatched.is_empty()).then(|| {
            let named: Vec<_> = unmatched.iter().take(NAMED).map(|title| units::one_line(title)).collect();
            let more = if unmatched.len() > NAMED { "; …" } else { "" };
            let count = units::grouped(unmatched.len() as u64);
            format!("warning: {count} label rules matched nothing: {}{more}", named.join("; "))
        })
    }

    fn json(&self) -> Value {
        let Common { frames, rows, cut, backwards } = self.figures.common();
        let fault = |fault: &Fault| json!({ "message": fault.message, "byte": fault.byte, "frames_refused": fault.frames_refused });
        let mut all = json!({
            "output": self.args.output.display().to_string(),
            "format": self.plan.format.name(),
            "jobs": self.plan.jobs,
            "files": self.reading.files(),
            "files_unread": self.reading.unread(),
            "frames": frames,
            "filtered": self.reading.filtered(),
            "rows": rows,
            "cut": cut,
            "backwards": backwards,
            "columns": self.plan.columns.fields.len(),
            "columns_left_out": self.plan.columns.missing(),
            "labels": self.plan.labels.as_ref().map(|(labels, _)| json!({
                "rules": labels.rules(),
                "rows": self.hits.rows(),
                "unmatched": self.unmatched(),
            })),
            "peak_memory_bytes": self.peak_memory_bytes,
            "faults": self.reading.faults().iter().map(fault).collect::<Vec<_>>(),
        });
        if let (Value::Object(all), Value::Object(more)) = (&mut all, self.profile_json()) {
            all.extend(more);
        }
        all
    }

    fn profile_json(&self) -> Value {
        match &self.figures {
            Figures::Ganglion(counts) => json!({
                "profile": "ganglion",
                "in_rows": counts.in_rows(),
                "after_end": counts.after_end(),
                "no_flow": counts.no_flow().collect::<std::collections::BTreeMap<_, _>>(),
                "ended": REASONS.map(|(reason, name)| (name, counts.ended(reason))).into_iter()
                    .collect::<std::collections::BTreeMap<_, _>>(),
                "time_resets": counts.time_resets,
                "flows_peak": counts.live_peak,
            }),
            Figures::Cicflowmeter(counts) => {
                json!({ "profile": "cicflowmeter", "not_ipv4": counts.not_ipv4, "tuples": counts.tuples })
            }
        }
    }
}

/// The most that this process had in memory so far, as the kernel counted.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}
