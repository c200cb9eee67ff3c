//! The captures: built by an example of `extract/`, which has the reader.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::measure;
use crate::bench::report::Table;
use crate::process::output;

/// A built capture.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Capture {
    pub(super) name: String,
    /// Where its packets come from.
    from: String,
    /// How many real captures are in it.
    captures: u64,
    pub(super) packets: u64,
    /// Distinct 5-tuples.
    flows: u64,
    bytes: u64,
    /// From the first to the last packet.
    seconds: f64,
    #[serde(skip)]
    pub(super) path: PathBuf,
}

/// All of them.
pub(super) struct Captures(Vec<Capture>);

/// Long flows of many applications.
pub(super) const MIXED: &str = "mixed";
/// Its first packets.
pub(super) const PREFIX: &str = "prefix";
/// The same four times, one after the other.
pub(super) const REPEATED: &str = "repeated";
/// A few packets a flow.
pub(super) const FLOW_HEAVY: &str = "flow-heavy";

/// Builds them in `folder`.
pub(super) fn build(folder: &Path, packets: u64) -> Result<Captures> {
    let mut command = crate::bench::cargo(["run", "--release", "--quiet", "--package", "ganglion-extract"])?;
    command.args(["--example", "bench_capture", "--"]).arg(folder).arg(packets.to_string());
    let mut all = Vec::new();
    for line in output(&mut command)?.lines() {
        let mut capture: Capture = serde_json::from_str(line).with_context(|| format!("built: {line:?}"))?;
        capture.path = folder.join(&capture.name).with_extension("pcap");
        measure::uncache(&capture.path)?;
        all.push(capture);
    }
    Ok(Captures(all))
}

impl Captures {
    pub(super) fn get(&self, name: &str) -> Result<&Capture> {
        self.0.iter().find(|capture| capture.name == name).with_context(|| format!("no capture {name} was built"))
    }

    /// Their figures.
    pub(super) fn table(&self) -> Table {
        let columns = ["capture", "real captures", "packets", "flows", "packets/flow", "bytes", "seconds", "from"];
        let mut table = Table::new("captures", &columns);
        for c in &self.0 {
            let a_flow = (c.packets as f64 / c.flows.max(1) as f64 * 10.0).round() / 10.0;
            table.rows.push(vec![
                c.name.clone().into(),
                c.captures.into(),
                c.packets.into(),
                c.flows.into(),
                a_flow.into(),
                c.bytes.into(),
                c.seconds.into(),
                c.from.clone().into(),
            ]);
        }
        table
    }
}
