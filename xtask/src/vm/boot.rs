//! Runs the machine and reads its console.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::kernel::Kernel;
use crate::test::Tally;

/// A boot takes 3 s, the checks half a minute on a slow machine.
const PATIENCE: Duration = Duration::from_secs(300);
/// Lines of the console shown when the machine does not come to an end.
const LAST_WORDS: usize = 25;

struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped_already = self.0.wait();
    }
}

/// Boots, prints what the guest reports, counts it.
pub(crate) fn run(kernel: &Kernel, image: &Path) -> Result<Tally> {
    let mut command = Command::new("qemu-system-x86_64");
    command.args([
        "-accel",
        "tcg",
        "-cpu",
        "max",
        "-smp",
        "2",
        "-m",
        "1024",
        "-nographic",
        "-no-reboot",
        "-nodefaults",
    ]);
    command.args(["-serial", "stdio", "-append", "console=ttyS0 quiet panic=-1 oops=panic"]);
    command.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(image);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut machine = Machine(command.spawn().context("starting qemu-system-x86_64")?);
    let console = machine.0.stdout.take().context("the machine has no console")?;
    read(&lines(console))
}

fn lines(console: ChildStdout) -> Receiver<String> {
    let (to, from) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
            if to.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                return;
            }
        }
    });
    from
}

fn read(console: &Receiver<String>) -> Result<Tally> {
    let deadline = Instant::now() + PATIENCE;
    let mut tally = Tally::default();
    let mut seen = Vec::new();
    loop {
        crate::stop::check()?;
        let left = deadline.saturating_duration_since(Instant::now());
        let line = match console.recv_timeout(left.min(Duration::from_millis(200))) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) if !left.is_zero() => continue,
            Err(RecvTimeoutError::Timeout) => bail!("no end after {PATIENCE:?}; {}", last_words(&seen)),
            Err(RecvTimeoutError::Disconnected) => bail!("the machine stopped by itself; {}", last_words(&seen)),
        };
        // The kernel's own messages may stand before it on the same line.
        if let Some((_, report)) = line.split_once("guest: ") {
            println!("  {report}");
            if count(report, &mut tally)? {
                return Ok(tally);
            }
        }
        seen.push(line);
    }
}

/// Counts a line of the guest; true for its last.
fn count(report: &str, tally: &mut Tally) -> Result<bool> {
    match report.split_once(' ').map_or(report, |(word, _)| word) {
        "ok" => tally.passed += 1,
        "failed" => tally.failed += 1,
        "done," => {
            if tally.passed + tally.failed == 0 {
                bail!("the guest ended without a check");
            }
            return Ok(true);
        }
        _ => {}
    }
    Ok(false)
}

fn last_words(seen: &[String]) -> String {
    let from = seen.len().saturating_sub(LAST_WORDS);
    format!("the console's last lines:\n{}", seen.get(from..).unwrap_or_default().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lines: &[&str]) -> Result<Tally> {
        let (to, from) = channel();
        for line in lines {
            to.send((*line).to_owned()).unwrap();
        }
        drop(to);
        read(&from)
    }

    #[test]
    fn a_report_is_counted() {
        let tally = report(&[
            "guest: kernel 6.1.0",
            "[ 1.2] x guest: ok load",
            "guest: failed block: no",
            "guest: done, 1 passed, 1 failed",
        ]);
        let tally = tally.unwrap();
        assert_eq!((tally.passed, tally.failed), (1, 1));
    }

    #[test]
    fn a_machine_that_stops_early_is_an_error() {
        assert!(report(&["guest: ok load", "Kernel panic"]).unwrap_err().to_string().contains("Kernel panic"));
        assert!(report(&["guest: done, 0 passed, 0 failed"]).is_err());
    }
}
