//! `ganglion model bench`: how fast a bundle is on this machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use ganglion_brain::bench::{self, Agreement, Latency, Rows, Throughput};
use ganglion_brain::bundle::Bundle;
use ganglion_brain::model::{Preference, Settings};
use serde::Serialize;

use super::rows::TableRows;
use crate::cmd::say;
use crate::exit::{Code, Error, Result};
use crate::table::{Align, render};
use crate::units;

pub(crate) const EXAMPLES: &str = "\
Examples:
  ganglion model bench models/lab-v1
  ganglion model bench models/cicids2017-v1 --data flows.parquet --batch 256,1024
  ganglion model bench models/lab-v1 --compare models/lab-v1-int8";

/// Rows of a file, or made up, at most.
const ROWS: usize = 65_536;
/// Rows that are enough where they are made up.
const MADE_UP: usize = 8_192;

/// `ganglion model bench`.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Folder with model.onnx and manifest.json
    bundle: PathBuf,
    /// Rows to score: Parquet or CSV [default: made up from the bundle's own]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Another bundle with the same inputs and classes, say a smaller variant: its speed, and how far answers agree
    #[arg(long, value_name = "BUNDLE")]
    compare: Option<PathBuf>,
    /// Rows scored at once
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,16,64,256,1024")]
    batch: Vec<usize>,
    /// Cores to use at most; with 2, two sessions are compared with two threads in one
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,
    /// Only this way of using them
    #[arg(long, value_enum)]
    split: Option<Split>,
    /// Where it runs
    #[arg(long, value_enum, default_value = "auto")]
    provider: ProviderName,
    /// Seconds for each figure
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    seconds: f64,
    /// Single flows offered a second; 0 leaves the latency out
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    rate: u64,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// How cores are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Split {
    /// A session on each core, with a piece of the batch
    Sessions,
    /// One session, its operators on all cores
    Operators,
}

/// Where a model is meant to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ProviderName {
    /// TensorRT or CUDA where there is one, else the CPU
    Auto,
    /// The CPU
    Cpu,
    /// CUDA, else the CPU
    Cuda,
    /// TensorRT, else CUDA, else the CPU
    Tensorrt,
}

#[derive(Serialize)]
struct Speed {
    bundle: String,
    sessions: usize,
    intra_threads: usize,
    batch: usize,
    #[serde(flatten)]
    throughput: Throughput,
}

/// What the manifest says of the training: by it a report finds the model that a bundle is.
#[derive(Serialize)]
struct Trained {
    model: Option<String>,
    parameters: Option<u64>,
    dataset_digest: Option<String>,
}

impl Trained {
    fn of(training: &serde_json::Value) -> Self {
        let text = |key: &str| training[key].as_str().map(str::to_owned);
        let parameters = training["parameters"].as_u64();
        Self { model: text("chosen"), parameters, dataset_digest: text("dataset_digest") }
    }
}

/// `ganglion-trainer report --bench` reads this: `trainer/tests/bench.json` is one.
#[derive(Serialize)]
struct Answer {
    bundle: String,
    trained: Trained,
    provider: &'static str,
    provider_fallback: Option<String>,
    data: Option<PathBuf>,
    rows: usize,
    derived_per_s: Option<f64>,
    speed: Vec<Speed>,
    latency: Option<Latency>,
    compared: Option<Agreement>,
}

/// Runs the command.
pub(super) fn run(args: &Bench) -> Result {
    if args.batch.contains(&0) || args.threads == 0 || !(args.seconds > 0.0 && args.seconds <= 3_600.0) {
        return Err(Error::Usage("--batch, --threads and --seconds must be above 0, --seconds at most 3600".into()));
    }
    let mut bundle = open(&args.bundle, &settings(args, 1, 1))?;
    let rows = rows(args, &bundle)?;
    let time = Duration::from_secs_f64(args.seconds);
    let mut answer = Answer {
        bundle: bundle.name(),
        trained: Trained::of(&bundle.manifest.training),
        provider: bundle.model.provider().name(),
        provider_fallback: bundle.model.fallback().map(str::to_owned),
        data: args.data.clone(),
        rows: rows.len(),
        derived_per_s: bundle.is_live().then(|| bench::derived_per_s(MADE_UP)),
        speed: speeds(args, &bundle, &rows, time)?,
        latency: None,
        compared: None,
    };
    if args.rate > 0 {
        // Not less: the tail of a second says nothing.
        let time = time.max(Duration::from_secs(5));
        answer.latency = Some(bench::latency(&mut bundle.model, &rows, args.rate, time).map_err(failed)?);
    }
    if let Some(other) = &args.compare {
        let mut other = open(other, &settings(args, 1, 1))?;
        let same = (&other.manifest.features, &other.manifest.classes);
        if same != (&bundle.manifest.features, &bundle.manifest.classes) {
            let names = (bundle.name(), other.name());
            return Err(Error::Usage(format!("{} and {} differ in features or classes", names.0, names.1)));
        }
        answer.speed.extend(speeds(args, &other, &rows, time)?);
        answer.compared = Some(bench::agreement(&mut bundle.model, &mut other.model, &rows).map_err(failed)?);
    }
    say(&if args.json { serde_json::to_string(&answer).map_err(anyhow::Error::from)? } else { text(&answer) })?;
    Ok(Code::Ok)
}

fn failed(error: impl std::error::Error) -> Error {
    Error::Failed(error.to_string())
}

fn open(folder: &Path, settings: &Settings) -> Result<Bundle> {
    super::vet::try_elsewhere(folder)?;
    Bundle::open(folder, settings).map_err(failed)
}

fn settings(args: &Bench, sessions: usize, intra_threads: usize) -> Settings {
    let provider = match args.provider {
        ProviderName::Auto => Preference::Auto,
        ProviderName::Cpu => Preference::Cpu,
        ProviderName::Cuda => Preference::Cuda,
        ProviderName::Tensorrt => Preference::TensorRt,
    };
    Settings { sessions, intra_threads, provider }
}

fn rows(args: &Bench, bundle: &Bundle) -> Result<Rows> {
    let Some(data) = &args.data else { return Ok(Rows::made_up(&bundle.manifest, MADE_UP)) };
    let mut table = TableRows::open(data, &bundle.manifest, None)?;
    let mut rows = Rows::new(bundle.manifest.features.len());
    while rows.len() < ROWS
        && let Some(chunk) = table.next()?
    {
        rows.add(&chunk.values);
    }
    if rows.is_empty() {
        return Err(Error::Failed(format!("{}: no row to score", data.display())));
    }
    Ok(rows)
}

fn speeds(args: &Bench, bundle: &Bundle, rows: &Rows, time: Duration) -> Result<Vec<Speed>> {
    let mut ways = vec![(1, 1)];
    if args.threads > 1 {
        ways.extend([(args.threads, 1), (1, args.threads)]);
    }
    ways.retain(|(sessions, intra)| match args.split {
        None => true,
        Some(Split::Sessions) => *sessions == args.threads && *intra == 1,
        Some(Split::Operators) => *intra == args.threads,
    });
    let mut speeds = Vec::new();
    for (sessions, intra_threads) in ways {
        let mut model = bundle.another_model(&settings(args, sessions, intra_threads)).map_err(failed)?;
        for batch in &args.batch {
            let throughput = bench::throughput(&mut model, rows, *batch, time).map_err(failed)?;
            speeds.push(Speed { bundle: bundle.name(), sessions, intra_threads, batch: *batch, throughput });
        }
    }
    Ok(speeds)
}

fn text(answer: &Answer) -> String {
    let fallback = answer.provider_fallback.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
    let mut lines = vec![
        format!("bundle    {}, on {}{fallback}", answer.bundle, answer.provider),
        format!(
            "rows      {}, {}",
            answer.rows,
            answer.data.as_ref().map_or_else(|| "made up".into(), |data| data.display().to_string())
        ),
    ];
    lines.extend(
        answer.derived_per_s.map(|per_s| format!("derive    {} rows/s from records, one thread", whole(per_s))),
    );
    let titles = ["BUNDLE", "SESSIONS", "THREADS EACH", "BATCH", "ROWS/S", "P50 µs", "P99 µs"];
    let columns = titles.map(|title| (title, if title == "BUNDLE" { Align::Left } else { Align::Right }));
    let rows = answer.speed.iter().map(|speed| {
        let counts = [speed.sessions, speed.intra_threads, speed.batch].map(|count| count.to_string());
        let Throughput { rows_per_s, p50_us, p99_us } = speed.throughput;
        let figures = [rows_per_s, p50_us, p99_us].map(whole);
        std::iter::once(speed.bundle.clone()).chain(counts).chain(figures).collect()
    });
    lines.push(format!("\n{}", render(&columns, rows)));
    lines.extend(answer.latency.map(|l| {
        let Latency { rate_per_s, flows, p50_us, p99_us, max_us } = l;
        format!("\nsingle flows at {rate_per_s} a second ({flows}): p50 {p50_us:.0} µs, p99 {p99_us:.0} µs, longest {max_us:.0} µs")
    }));
    lines.extend(answer.compared.map(|agreement| {
        format!(
            "\nagreement on {} rows: {:.3} % the same class; probabilities {:.2e} apart at most, anomaly scores {:.2e}",
            agreement.rows,
            agreement.same_class * 100.0,
            agreement.probability_apart,
            agreement.anomaly_apart
        )
    }));
    lines.join("\n")
}

fn whole(figure: f64) -> String {
    units::grouped(figure as u64)
}
