//! `ganglion flow extract`: captures in, flow rows out.

mod inputs;
mod output;
mod progress;
mod summary;

use std::io::ErrorKind;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ganglion_extract::capture::{Capture, CaptureError};
use ganglion_extract::cicflowmeter::Engine;

use super::STANDARD;
use crate::exit::{Code, Error, Result};
use inputs::Input;
use output::{Format, Output};
use progress::Progress;
use summary::{Fault, Summary};

pub(super) const EXAMPLES: &str = "\
Examples:
  ganglion flow extract traffic.pcap.gz -o flows.csv --profile cicflowmeter
  ganglion flow extract day-*.pcapng -o flows.jsonl --profile cicflowmeter --json
  tcpdump -w - | ganglion flow extract - -o - --profile cicflowmeter | ganglion flow show -";

pub(super) const LONG_HELP: &str = "\
Examples:
  ganglion flow extract traffic.pcap.gz -o flows.csv --profile cicflowmeter
  ganglion flow extract day-*.pcapng -o flows.jsonl --profile cicflowmeter --json
  tcpdump -w - | ganglion flow extract - -o - --profile cicflowmeter | ganglion flow show -

Captures: pcap and pcapng, plain, gzip or zstd, whatever they are called. Several are read as one
capture, in the order given: a flow goes on from one file to the next.

Exit codes:
  0  all captures read to their end (times that run backwards are counted and warned of)
  1  nothing was read, or OUT can't be written: a file that OUT was before is untouched
  2  wrong arguments; nothing was tried
  3  a capture is damaged, is none, or has frames of a link type that is not read: said with input
     and byte; what came before, and the other captures, are in OUT";

/// By whose rules packets become flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Profile {
    /// Flows and columns of the corrected CICFlowMeter (docs/cicflowmeter.md). Memory grows with distinct 5-tuples
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
    /// Rules and columns. Ganglion's own, which will be the default, are not there yet: so it must be said
    #[arg(long, value_enum, value_name = "PROFILE")]
    profile: Profile,
    /// Format of the rows [default: by OUT's extension, csv for standard output]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Summary as JSON on standard output (as the last line of standard error when the rows take that)
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: &Extract) -> Result {
    let Profile::Cicflowmeter = args.profile;
    let format = Format::of(args.format, &args.output).map_err(Error::Usage)?;
    let inputs = inputs::check(&args.inputs, &args.output)?;
    let mut output = Output::create(&args.output, format)?;
    let mut extraction = Extraction::new(Progress::start(&inputs, output.is_stdout()));
    for input in &inputs {
        extraction.read(input, &mut output);
        if output.failed() {
            break;
        }
    }
    let summary = extraction.finish(&mut output, inputs.len());
    if summary.unread == inputs.len() {
        output.discard();
        return Err(Error::Failed(format!(
            "no capture could be read; nothing is written to {}",
            args.output.display()
        )));
    }
    match output.complete() {
        Ok(()) => {}
        // A reader that has seen enough (`| head`) is no error.
        Err(error) if error.kind() == ErrorKind::BrokenPipe && args.output.as_os_str() == STANDARD => {
            return Ok(Code::Ok);
        }
        Err(error) => {
            let output = args.output.display();
            return Err(Error::Failed(format!(
                "{output}: can't be written: {error}; make room, or name another place"
            )));
        }
    }
    summary.say(args)?;
    Ok(if summary.faults.is_empty() { Code::Ok } else { Code::Partial })
}

/// Frames between two looks at how far reading is.
const FRAMES_A_LOOK: u64 = 4096;

/// Captures on their way to rows.
struct Extraction {
    engine: Engine,
    progress: Progress,
    unread: usize,
    faults: Vec<Fault>,
}

impl Extraction {
    fn new(progress: Progress) -> Self {
        Self { engine: Engine::new(), progress, unread: 0, faults: Vec::new() }
    }

    /// Reads one capture as far as it goes.
    fn read(&mut self, input: &Input, output: &mut Output) {
        match input.open() {
            Ok(capture) => self.frames(capture, output),
            // A capture with no whole header is a damaged one; everything else is none, or none that can be read.
            Err(error) => {
                self.unread += usize::from(!matches!(error, CaptureError::Damaged { .. }));
                self.fault(&error);
            }
        }
        self.progress.input_done(input);
    }

    fn frames(&mut self, mut capture: Capture, output: &mut Output) {
        // Where the fault about a link type stands, and how many frames it is about.
        let (mut refusal, mut refused) = (None, 0_u64);
        let mut until_look = FRAMES_A_LOOK;
        loop {
            match capture.next() {
                Ok(Some(frame)) => self.engine.frame(&frame, &mut |row| output.row(&row)),
                Ok(None) => break,
                Err(error) => {
                    let goes_on = matches!(error, CaptureError::LinkType { .. });
                    refused += u64::from(goes_on);
                    // One capture may have any number of such frames; the first is named, all are counted.
                    if !goes_on || refused == 1 {
                        self.fault(&error);
                    }
                    if goes_on {
                        refusal.get_or_insert(self.faults.len() - 1);
                    }
                }
            }
            if output.failed() {
                break;
            }
            until_look -= 1;
            if until_look == 0 {
                until_look = FRAMES_A_LOOK;
                self.progress.look(&capture, &self.engine);
            }
        }
        if let Some(fault) = refusal.and_then(|at| self.faults.get_mut(at)) {
            fault.frames_refused = refused;
        }
    }

    /// Notes a fault, and says it at once.
    fn fault(&mut self, error: &CaptureError) {
        let fault = Fault::of(error);
        self.progress.say(&format!("ganglion: {}", fault.message));
        self.faults.push(fault);
    }

    /// The rows of all flows still open, and what there is to say.
    fn finish(self, output: &mut Output, files: usize) -> Summary {
        let tuples = self.engine.tuples();
        let counts = self.engine.finish(&mut |row| output.row(&row));
        self.progress.end();
        Summary {
            files,
            unread: self.unread,
            counts,
            tuples,
            peak_memory_bytes: summary::peak_memory_bytes(),
            faults: self.faults,
        }
    }
}
