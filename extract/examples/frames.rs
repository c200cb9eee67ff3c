//! Counts the packets and bytes of captures, to measure reading:
//! `cargo run --release -p ganglion-extract --example frames -- FILE…` (`-` for standard input).

use ganglion_extract::capture::{Capture, CaptureError};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let mut all_good = true;
    for name in std::env::args().skip(1) {
        if let Err(error) = count(&name) {
            eprintln!("{error}");
            all_good = false;
        }
    }
    if all_good { ExitCode::SUCCESS } else { ExitCode::from(3) }
}

fn count(name: &str) -> Result<(), CaptureError> {
    let start = Instant::now();
    let mut capture = if name == "-" {
        Capture::from_reader(std::io::stdin(), "standard input")?
    } else {
        Capture::open(Path::new(name))?
    };
    let (mut packets, mut bytes, mut backwards, mut last_ns) = (0_u64, 0_u64, 0_u64, i64::MIN);
    let end = loop {
        match capture.next() {
            Ok(Some(frame)) => {
                packets += 1;
                bytes += frame.bytes.len() as u64;
                backwards += u64::from(frame.time_ns < last_ns);
                last_ns = frame.time_ns;
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{name}: {packets} packets, {bytes} bytes, {backwards} times backwards, {:.2} M packets/s",
        packets as f64 / seconds / 1e6
    );
    end
}
