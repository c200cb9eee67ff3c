//! `ganglion flow`: flow rows of capture files, made, compared and shown. (Live flows: `ganglion flows`.)

mod diff;
mod extract;
mod show;

use std::io::Read;
use std::path::Path;

use clap::Subcommand;
use ganglion_extract::diff::{DiffError, Side, Table};

use crate::exit::{Error, Result};

/// Names standard input or standard output in place of a file.
const STANDARD: &str = "-";

/// `ganglion flow`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make flow rows of capture files
    #[command(after_help = extract::EXAMPLES, after_long_help = extract::LONG_HELP)]
    Extract(extract::Extract),
    /// Compare two files of flow rows, column by column
    #[command(after_help = diff::EXIT_CODES)]
    Diff(diff::Diff),
    /// Show a file of flow rows as a readable table
    Show(show::Show),
}

/// Runs the command.
pub(crate) fn run(command: Command) -> Result {
    match command {
        Command::Extract(args) => extract::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Show(args) => show::run(&args),
    }
}

/// A CSV table from a file, or from standard input. What is none is a usage error: nothing was compared or shown.
fn read_table(path: &Path) -> Result<Table> {
    let name = path.display();
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == STANDARD {
        std::io::stdin().lock().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    read.map_err(|error| Error::Usage(format!("{name}: can't be read: {error}")))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let at = error.valid_up_to();
        Error::Usage(format!("{name}: no text at byte {at}; a CSV file of `ganglion flow extract` is needed"))
    })?;
    Table::read(text, Side::Left).map_err(|error| {
        Error::Usage(match error {
            DiffError::NoHeader(_) => format!("{name}: empty; a CSV file with a header line is needed"),
            DiffError::Cells { line, found, columns, .. } => format!(
                "{name}: line {line} has {found} cells, the header {columns}: the file is cut there, or is no CSV; make \
                 it anew"
            ),
            DiffError::NoKey { .. } => format!("{name}: {error}"),
        })
    })
}
