//! `ganglion model`: what bundles are, how good and how fast.

mod bench;
mod eval;
mod rows;
mod show;

use clap::Subcommand;

use crate::exit::Result;

/// `ganglion model`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a bundle as the brain does, and show what it is
    #[command(after_help = show::EXAMPLES)]
    Show(show::Show),
    /// Score labelled rows of a file as live flows are scored: F1, ROC areas, confusion
    #[command(after_help = eval::EXAMPLES)]
    Eval(eval::Eval),
    /// Measure how fast a bundle scores on this machine
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::Bench),
}

/// Runs the command.
pub(crate) fn run(command: Command) -> Result {
    match command {
        Command::Show(args) => show::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}
