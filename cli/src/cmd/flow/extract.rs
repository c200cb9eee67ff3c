//! `ganglion flow extract`: captures in, flow rows out.

mod columns;
mod help;
mod inputs;
mod output;
mod progress;
mod reading;
mod summary;

use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ganglion_extract::filter::Filter;
use ganglion_extract::labels::{Hits, Labels, Places};
use ganglion_extract::table::Batch;
use ganglion_extract::write::{Encoded, Encoder, WriteError};
use ganglion_extract::{cicflowmeter, ganglion};

use super::STANDARD;
use crate::exit::{Code, Error, Result};
use columns::Columns;
pub(super) use help::{EXAMPLES, LONG_HELP};
use output::{Format, Output};
use progress::Progress;
use reading::{Engine, Reading};
use summary::{Figures, Summary};

/// By whose rules packets become flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Profile {
    /// The rules of the kernel's programs: idle 60 s, active 120 s, half-open 10 s, FIN and RST end a flow; IPv4 and
    /// IPv6. Memory is bounded by live flows
    Ganglion,
    /// The rules of the corrected CICFlowMeter, quirks included; IPv4 alone. Memory grows with distinct 5-tuples
    Cicflowmeter,
}

/// Which columns are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ColumnSet {
    /// Ganglion's features (docs/features.md)
    Ganglion,
    /// CICFlowMeter's, by its names and in its order (docs/cicflowmeter.md)
    Cicflowmeter,
}

/// `ganglion flow extract`.
#[derive(Debug, Args)]
pub(crate) struct Extract {
    /// Captures; - is standard input
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// File for the rows, there when it is complete; - is standard output
    #[arg(short, long = "output", value_name = "OUT")]
    output: PathBuf,
    /// By whose rules packets become flows
    #[arg(long, value_enum, value_name = "PROFILE", default_value = "ganglion")]
    profile: Profile,
    /// Which columns are written [default: those of the profile]
    #[arg(long, value_enum, value_name = "SET")]
    columns: Option<ColumnSet>,
    /// Format of the rows [default: by OUT's extension, csv for standard output]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Take only frames that pass this filter, in the syntax of tcpdump (man pcap-filter); needs libpcap
    #[arg(long, value_name = "EXPR")]
    filter: Option<String>,
    /// Label rows by the rules of this file: time, addresses, ports, protocol
    #[arg(long, value_name = "RULES.yaml")]
    labels: Option<PathBuf>,
    /// Add columns of what else sender and receiver did in the last 1, 10, 60 s (profile ganglion)
    #[arg(long)]
    context: bool,
    /// Add rows of flows under way: after 8, 32, 128 packets, and at an age of 1, 5, 30 s (profile ganglion)
    #[arg(long)]
    snapshots: bool,
    /// Take the flow inside of GRE, VXLAN, Geneve and IP in IP, in the domain of its tunnel (profile ganglion)
    #[arg(long)]
    inner: bool,
    /// Cores to use; the rows do not depend on it [default: all]
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Summary as JSON on standard output (as the last line of standard error when the rows take that)
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: &Extract) -> Result {
    keep_memory();
    let plan = Plan::new(args)?;
    let inputs = inputs::check(&args.inputs, &args.output)?;
    let mut output = Output::create(&args.output, plan.encoder.clone())?;
    let mut reading = Reading::new(&inputs, plan.filter.as_ref(), Progress::start(&inputs, output.is_stdout()));
    let mut hits = Hits::default();
    let mut sink = |rows: std::result::Result<(Encoded, Hits), WriteError>| {
        let written = rows.and_then(|(encoded, matched)| {
            hits.add(&matched);
            output.append(encoded)
        });
        output.note(written)
    };
    let figures = extract(args, &plan, &mut reading, &mut sink);
    reading.end();
    if let Some(error) = reading.misused() {
        output.discard();
        return Err(Error::Usage(error));
    }
    if reading.unread() == inputs.len() {
        output.discard();
        let output = args.output.display();
        return Err(Error::Failed(format!("no capture could be read; nothing is written to {output}")));
    }
    match output.complete() {
        Ok(()) => {}
        // A reader that has seen enough (`| head`) is no error.
        Err(WriteError::Io(error)) if error.kind() == ErrorKind::BrokenPipe && args.output.as_os_str() == STANDARD => {
            return Ok(Code::Ok);
        }
        Err(error) => {
            let output = args.output.display();
            return Err(Error::Failed(format!(
                "{output}: can't be written: {error}; make room, or name another place"
            )));
        }
    }
    let summary = Summary::new(args, &plan, &reading, figures, &hits);
    summary.say()?;
    Ok(if reading.faults().is_empty() { Code::Ok } else { Code::Partial })
}

/// glibc's `malloc` gives memory back to the system as soon as it can and takes it again, page by page and under a lock
/// that all threads share. Once a block of this size was freed it keeps up to twice as much (mallopt(3),
/// `M_MMAP_THRESHOLD`). The block is never written, so it takes no memory.
fn keep_memory() {
    const BYTES: usize = 16 * 1024 * 1024;
    let mut block = Vec::<u8>::new();
    // Where there is not so much, all is a little slower.
    let _ = block.try_reserve_exact(BYTES);
    drop(std::hint::black_box(block));
}

/// What is to be done, checked before anything is.
struct Plan {
    format: Format,
    jobs: NonZeroUsize,
    options: ganglion::Options,
    columns: Columns,
    encoder: Encoder,
    filter: Option<Filter>,
    labels: Option<(Labels, Places)>,
}

impl Plan {
    fn new(args: &Extract) -> Result<Self> {
        let switches = [("--context", args.context), ("--snapshots", args.snapshots), ("--inner", args.inner)];
        if args.profile == Profile::Cicflowmeter
            && let Some((switch, _)) = switches.into_iter().find(|(_, given)| *given)
        {
            return Err(Error::Usage(format!("{switch} needs --profile ganglion: the reference has no such thing")));
        }
        let Extract { context, snapshots, inner, .. } = *args;
        let options = ganglion::Options { context, snapshots, inner, ..Default::default() };
        let format = Format::of(args.format, &args.output).map_err(Error::Usage)?;
        let mut columns =
            Columns::of(args.profile, args.columns, &options).map_err(|error| Error::Usage(error.to_owned()))?;
        let usage = |error: &dyn std::error::Error| Error::Usage(error.to_string());
        let filter = args.filter.as_deref().map(Filter::new).transpose().map_err(|error| usage(&error))?;
        let labels = match &args.labels {
            None => None,
            Some(path) => {
                let labels = Labels::open(path).map_err(|error| usage(&error))?;
                Some((labels, Labels::prepare(&mut columns.fields).map_err(|error| usage(&error))?))
            }
        };
        let encoder = Encoder::new(format.of_rows(), columns.fields.clone(), columns.spelling, &columns.about(args))
            .map_err(|error| Error::Failed(error.to_string()))?;
        let jobs = args.jobs.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
        let encoder = encoder.on_threads(jobs);
        Ok(Self { format, jobs, options, columns, encoder, filter, labels })
    }

    /// Rows as bytes: whatever thread has time does it.
    fn encode(&self, batch: &mut Batch) -> Rows {
        let mut selected = self.columns.select(batch);
        let batch = selected.as_mut().unwrap_or(batch);
        let hits = self.labels.as_ref().map_or_else(Hits::default, |(labels, places)| labels.label(batch, places));
        Ok((self.encoder.encode(batch)?, hits))
    }
}

type Rows = std::result::Result<(Encoded, Hits), WriteError>;

fn extract(
    args: &Extract,
    plan: &Plan,
    reading: &mut Reading<'_>,
    sink: &mut dyn FnMut(Rows) -> ControlFlow<()>,
) -> Figures {
    match args.profile {
        Profile::Ganglion => {
            let feed = |extraction: &mut ganglion::Extraction<'_>| reading.all(&mut Engine::Ganglion(extraction));
            let encode = |batch: &mut Batch| plan.encode(batch);
            let ((), counts) = ganglion::extract(&plan.options, plan.jobs, encode, sink, feed);
            Figures::Ganglion(Box::new(counts))
        }
        Profile::Cicflowmeter => {
            let feed =
                |extraction: &mut cicflowmeter::Extraction<'_>| reading.all(&mut Engine::Cicflowmeter(extraction));
            let encode = |mut batch| plan.encode(&mut batch);
            let ((), counts) = cicflowmeter::extract(plan.jobs, encode, sink, feed);
            Figures::Cicflowmeter(counts)
        }
    }
}
