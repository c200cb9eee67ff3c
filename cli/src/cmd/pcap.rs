//! `ganglion pcap`: what the brain would have said of a capture.

mod capture;
mod live;
mod score;
mod tables;

use clap::Subcommand;

use crate::exit::Result;

/// `ganglion pcap`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Alerts of a capture file: flows, scores and the playbook's evidence, by the capture's own time
    #[command(after_help = score::EXAMPLES)]
    Score(score::Score),
}

/// Runs the command.
pub(crate) fn run(command: Command) -> Result {
    let Command::Score(args) = command;
    score::run(&args)
}
