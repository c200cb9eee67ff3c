//! Labels by rules: who, with whom, when. That is how public captures become training sets.
//!
//! The format of a file of rules is in `examples/labels.yaml`. Rules are compiled into tables, one for each of the six
//! things that a row is known by: what range of values it lies in gives a set of rules, and the first rule in all six
//! sets is the one. So thousands of rules cost little more than one.

mod index;
mod rules;
mod value;

use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::Path;

use crate::table::{Batch, Cells, Field, Kind, Texts};
use index::{Index, Key};

/// Longest file that is read.
const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// Most rules: their tables take as many bits for each of their bounds.
pub const MAX_RULES: usize = 5_000;
/// The column that labels are in.
const COLUMN: &str = "Label";

/// Why there are no labels.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// The file can't be read.
    #[error("{file}: can't be read: {source}")]
    Read {
        /// The file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// It is no file of rules.
    #[error("{file}: {message}")]
    Format {
        /// The file.
        file: String,
        /// What is wrong, with the rule and the line where they are known.
        message: String,
    },
    /// The rows lack what rules go by.
    #[error("labels need the column {0:?}, which these rows have not")]
    Column(&'static str),
}

/// Compiled rules.
#[derive(Debug)]
pub struct Labels {
    rules: Vec<Named>,
    default: String,
    index: Index,
}

/// What is left of a rule beside its conditions.
#[derive(Clone, Debug)]
struct Named {
    title: String,
    label: String,
    attempted: Option<String>,
}

/// Where the columns are that rules go by.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    time: usize,
    src: usize,
    src_port: usize,
    dst: usize,
    dst_port: usize,
    protocol: usize,
    forward_payload: usize,
    /// Of the label, where the table has one.
    label: Option<usize>,
}

/// Rows by rule that labelled them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hits(Vec<u64>);

impl Labels {
    /// Reads a file of rules.
    ///
    /// # Errors
    /// It can't be read, is longer than it may be, or is no file of rules.
    pub fn open(path: &Path) -> Result<Self, LabelError> {
        let file = path.display().to_string();
        let mut text = String::new();
        let read = File::open(path).and_then(|open| open.take(MAX_BYTES + 1).read_to_string(&mut text));
        match read {
            Ok(bytes) if bytes as u64 > MAX_BYTES => {
                let message = format!("longer than {MAX_BYTES} bytes; divide it");
                Err(LabelError::Format { file, message })
            }
            Ok(_) => Self::read(&text, &file),
            Err(source) => Err(LabelError::Read { file, source }),
        }
    }

    /// Reads the text of such a file; `file` stands for it in messages.
    ///
    /// # Errors
    /// It is no file of rules.
    pub fn read(text: &str, file: &str) -> Result<Self, LabelError> {
        let rules = rules::read(text).map_err(|message| LabelError::Format { file: file.to_owned(), message })?;
        let index = Index::new(&rules.rules.iter().flat_map(|rule| rule.forms.clone()).collect::<Vec<_>>());
        let name = |rule: rules::Rule| Named { title: rule.title, label: rule.label, attempted: rule.attempted };
        Ok(Self { rules: rules.rules.into_iter().map(name).collect(), default: rules.default, index })
    }

    /// Number of rules.
    pub fn rules(&self) -> usize {
        self.rules.len()
    }

    /// Finds the columns that rules go by, and makes the label a field of the table: its last, if it has none.
    ///
    /// # Errors
    /// A column is missing.
    pub fn prepare(fields: &mut Vec<Field>) -> Result<Places, LabelError> {
        // As Ganglion names it, and as CICFlowMeter does.
        let find = |ours: &'static str, reference: &str| {
            let found = fields.iter().position(|field| field.name == ours || field.name == reference);
            found.ok_or(LabelError::Column(ours))
        };
        let places = Places {
            time: find("timestamp", "Timestamp")?,
            src: find("initiator", "Src IP")?,
            src_port: find("initiator_port", "Src Port")?,
            dst: find("responder", "Dst IP")?,
            dst_port: find("responder_port", "Dst Port")?,
            protocol: find("protocol", "Protocol")?,
            forward_payload: find("fwd_payload_bytes", "Total Length of Fwd Packet")?,
            label: fields.iter().position(|field| field.name == COLUMN),
        };
        if places.label.is_none() {
            fields.push(Field { name: COLUMN.into(), unit: "", kind: Kind::Text });
        }
        Ok(places)
    }

    /// Labels rows; the same on any thread.
    pub fn label(&self, batch: &mut Batch, places: &Places) -> Hits {
        let mut hits = Hits(vec![0; self.rules.len()]);
        let mut labels = Texts::default();
        for row in 0..batch.rows {
            let rule = self.index.first(&key(batch, places, row)).and_then(|at| Some((at, self.rules.get(at)?)));
            labels.push(match rule {
                None => &self.default,
                Some((at, rule)) => {
                    hits.0[at] += 1;
                    let sent = int(batch.columns.get(places.forward_payload), row);
                    rule.attempted.as_ref().filter(|_| sent == 0).unwrap_or(&rule.label)
                }
            });
        }
        match places.label.and_then(|at| batch.columns.get_mut(at)) {
            Some(column) => *column = Cells::Text(labels),
            None => batch.columns.push(Cells::Text(labels)),
        }
        hits
    }

    /// Names of the rules that matched no row.
    pub fn unmatched(&self, hits: &Hits) -> Vec<&str> {
        let matched = |at: usize| hits.0.get(at).is_some_and(|rows| *rows > 0);
        let none = self.rules.iter().enumerate().filter(|(at, _)| !matched(*at));
        none.map(|(_, rule)| rule.title.as_str()).collect()
    }
}

impl Hits {
    /// Adds those of other rows.
    pub fn add(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// Rows that a rule matched, not the default.
    pub fn rows(&self) -> u64 {
        self.0.iter().sum()
    }
}

fn key(batch: &Batch, places: &Places, row: usize) -> Key {
    let cells = |at: usize| batch.columns.get(at);
    Key {
        time_us: int(cells(places.time), row),
        src: address(cells(places.src), row),
        dst: address(cells(places.dst), row),
        src_port: int(cells(places.src_port), row) as u16,
        dst_port: int(cells(places.dst_port), row) as u16,
        protocol: int(cells(places.protocol), row) as u8,
    }
}

fn int(cells: Option<&Cells>, row: usize) -> i64 {
    match cells {
        Some(Cells::Int(cells) | Cells::Time(cells)) => cells.get(row).copied().unwrap_or(0),
        Some(Cells::Float(cells) | Cells::FloatOrWhole { values: cells, .. }) => {
            cells.get(row).map_or(0, |cell| *cell as i64)
        }
        Some(Cells::Text(_)) | None => 0,
    }
}

/// An address as a number, IPv4 in the range that IPv6 keeps for it. What is none lies in no rule's network but ::/0.
fn address(cells: Option<&Cells>, row: usize) -> u128 {
    let Some(Cells::Text(texts)) = cells else { return 0 };
    texts.get(row).parse().map_or(0, number)
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

#[cfg(test)]
mod tests;
