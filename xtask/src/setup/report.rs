//! What setup shows: a line while something is done, a table at the end.

use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::needs::Need;
use crate::process::output;

/// Runs a command behind a spinner; what it printed is shown only if it fails.
pub(super) fn working(what: &str, command: &mut Command) -> Result<()> {
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} [{elapsed}] {msg}") {
        bar.set_style(style);
    }
    let result = std::thread::scope(|scope| {
        let (sender, receiver) = channel();
        scope.spawn(move || sender.send(output(command)));
        loop {
            match receiver.recv_timeout(Duration::from_millis(120)) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Timeout) => bar.tick(),
                Err(RecvTimeoutError::Disconnected) => bail!("the thread that ran it died"),
            }
        }
    });
    bar.finish_and_clear();
    if result.is_ok() {
        eprintln!("done: {what}");
    }
    result.map(drop)
}

/// The table of everything needed; an error if something is still missing.
pub(super) fn print(needs: &[Need], as_json: bool) -> Result<()> {
    let mut rows = Vec::new();
    for need in needs {
        rows.push((need, need.find()?));
    }
    if as_json {
        let rows: Vec<_> = rows.iter().map(|(need, found)| {
            let (path, version) = found.as_ref().map(|found| (&found.path, &found.version)).unzip();
            json!({ "name": need.name, "what": need.what, "found": found.is_some(), "path": path, "version": version })
        }).collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        println!("{:<18} {:<34} {:<44} what for", "name", "version", "path");
        for (need, found) in &rows {
            let (path, version) = found.as_ref().map_or(("", "MISSING"), |found| (&found.path, &found.version));
            println!("{:<18} {version:<34} {path:<44} {}", need.name, need.what);
        }
    }
    let missing: Vec<&str> = rows.iter().filter(|(_, found)| found.is_none()).map(|(need, _)| need.name).collect();
    if !missing.is_empty() {
        bail!("still missing: {}", missing.join(", "));
    }
    Ok(())
}
