//! Which class at which confidence and evidence gets which action: YAML, checked with line and column.

mod raw;

pub use raw::{ActionName, SubjectName};

use ganglion_proto::v1::TrafficClass;
use std::path::{Path, PathBuf};

/// The playbook that is compiled in; the same file ships as `playbooks/default.yaml`.
pub const DEFAULT: &str = include_str!("../../playbooks/default.yaml");
/// Larger files are refused, in bytes.
const LIMIT: u64 = 1 << 20;

/// Why a playbook can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PlaybookError {
    /// The file can't be read.
    #[error("playbook {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any playbook.
    #[error("playbook {path} is larger than {LIMIT} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file says something that makes no sense.
    #[error("playbook {path}, line {line}, column {column}: {why}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What, with the key's path.
        why: String,
    },
}

/// A playbook that passed all checks.
#[derive(Clone, Debug, PartialEq)]
pub struct Playbook {
    /// Its name, for logs.
    pub name: String,
    /// How benign traffic counts against a verdict.
    pub benign: Benign,
    /// The rules; the first that fits a row's class and subject takes it.
    pub rules: Vec<Rule>,
}

/// How benign traffic counts against a verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Benign {
    /// Each established benign flow raises the evidence needed by this share.
    pub per_flow: f64,
    /// The need grows at most to so many times.
    pub at_most: f64,
    /// Time after which a benign flow counts half, µs.
    pub half_life_us: u64,
    /// Established benign TCP flows that prove an address.
    pub proven_by: u32,
    /// How long the last of them proves it, µs.
    pub proven_for_us: u64,
    /// What a proven address is limited to while the evidence may be forged, packets per second.
    pub limit_per_second: u32,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Classes whose evidence is added up.
    pub classes: Vec<TrafficClass>,
    /// Whose evidence is added up.
    pub subject: SubjectName,
    /// Rows below are no evidence, 0 to 1.
    pub min_confidence: f32,
    /// Evidence that raises a verdict.
    pub evidence: f64,
    /// Evidence below which the matter is closed.
    pub clear: f64,
    /// Evidence older than this counts nothing, µs of event time.
    pub window_us: u64,
    /// Distinct flows that must agree before an address is named.
    pub min_flows: u32,
    /// Distinct initiators that must agree (destination rules).
    pub min_sources: u32,
    /// Share of the subject's flows of late that must speak against it, 0 to 1.
    pub min_share: f64,
    /// What is asked of the sensor.
    pub action: ActionName,
    /// Whether one flow with enough snapshots is dropped by itself.
    pub single_flow: bool,
    /// How long the action holds, µs.
    pub ttl_us: u64,
    /// Packets or new flows per second, for the limiting actions.
    pub limit_per_second: u32,
    /// Shortest time between two verdicts on one subject, µs of event time.
    pub cooldown_us: u64,
}

impl Rule {
    /// Whether the rule is about what the model does not know; such rules come last.
    pub fn on_unknown(&self) -> bool {
        self.classes.contains(&TrafficClass::Unknown)
    }
}

impl Playbook {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Names the file, the line, the column and the key.
    pub fn load(path: &Path) -> Result<Self, PlaybookError> {
        let failed = |source| PlaybookError::File { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(failed)?.len() > LIMIT {
            return Err(PlaybookError::TooLarge { path: path.to_owned() });
        }
        Self::parse(&std::fs::read_to_string(path).map_err(failed)?, path)
    }

    /// The compiled-in playbook.
    ///
    /// # Errors
    /// Never with the file that ships; a test says so.
    pub fn shipped() -> Result<Self, PlaybookError> {
        Self::parse(DEFAULT, Path::new("(default)"))
    }

    /// Checks `text`; `path` is for errors.
    ///
    /// # Errors
    /// Names the line, the column and the key.
    pub fn parse(text: &str, path: &Path) -> Result<Self, PlaybookError> {
        serde_yaml_ng::from_str::<raw::Playbook>(text).map(Self::from).map_err(|error| {
            let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            let why = error.to_string();
            let why = why.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&why).to_owned();
            PlaybookError::Invalid { path: path.to_owned(), line, column, why }
        })
    }
}

#[cfg(test)]
mod tests;
