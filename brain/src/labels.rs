//! What labels of data sets mean in the frozen classes.
//!
//! Built in are the labels of CICIDS2017, as published and as corrected, of CSE-CIC-IDS2018, and the names of the
//! classes themselves. Case, blanks, dashes and signs that an encoding spoilt never count. A map in YAML adds to them
//! and wins over them.

use crate::class;
use ganglion_features::cicflowmeter::plain;
use ganglion_proto::v1::TrafficClass;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use TrafficClass::{Benign, Bot, BruteForce, Ddos, Dos, Infiltration, PortScan, Web};

/// Larger maps are refused, in bytes.
const LIMIT: u64 = 1 << 20;
/// What a map writes for rows that are not to be scored.
const LEAVE_OUT: &str = "drop";
/// How the corrected data sets end the labels of attacks that came to nothing: such rows are of no class.
const ATTEMPTED: &str = "attempted";

/// Labels and classes; the trainer's `labels.toml` says the same.
static BUILT_IN: &[(&str, TrafficClass)] = &[
    ("Normal", Benign),
    ("DDoS-HOIC", Ddos),
    ("DDoS-LOIC-HTTP", Ddos),
    ("DDoS-LOIC-UDP", Ddos),
    ("DDOS attack-HOIC", Ddos),
    ("DDOS attack-LOIC-UDP", Ddos),
    ("DDoS attacks-LOIC-HTTP", Ddos),
    ("DoS GoldenEye", Dos),
    ("DoS Hulk", Dos),
    ("DoS Slowhttptest", Dos),
    ("DoS Slowloris", Dos),
    ("DoS attacks-GoldenEye", Dos),
    ("DoS attacks-Hulk", Dos),
    ("DoS attacks-SlowHTTPTest", Dos),
    ("DoS attacks-Slowloris", Dos),
    ("Port Scan", PortScan),
    ("Infiltration - Portscan", PortScan),
    ("Infiltration - NMAP Portscan", PortScan),
    ("Botnet", Bot),
    ("Botnet Ares", Bot),
    ("FTP-Patator", BruteForce),
    ("SSH-Patator", BruteForce),
    ("FTP-BruteForce", BruteForce),
    ("SSH-Bruteforce", BruteForce),
    ("WebAttack", Web),
    ("Web Attack - Brute Force", Web),
    ("Web Attack - XSS", Web),
    ("Web Attack - SQL Injection", Web),
    ("Brute Force -Web", Web),
    ("Brute Force -XSS", Web),
    ("SQL Injection", Web),
    ("Infilteration", Infiltration),
    ("Infiltration - Communication Victim Attacker", Infiltration),
    ("Infiltration - Dropbox Download", Infiltration),
];

/// Why a map can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LabelMapError {
    /// The file can't be read.
    #[error("label map {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any map.
    #[error("label map {0} is larger than {LIMIT} bytes")]
    TooLarge(PathBuf),
    /// The file is no map.
    #[error("label map {path}: {why}; lines as `\"Label text\": DoS` are needed")]
    Yaml {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        why: String,
    },
    /// A line names no class.
    #[error("label map {path}: label \"{label}\" stands for \"{class}\", which is no class; {}", known())]
    Class {
        /// The file.
        path: PathBuf,
        /// The label.
        label: String,
        /// What it says.
        class: String,
    },
}

fn known() -> String {
    format!("classes are {}, or write \"{LEAVE_OUT}\"", class::ALL.map(class::name).join(", "))
}

/// What is done with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It is of this class.
    Class(TrafficClass),
    /// It is not to be scored.
    LeaveOut,
}

/// A class's name or number, or that rows are left out.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Number(u32),
    Name(String),
}

/// Labels and what they mean.
#[derive(Clone, Debug)]
pub struct LabelMap(HashMap<String, Meaning>);

impl Default for LabelMap {
    fn default() -> Self {
        let names =
            class::ALL.into_iter().flat_map(|class| [(class::name(class), class), (class::label(class), class)]);
        let all = names.chain(BUILT_IN.iter().copied());
        Self(all.map(|(label, class)| (plain(label), Meaning::Class(class))).collect())
    }
}

impl LabelMap {
    /// The built-in table, and what a file adds to it.
    ///
    /// # Errors
    /// Names the file and what is wrong in it.
    pub fn load(path: &Path) -> Result<Self, LabelMapError> {
        let failed = |source| LabelMapError::File { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(failed)?.len() > LIMIT {
            return Err(LabelMapError::TooLarge(path.to_owned()));
        }
        Self::parse(&std::fs::read_to_string(path).map_err(failed)?, path)
    }

    /// As [`LabelMap::load`] with a file's text; `path` is for errors.
    ///
    /// # Errors
    /// As [`LabelMap::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, LabelMapError> {
        let lines: BTreeMap<String, Value> = serde_yaml_ng::from_str(text)
            .map_err(|error| LabelMapError::Yaml { path: path.to_owned(), why: error.to_string() })?;
        let mut map = Self::default();
        for (label, value) in lines {
            let meaning = match &value {
                Value::Number(number) => class::from_number(*number).map(Meaning::Class),
                Value::Name(name) if plain(name) == plain(LEAVE_OUT) => Some(Meaning::LeaveOut),
                Value::Name(name) => class_named(name).map(Meaning::Class),
            };
            let Some(meaning) = meaning else {
                let class = match value {
                    Value::Number(number) => number.to_string(),
                    Value::Name(name) => name,
                };
                return Err(LabelMapError::Class { path: path.to_owned(), label, class });
            };
            map.0.insert(plain(&label), meaning);
        }
        Ok(map)
    }

    /// What a label means; `None` when nobody knows.
    pub fn meaning(&self, label: &str) -> Option<Meaning> {
        let label = plain(label);
        let known = self.0.get(&label).copied();
        known.or_else(|| label.ends_with(ATTEMPTED).then_some(Meaning::LeaveOut))
    }
}

fn class_named(name: &str) -> Option<TrafficClass> {
    class::ALL.into_iter().find(|class| plain(class::name(*class)) == plain(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_the_data_sets_are_known_in_any_spelling() {
        let map = LabelMap::default();
        for (label, class) in [
            ("BENIGN", Benign),
            ("DoS Hulk", Dos),
            ("Infiltration - Portscan", PortScan),
            ("Infiltration - NMAP Portscan", PortScan),
            ("Portscan", PortScan),
            ("Web Attack \u{fffd} Sql Injection", Web),
            ("Web Attack – XSS", Web),
            ("DDoS", Ddos),
            (" DoS slowloris", Dos),
            ("port-scan", PortScan),
            ("BruteForce", BruteForce),
        ] {
            assert_eq!(map.meaning(label), Some(Meaning::Class(class)), "{label}");
        }
        assert_eq!(map.meaning("phase of the moon"), None);
        assert_eq!(map.meaning("DoS Hulk - Attempted"), Some(Meaning::LeaveOut));
    }

    #[test]
    fn no_label_means_two_classes() {
        let mut seen = HashMap::new();
        for (label, class) in BUILT_IN {
            assert!(seen.insert(plain(label), class).is_none_or(|before| before == class), "{label}");
        }
    }

    /// Lines as `Name = ["text", …]`, over as many lines as it takes, of the trainer's section on these data sets.
    fn of_the_trainer() -> Vec<(String, String)> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../trainer/src/ganglion_trainer/tables/labels.toml");
        let text = std::fs::read_to_string(path).unwrap();
        let section = text.split("\n[").find_map(|section| section.strip_prefix("cicflowmeter]\n")).unwrap();
        let (mut name, mut found) = (String::new(), Vec::new());
        for line in section.lines() {
            if let Some((key, _)) = line.split_once(" = ") {
                name = key.trim().to_owned();
            }
            found.extend(line.split('"').skip(1).step_by(2).map(|label| (name.clone(), label.to_owned())));
        }
        found
    }

    #[test]
    fn the_trainer_says_the_same() {
        let (map, trainer) = (LabelMap::default(), of_the_trainer());
        assert!(trainer.len() > 40, "{}", trainer.len());
        for (name, label) in &trainer {
            let meaning = map.meaning(&label.replace('*', "DoS Hulk"));
            let due = if name == LEAVE_OUT { Meaning::LeaveOut } else { Meaning::Class(class_named(name).unwrap()) };
            assert_eq!(meaning, Some(due), "{label}");
        }
        for (label, class) in BUILT_IN {
            let same =
                |(name, text): &&(String, String)| plain(text) == plain(label) && class_named(name) == Some(*class);
            assert!(trainer.iter().any(|known| same(&known)), "the trainer does not know {label}");
        }
    }

    #[test]
    fn a_map_adds_and_wins() {
        let text = "neptune: DoS\nNormal: drop\n\"portsweep\": 4\nsmurf: port-scan\n";
        let map = LabelMap::parse(text, Path::new("x.yaml")).unwrap();
        assert_eq!(map.meaning("Neptune"), Some(Meaning::Class(Dos)));
        assert_eq!(map.meaning("normal"), Some(Meaning::LeaveOut));
        assert_eq!(map.meaning("portsweep"), Some(Meaning::Class(PortScan)));
        assert_eq!(map.meaning("BENIGN"), Some(Meaning::Class(Benign)));
    }

    #[test]
    fn a_wrong_map_says_what_is_wrong() {
        let error = |text: &str| LabelMap::parse(text, Path::new("x.yaml")).unwrap_err().to_string();
        let class = error("a: Flood\n");
        assert!(class.contains("x.yaml") && class.contains("\"a\"") && class.contains("Flood"), "{class}");
        assert!(class.contains("PortScan"), "{class}");
        assert!(error("- a\n- b\n").contains("Label text"));
        assert!(error("a: 12\n").contains("12"));
    }
}
