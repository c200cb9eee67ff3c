//! `ganglion model eval`: a bundle on labelled rows of a file.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use ganglion_brain::bundle::Bundle;
use ganglion_brain::eval::{Evaluation, Report};
use ganglion_brain::labels::{LabelMap, Meaning};
use ganglion_brain::model::{Scores, Settings};
use indicatif::{ProgressBar, ProgressStyle};

use super::rows::{Chunk, TableRows};
use super::vet::try_elsewhere;
use crate::cmd::say;
use crate::exit::{Code, Error, Result};
use crate::table::{Align, render};
use crate::units;

pub(crate) const EXAMPLES: &str = "\
Example:
  ganglion model eval models/cicids2017-v1 --data flows.parquet --json result.json

Columns may be named as CICFlowMeter, old or new, names them, or (for live bundles) as docs/features.md does. Labels of
CICIDS2017 and CSE-CIC-IDS2018 and the names of the classes are known; others take --label-map, a YAML file with lines
as `\"Label text\": DoS`, or `\"Label text\": drop`. See docs/model.md.";

/// Rows given to the model at once.
const BATCH_ROWS: usize = 1_024;
/// Unknown labels that are named, at most.
const NAMED: usize = 50;

/// `ganglion model eval`.
#[derive(Debug, Args)]
pub(crate) struct Eval {
    /// Folder with model.onnx and manifest.json
    bundle: PathBuf,
    /// Labelled rows: Parquet or CSV; - is standard input
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Column that holds the labels
    #[arg(long, value_name = "NAME")]
    label_column: Option<String>,
    /// What labels mean, beside those that are known: YAML
    #[arg(long, value_name = "FILE")]
    label_map: Option<PathBuf>,
    /// Write the result as JSON to this file; - is standard output, in place of the table
    #[arg(long, value_name = "OUT")]
    json: Option<PathBuf>,
    /// Cores to use [default: all]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// Runs the command.
pub(super) fn run(args: &Eval) -> Result {
    let labels = match &args.label_map {
        Some(path) => LabelMap::load(path).map_err(|error| Error::Usage(error.to_string()))?,
        None => LabelMap::default(),
    };
    writable(args.json.as_deref())?;
    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok());
    let settings = Settings { sessions: threads.map_or(1, NonZeroUsize::get), ..Settings::single() };
    try_elsewhere(&args.bundle)?;
    let mut bundle = Bundle::open(&args.bundle, &settings).map_err(|error| Error::Failed(error.to_string()))?;
    let mut rows = TableRows::open(&args.data, &bundle.manifest, Some(args.label_column.as_deref()))?;
    let mut scoring = Scoring {
        evaluation: Evaluation::new(bundle.model.classes()),
        labels,
        known: HashMap::new(),
        unknown: BTreeMap::new(),
        scores: Scores::default(),
    };
    let (bar, began) = (progress(rows.count()), Instant::now());
    while let Some(chunk) = rows.next()? {
        let read = chunk.rows as u64 + chunk.dropped.values().sum::<u64>();
        scoring.take(&mut bundle, &chunk)?;
        bar.inc(read);
    }
    bar.finish_and_clear();
    scoring.complain(&args.data)?;
    let report = scoring.evaluation.report();
    if report.rows == 0 {
        let dropped = dropped(&report);
        return Err(Error::Failed(format!("{}: no row to score{dropped}", args.data.display())));
    }
    answer(args, &bundle, &report, rows.absent(), began.elapsed())?;
    Ok(Code::Ok)
}

/// What becomes of rows.
struct Scoring {
    evaluation: Evaluation,
    labels: LabelMap,
    /// Labels seen so far.
    known: HashMap<String, Option<Meaning>>,
    /// Rows by label that nobody knows.
    unknown: BTreeMap<String, u64>,
    scores: Scores,
}

impl Scoring {
    fn take(&mut self, bundle: &mut Bundle, chunk: &Chunk) -> Result<()> {
        for (reason, rows) in &chunk.dropped {
            self.evaluation.drop_rows(reason, *rows);
        }
        let width = chunk.values.len() / chunk.rows.max(1);
        let pieces = chunk.values.chunks(BATCH_ROWS * width.max(1)).zip(chunk.labels.chunks(BATCH_ROWS));
        for (values, labels) in pieces {
            let truths: Vec<_> = labels.iter().map(|label| self.meaning(label)).collect();
            // With an unknown label there is no result; the rest is only read for more of them.
            if !self.unknown.is_empty() {
                continue;
            }
            let scored = bundle.model.score_into(values, labels.len(), &mut self.scores);
            scored.map_err(|error| Error::Failed(error.to_string()))?;
            for (row, truth) in truths.into_iter().enumerate() {
                match truth {
                    Some(Meaning::Class(class)) => self.evaluation.add(class, &self.scores, row),
                    Some(Meaning::LeaveOut) => self.evaluation.drop_rows("label_left_out", 1),
                    None => {}
                }
            }
        }
        Ok(())
    }

    fn meaning(&mut self, label: &str) -> Option<Meaning> {
        let meaning = match self.known.get(label) {
            Some(meaning) => *meaning,
            None => {
                let meaning = self.labels.meaning(label);
                // A column of anything but labels must not fill the memory.
                if meaning.is_some() || self.unknown.len() < NAMED {
                    self.known.insert(label.to_owned(), meaning);
                }
                meaning
            }
        };
        if meaning.is_none() && (self.unknown.contains_key(label) || self.unknown.len() < NAMED) {
            *self.unknown.entry(label.to_owned()).or_default() += 1;
        }
        meaning
    }

    fn complain(&self, data: &Path) -> Result<()> {
        if self.unknown.is_empty() {
            return Ok(());
        }
        let labels: Vec<_> = self.unknown.iter().map(|(label, rows)| format!("{label:?} ({rows} rows)")).collect();
        let more = if labels.len() == NAMED { ", and perhaps more" } else { "" };
        Err(Error::Usage(format!(
            "{}: labels that stand for no class: {}{more}; say what they mean with --label-map FILE, lines as \
             `\"Label text\": DoS` or `\"Label text\": drop`",
            data.display(),
            labels.join(", ")
        )))
    }
}

/// Hours of work must not end in a folder that is not there.
fn writable(out: Option<&Path>) -> Result<()> {
    let Some(folder) = out.filter(|out| out.as_os_str() != "-").and_then(Path::parent) else { return Ok(()) };
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    Err(Error::Usage(format!("--json: no folder {}", folder.display())))
}

fn progress(rows: Option<u64>) -> ProgressBar {
    let bar = rows.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let template = match rows {
        Some(_) => "{bar:30} {percent:>3} %  {human_pos} rows  {per_sec}, {eta} left",
        None => "{spinner} {human_pos} rows  {per_sec}, {elapsed}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

fn answer(args: &Eval, bundle: &Bundle, report: &Report, absent: usize, took: Duration) -> Result<()> {
    let text = || serde_json::to_string_pretty(report).map_err(anyhow::Error::from);
    match &args.json {
        Some(out) if out.as_os_str() == "-" => return say(&text()?),
        Some(out) => std::fs::write(out, text()? + "\n")
            .map_err(|error| Error::Failed(format!("{}: can't be written: {error}", out.display())))?,
        None => {}
    }
    let per_s = (report.rows as f64 / took.as_secs_f64()) as u64;
    let mut lines = vec![
        format!("bundle    {}, {} of {}", bundle.name(), bundle.manifest.profile, bundle.model.provider().name()),
        format!("data      {}", args.data.display()),
        format!("rows      {} in {:.1} s, {} a second{}", report.rows, took.as_secs_f64(), per_s, dropped(report)),
    ];
    if absent > 0 {
        lines.push(format!("note      {absent} features of SOURCE records are 0: a table of flows has none"));
    }
    lines.push(format!("\n{}", classes(report)));
    let figure = |figure: Option<f64>| figure.map_or_else(|| "-".into(), |figure| format!("{figure:.4}"));
    lines.push(format!("\nmacro F1  {} over the classes that occur", figure(report.macro_f1)));
    lines.push(format!("          {} over those with 50 rows and more", figure(report.macro_f1_50)));
    lines.push(format!("AUROC     {} attack against benign, by 1 - P(Benign)", figure(report.auroc)));
    lines.push(format!("          {} the same by the anomaly score", figure(report.auroc_anomaly)));
    lines.push(format!("\nrows by class that they are (lines) and that was said (columns)\n{}", confusion(report)));
    say(&lines.join("\n"))
}

fn dropped(report: &Report) -> String {
    let reasons: Vec<_> =
        report.dropped.iter().map(|(reason, rows)| format!("{reason} {}", units::grouped(*rows))).collect();
    if reasons.is_empty() { String::new() } else { format!("; dropped: {}", reasons.join(", ")) }
}

fn classes(report: &Report) -> String {
    let titles = ["CLASS", "ROWS", "PRECISION", "RECALL", "F1", "AUROC"];
    let columns = titles.map(|title| (title, if title == "CLASS" { Align::Left } else { Align::Right }));
    let share = |share: f64| format!("{share:.4}");
    let rows = report.confusion.classes.iter().filter_map(|name| {
        let class = report.per_class.get(name)?;
        let figures = [class.precision, class.recall, class.f1].map(share);
        let area = class.auroc.map_or_else(|| "-".into(), share);
        let cells = [(*name).to_owned(), units::grouped(class.rows)].into_iter().chain(figures).chain([area]);
        Some(cells.collect())
    });
    render(&columns, rows)
}

fn confusion(report: &Report) -> String {
    let names = &report.confusion.classes;
    let columns: Vec<_> =
        std::iter::once(("", Align::Left)).chain(names.iter().map(|name| (*name, Align::Right))).collect();
    let rows = names.iter().zip(&report.confusion.counts).map(|(name, counts)| {
        std::iter::once((*name).to_owned()).chain(counts.iter().map(|count| units::grouped(*count))).collect()
    });
    render(&columns, rows)
}
