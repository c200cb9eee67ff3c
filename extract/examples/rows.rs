//! Extracts flows by the rules of the `ganglion` profile and throws the columns away, to measure everything but
//! writing: `cargo run --release -p ganglion-extract --example rows -- JOBS FILE…`.

use ganglion_extract::capture::{Capture, CaptureError};
use ganglion_extract::ganglion::{Extraction, Options, extract};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let Some(jobs) = args.next().and_then(|jobs| jobs.parse::<NonZeroUsize>().ok()) else {
        eprintln!("usage: rows JOBS FILE…");
        return ExitCode::from(2);
    };
    let files: Vec<_> = args.collect();
    let start = Instant::now();
    let mut cells = 0;
    let (result, counts) = extract(
        &Options::default(),
        jobs,
        |batch| batch.columns.iter().map(|column| column.len() as u64).sum::<u64>(),
        |of_batch| {
            cells += of_batch;
            ControlFlow::Continue(())
        },
        |extraction| files.iter().try_for_each(|file| read(Path::new(file), extraction)),
    );
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} frames, {} rows, {cells} cells, at most {} flows live, {:.2} s, {:.2} M packets/s",
        counts.frames(),
        counts.rows,
        counts.live_peak,
        seconds,
        counts.frames() as f64 / seconds / 1e6
    );
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(3)
        }
    }
}

fn read(file: &Path, extraction: &mut Extraction<'_>) -> Result<(), CaptureError> {
    let mut capture = Capture::open(file)?;
    while capture.advance()? {
        if extraction.frame(&capture.frame()).is_break() {
            break;
        }
    }
    Ok(())
}
