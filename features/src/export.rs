//! Rows as files for the trainer: `rows.f32`, `meta.csv`, `features.json`.
//!
//! `meta.csv` carries addresses, ports and times. They are what labels are made from, never model inputs.

use crate::context::Context;
use crate::recording::{Recording, RecordingError};
use crate::row::Row;
use crate::table::{self, COUNT};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// First line of `meta.csv`. `flow` is the same for all snapshots of a flow, `recording` counts from 0.
pub const META_COLUMNS: &str = "time_us,kind,role,stage,reason,hook,protocol,initiator,responder,\
                                initiator_port,responder_port,packets,flow,recording";

/// Writes the three files into a folder.
pub struct Exporter {
    folder: PathBuf,
    rows: BufWriter<File>,
    meta: BufWriter<File>,
    written: u64,
    recordings: Vec<serde_json::Value>,
}

/// What was read of one recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// Rows written.
    pub rows: u64,
    /// What stopped the reading before the end of the file.
    pub damage: Option<RecordingError>,
}

impl Exporter {
    /// Makes the folder and the files in it.
    ///
    /// # Errors
    /// When one of them can't be made.
    pub fn create(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let rows = BufWriter::new(File::create(folder.join("rows.f32"))?);
        let mut meta = BufWriter::new(File::create(folder.join("meta.csv"))?);
        writeln!(meta, "{META_COLUMNS}")?;
        Ok(Self { folder: folder.to_owned(), rows, meta, written: 0, recordings: Vec::new() })
    }

    /// Adds the rows of a recording, with a context of its own.
    ///
    /// # Errors
    /// When a file can't be written. Damage in the recording is no error: what comes before it is kept.
    pub fn add(&mut self, recording: &[u8]) -> io::Result<Added> {
        let mut context = Context::default();
        let mut added = Added { rows: 0, damage: None };
        let number = self.recordings.len();
        let records = match Recording::open(recording) {
            Ok(records) => records,
            Err(error) => return Ok(Added { damage: Some(error), ..added }),
        };
        let offset_us = records.boot_to_wall_offset_us();
        for record in records {
            match record {
                Ok(record) => self.row(&context.observe(&record), number)?,
                Err(error) => {
                    added.damage = Some(error);
                    break;
                }
            }
            added.rows += 1;
        }
        self.recordings.push(serde_json::json!({ "rows": added.rows, "boot_to_wall_offset_us": offset_us }));
        Ok(added)
    }

    /// Adds one row of recording `number`.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn row(&mut self, row: &Row, number: usize) -> io::Result<()> {
        for value in &row.values {
            self.rows.write_all(&value.to_le_bytes())?;
        }
        let meta = &row.meta;
        let header = &meta.header;
        let (role, responder) = match meta.source {
            Some(source) => (if source.receives { "1" } else { "0" }, String::new()),
            None => ("", IpAddr::from(meta.responder).to_string()),
        };
        write!(self.meta, "{},{},{role},{},{},", header.time_us, header.kind, header.stage, header.reason)?;
        write!(self.meta, "{},{},{},{responder},", header.hook, meta.protocol, IpAddr::from(meta.initiator))?;
        writeln!(
            self.meta,
            "{},{},{},{:016x},{number}",
            meta.initiator_port, meta.responder_port, meta.packets, meta.flow_hash
        )?;
        self.written += 1;
        Ok(())
    }

    /// Writes `features.json` and closes the files; the number of rows written.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn finish(mut self) -> io::Result<u64> {
        self.rows.flush()?;
        self.meta.flush()?;
        let names: Vec<_> = table::names().collect();
        let about = serde_json::json!({
            "format": 1,
            "rows": self.written,
            "columns": COUNT,
            "digest": table::digest(),
            "recordings": self.recordings,
            "features": names,
        });
        fs::write(self.folder.join("features.json"), format!("{about:#}\n"))?;
        Ok(self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::header;
    use ganglion_flow::record::{FlowRecord, RecordKind};
    use ganglion_flow::{Addr, FlowKey, FlowState, Hook, Reason, RecordHeader, Stage, Wire};

    #[test]
    fn three_files_of_the_same_length() {
        let folder = tempfile::tempdir().unwrap();
        let mut recording = header(0).to_vec();
        let header = RecordHeader::new(RecordKind::Flow, Stage::End, Reason::Idle, Hook::Sweep, 77);
        let (key, _) = FlowKey::new(Addr::v4(0xc612_0001), Addr::v4(0xc612_0002), 4000, 80, 6, 0);
        let mut one = vec![0; FlowRecord::LEN];
        assert!(FlowRecord { header, key, state: FlowState::ZERO }.put(&mut one));
        recording.extend(&one);
        recording.extend(&one[..100]);
        let mut exporter = Exporter::create(folder.path()).unwrap();
        let added = exporter.add(&recording).unwrap();
        assert_eq!(added.rows, 1);
        assert!(matches!(added.damage, Some(RecordingError::Truncated { .. })));
        assert_eq!(exporter.finish().unwrap(), 1);
        assert_eq!(fs::metadata(folder.path().join("rows.f32")).unwrap().len(), 4 * COUNT as u64);
        let meta = fs::read_to_string(folder.path().join("meta.csv")).unwrap();
        let lines: Vec<_> = meta.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[1].starts_with("77,1,,0,3,3,6,198.18.0.2,198.18.0.1,80,4000,0,"), "{}", lines[1]);
        assert_eq!(lines[1].split(',').count(), META_COLUMNS.split(',').count());
        let about: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.path().join("features.json")).unwrap()).unwrap();
        assert_eq!(about["columns"], COUNT);
        assert_eq!(about["features"].as_array().unwrap().len(), COUNT);
    }
}
