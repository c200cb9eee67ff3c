//! `ganglion model bench` beside Python's onnxruntime: the same graph, the same rows out of Arrow columns, in turn.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::report::{Output, Report, Table};
use crate::process::output;
use crate::setup::{Ensure, Purpose};

pub(super) const EXAMPLES: &str = "\
The peer comes from PyPI, into target/bench. Without --data both score rows that are made up from the bundle's own.

Examples:
  cargo xtask bench model models/lab-v1 --markdown --yes
  cargo xtask bench model models/a models/b --data flows.parquet --batch 256";

const PACKAGES: &[&str] = &["onnxruntime==1.31.1", "numpy", "pyarrow"];
const LOOP: &str = include_str!("model/onnx_loop.py");
/// What Ganglion must reach of the peer's speed.
const BAR: f64 = 0.95;
/// Batches that are tried where none is named.
const BATCHES: [usize; 3] = [64, 256, 1_024];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    setup: Ensure,
    /// Folders with model.onnx and manifest.json
    #[arg(required = true, value_name = "BUNDLE")]
    bundles: Vec<PathBuf>,
    /// Rows to score: Parquet with the bundles' columns by their own names
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Rows scored at once [default: 64,256,1024]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    batch: Vec<usize>,
    /// Cores: 1 and 2 are both measured by default
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,2")]
    threads: Vec<usize>,
    /// Rounds, both in turn
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds of each figure in a round
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// A `ganglion` that is there already, instead of building one
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// A Python with onnxruntime, numpy and pyarrow that is there already, instead of making an environment
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
}

/// What both are run with.
struct Pair {
    ganglion: PathBuf,
    python: PathBuf,
    script: PathBuf,
    seconds: f64,
}

/// One line of the table.
struct Case<'a> {
    bundle: &'a Path,
    data: PathBuf,
    batch: usize,
    threads: usize,
}

pub(super) fn run(args: &Args) -> Result<()> {
    crate::stop::listen()?;
    args.setup.run(Purpose::Run)?;
    let folder = crate::process::target_dir(super::root()?).join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let script = folder.join("onnx_loop.py");
    std::fs::write(&script, LOOP)?;
    let ganglion = args.program.clone().map_or_else(build, Ok)?;
    let python = match &args.python {
        Some(python) => python.clone(),
        None => args.setup.python(&folder.join("onnxruntime"), PACKAGES)?.join("bin/python"),
    };
    let pair = Pair { ganglion, python, script, seconds: args.seconds };
    let batches = if args.batch.is_empty() { &BATCHES[..] } else { &args.batch };
    let titles = ["bundle", "batch", "cores", "ganglion, rows/s", "Python, rows/s", "ratio"];
    let mut table = Table::new("scoring, beside Python's onnxruntime on the same graph", &titles);
    let mut below = Vec::new();
    for (at, bundle) in args.bundles.iter().enumerate() {
        let data = args.data.clone().map_or_else(|| pair.rows(bundle, &folder, at), Ok)?;
        for threads in &args.threads {
            for batch in batches {
                let case = Case { bundle, data: data.clone(), batch: *batch, threads: *threads };
                let (own, peer) = pair.measure(&case, args.rounds.max(1))?;
                let name = bundle.file_name().unwrap_or(bundle.as_os_str()).to_string_lossy().into_owned();
                let ratio = own / peer;
                if ratio < BAR {
                    below.push(format!("{name}, batch {batch}, {threads} cores: {ratio:.3}"));
                }
                let rounded = (ratio * 1_000.0).round() / 1_000.0;
                table.rows.push(vec![
                    json!(name),
                    json!(batch),
                    json!(threads),
                    whole(own),
                    whole(peer),
                    json!(rounded),
                ]);
            }
        }
    }
    let mut notes = vec![
        format!("medians of {} rounds in turn, {} s each; the bar is {BAR} of the peer", args.rounds, args.seconds),
        "features lie in Arrow's columns on both sides, and putting a batch together counts".to_owned(),
        "two cores: Ganglion runs two sessions with half a batch each, Python one session with two threads".to_owned(),
    ];
    notes.extend(below.iter().map(|case| format!("below the bar: {case}")));
    Report { tables: vec![table], notes }.print(&args.output)
}

fn whole(figure: f64) -> Value {
    json!(figure.round())
}

fn build() -> Result<PathBuf> {
    super::done(&mut super::cargo(["build", "--release", "--quiet", "--package", "ganglion", "--bin", "ganglion"])?)?;
    Ok(super::release()?.join("ganglion"))
}

impl Pair {
    fn peer(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(&self.script);
        command
    }

    /// Made-up rows of a bundle.
    fn rows(&self, bundle: &Path, folder: &Path, number: usize) -> Result<PathBuf> {
        let out = folder.join(format!("model-rows-{number}.parquet"));
        output(self.peer().arg("rows").arg(bundle).arg(&out))?;
        Ok(out)
    }

    /// Medians of Ganglion and of the peer, one after the other in every round.
    fn measure(&self, case: &Case<'_>, rounds: usize) -> Result<(f64, f64)> {
        let (mut own, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            crate::stop::check()?;
            own.push(self.own(case)?);
            peer.push(self.python(case)?);
        }
        Ok((median(own), median(peer)))
    }

    fn own(&self, case: &Case<'_>) -> Result<f64> {
        let mut command = Command::new(&self.ganglion);
        command.args(["model", "bench", "--json", "--rate", "0", "--provider", "cpu", "--split", "sessions"]);
        command.arg(case.bundle).arg("--data").arg(&case.data);
        command.args(["--batch", &case.batch.to_string(), "--threads", &case.threads.to_string()]);
        let text = output(command.args(["--seconds", &self.seconds.to_string()]))?;
        let answer: Value = serde_json::from_str(&text).context("`ganglion model bench --json` gave no JSON")?;
        answer["speed"][0]["rows_per_s"].as_f64().context("no rows_per_s in the answer of `ganglion model bench`")
    }

    fn python(&self, case: &Case<'_>) -> Result<f64> {
        let mut command = self.peer();
        command.arg("run").arg(case.bundle).arg(&case.data);
        command.args([case.batch.to_string(), self.seconds.to_string(), case.threads.to_string()]);
        let text = output(&mut command)?;
        let answer: Value = serde_json::from_str(text.trim()).context("the peer gave no JSON")?;
        match answer["rows_per_s"].as_f64() {
            Some(rows_per_s) if rows_per_s > 0.0 => Ok(rows_per_s),
            _ => bail!("the peer gave no speed: {text}"),
        }
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len() % 2 == 1 { figures[middle] } else { (figures[middle - 1] + figures[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_middles() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.5);
    }
}
