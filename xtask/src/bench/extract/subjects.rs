//! What is run: Ganglion and its peers, each with its capture and its CPUs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::captures::{Capture, Captures, FLOW_HEAVY, MIXED, PREFIX, REPEATED};
use super::measure::{self, Usage};
use super::peers::Peers;
use super::sink::Sink;

/// One thing that is measured, and what came of it.
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) capture: Capture,
    cpus: usize,
    command: Command,
    /// What it writes, where that is a file.
    output: Option<PathBuf>,
    rows: Rows,
    pub(super) runs: Vec<Usage>,
    /// Rows of the last run.
    pub(super) written: Option<u64>,
}

/// How a program says how many rows it made.
enum Rows {
    /// It makes none.
    None,
    /// Ganglion's summary.
    Summary,
    /// Its last line.
    LastLine,
    /// Lines of the file it writes, less the header.
    Lines(PathBuf),
    /// What came over the network.
    Sink(Sink),
}

/// A peer that could not be had, and why.
pub(super) type Absent = (&'static str, String);

pub(super) const GANGLION: &str = "ganglion, one core";
pub(super) const GANGLION_TWO: &str = "ganglion, two cores";
pub(super) const GANGLION_REPEATED: &str = "ganglion, capture four times";
pub(super) const GANGLION_LONGER: &str = "ganglion, capture twelve times";
pub(super) const PCAP_LOOP: &str = "libpcap loop";
pub(super) const NFSTREAM: &str = "NFStream 6.6.0";
pub(super) const NFSTREAM_COUNTING: &str = "NFStream, rows counted alone";
pub(super) const CICFLOWMETER: &str = "Python cicflowmeter 0.2.0";
const SOFTFLOWD: &str = "softflowd";
/// More flows than softflowd would hold by default, so that it throws none out.
const SOFTFLOWD_FLOWS: &str = "2000000";

impl Subject {
    fn new(name: &'static str, capture: &Capture, command: Command, rows: Rows) -> Self {
        let capture = capture.clone();
        Self { name, capture, cpus: 1, command, output: None, rows, runs: Vec::new(), written: None }
    }

    fn writes(mut self, output: PathBuf) -> Self {
        self.output = Some(output);
        self
    }

    fn on_two(mut self) -> Self {
        self.cpus = 2;
        self
    }

    /// Runs it once.
    pub(super) fn run(&mut self, folder: &Path, counts: bool) -> Result<()> {
        let said = folder.join("said.txt");
        measure::cache(&self.capture.path)?;
        let program = Path::new(self.command.get_program());
        if program.is_file() {
            measure::cache(program)?;
        }
        // Else it would free what the run before it wrote.
        if let Some(output) = self.output.as_ref().filter(|output| output.exists()) {
            std::fs::remove_file(output).with_context(|| format!("removing {}", output.display()))?;
        }
        measure::settle();
        let usage = measure::run(self.cpus, &self.command, &said)?;
        if counts {
            self.runs.push(usage);
        }
        self.written = match &self.rows {
            Rows::None => None,
            Rows::Summary => {
                let text = std::fs::read_to_string(&said)?;
                let found = text.find('{').and_then(|at| serde_json::from_str::<Value>(&text[at..]).ok());
                found.and_then(|summary| summary["rows"].as_u64())
            }
            Rows::LastLine => {
                let text = std::fs::read_to_string(&said)?;
                text.lines().last().and_then(|line| line.trim().parse().ok())
            }
            Rows::Lines(path) => {
                let text = std::fs::read(path).with_context(|| format!("{} wrote nothing", self.name))?;
                Some(text.iter().filter(|byte| **byte == b'\n').count().saturating_sub(1) as u64)
            }
            Rows::Sink(sink) => Some(sink.take()),
        };
        Ok(())
    }
}

/// Ganglion's own.
pub(super) fn ganglion(captures: &Captures, program: &Path, folder: &Path) -> Result<Vec<Subject>> {
    let subject = |name, capture, output: &str, options: &[&str]| {
        let capture = captures.get(capture)?;
        let mut command = Command::new(program);
        let output = folder.join(output);
        command.args(["flow", "extract"]).arg(&capture.path).arg("-o").arg(&output);
        command.arg("--json").args(options);
        Ok::<_, anyhow::Error>(Subject::new(name, capture, command, Rows::Summary).writes(output))
    };
    let (one, two) = (["--jobs", "1"], ["--jobs", "2"]);
    let mut longer = subject(GANGLION_LONGER, REPEATED, "rows.parquet", &one)?;
    // The same file again, which needs no disk.
    longer.command.args([&longer.capture.path, &longer.capture.path]);
    longer.capture.packets *= 3;
    let reference = |jobs| ["--profile", "cicflowmeter", "--jobs", jobs];
    Ok(vec![
        subject(GANGLION, MIXED, "rows.parquet", &one)?,
        subject(GANGLION_TWO, MIXED, "rows.parquet", &two)?.on_two(),
        subject(GANGLION_REPEATED, REPEATED, "rows.parquet", &one)?,
        longer,
        subject("ganglion, CSV", MIXED, "rows.csv", &one)?,
        subject("ganglion, cicflowmeter profile", MIXED, "rows.parquet", &reference("1"))?,
        subject("ganglion, flow-heavy", FLOW_HEAVY, "rows.parquet", &one)?,
        subject("ganglion, flow-heavy, two cores", FLOW_HEAVY, "rows.parquet", &two)?.on_two(),
    ])
}

/// The peers, and those that are not there.
pub(super) fn peers(captures: &Captures, peers: &Peers<'_>, memory: &Path) -> Result<(Vec<Subject>, Vec<Absent>)> {
    let (mut found, mut absent) = (Vec::new(), Vec::new());
    let mut add = |name, subjects: Result<Vec<Subject>>| match subjects {
        Ok(subjects) => found.extend(subjects),
        Err(error) => absent.push((name, format!("{error:#}"))),
    };
    add(PCAP_LOOP, pcap_loop(captures, peers));
    add(NFSTREAM, nfstream(captures, peers, memory));
    add(CICFLOWMETER, cicflowmeter(captures, peers));
    add(SOFTFLOWD, softflowd(captures, peers));
    Ok((found, absent))
}

fn pcap_loop(captures: &Captures, peers: &Peers<'_>) -> Result<Vec<Subject>> {
    let program = peers.pcap_loop()?;
    [(PCAP_LOOP, MIXED), ("libpcap loop, flow-heavy", FLOW_HEAVY)]
        .into_iter()
        .map(|(name, capture)| {
            let capture = captures.get(capture)?;
            let mut command = Command::new(&program);
            command.arg(&capture.path);
            Ok(Subject::new(name, capture, command, Rows::None))
        })
        .collect()
}

fn nfstream(captures: &Captures, peers: &Peers<'_>, memory: &Path) -> Result<Vec<Subject>> {
    let (nfstream, capture) = (peers.nfstream()?, captures.get(MIXED)?);
    let subject = |name, script, output: Option<&Path>| {
        let mut command = Command::new(&nfstream.python);
        command.arg(script).arg(&capture.path).args(output);
        Subject::new(name, capture, command, Rows::LastLine)
    };
    let rows = memory.join("nfstream.csv");
    let writing = subject(NFSTREAM, &nfstream.csv, Some(&rows));
    Ok(vec![writing.writes(rows), subject(NFSTREAM_COUNTING, &nfstream.count, None)])
}

fn cicflowmeter(captures: &Captures, peers: &Peers<'_>) -> Result<Vec<Subject>> {
    let mut command = Command::new(peers.cicflowmeter()?);
    let (capture, rows) = (captures.get(PREFIX)?, peers.folder.join("cicflowmeter.csv"));
    command.arg("-f").arg(&capture.path).arg("-c").arg(&rows);
    Ok(vec![Subject::new(CICFLOWMETER, capture, command, Rows::Lines(rows.clone())).writes(rows)])
}

fn softflowd(captures: &Captures, peers: &Peers<'_>) -> Result<Vec<Subject>> {
    let program = peers.softflowd()?;
    [(SOFTFLOWD, MIXED), ("softflowd, flow-heavy", FLOW_HEAVY)]
        .into_iter()
        .map(|(name, capture)| {
            let (capture, sink) = (captures.get(capture)?, Sink::start()?);
            let mut command = Command::new(&program);
            // In the foreground, by the capture's clock, IPv6 too.
            command.args(["-d", "-a", "-6", "-v", "9", "-m", SOFTFLOWD_FLOWS, "-c", "none"]);
            command.arg("-p").arg(peers.folder.join("softflowd.pid"));
            command.arg("-n").arg(sink.address.to_string()).arg("-r").arg(&capture.path);
            Ok(Subject::new(name, capture, command, Rows::Sink(sink)))
        })
        .collect()
}
