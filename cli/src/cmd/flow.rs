//! `ganglion flow`: flow rows of capture files, made, compared and shown. (Live flows: `ganglion flows`.)

mod diff;
mod extract;
mod show;

use std::path::Path;

use clap::Subcommand;
use ganglion_extract::read::{ReadError, Reader};

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

/// A table from a file, or from standard input. What is none is a usage error: nothing was compared or shown.
fn open_table(path: &Path) -> Result<Reader> {
    let open = if path.as_os_str() == STANDARD { Reader::from_reader(std::io::stdin()) } else { Reader::open(path) };
    open.map_err(|error| no_table(path, &error))
}

fn no_table(path: &Path, error: &ReadError) -> Error {
    Error::Usage(format!("{}: {error}", path.display()))
}
