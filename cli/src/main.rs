//! `ganglion`: the one command. Sensor and brain are libraries; this binary composes them, and asks them.

mod client;
mod cmd;
mod exit;
mod labels;
mod log;
mod table;
mod target;
mod units;
mod view;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::exit::Result;

const EXAMPLES: &str = "\
Examples:
  ganglion run --interface eth0                 watch eth0; rules count, nothing is dropped
  ganglion run --interface eth0 --mode enforce  let verdicts drop packets
  ganglion events                               alerts and actions as they happen
  ganglion block add 198.18.3.4 --ttl 10m       block an address by hand
  ganglion status                               sensor, brain and the loss equations";

#[derive(Debug, Parser)]
#[command(
    name = "ganglion",
    version,
    about = "A network reflex: sees every packet at XDP, judges flows with ONNX models, blocks in the kernel",
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP),
    arg_required_else_help = true,
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: log::LogArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Alerts, actions and health as they happen
    Events(cmd::events::Events),
    /// Block addresses, networks and flows
    #[command(subcommand)]
    Block(cmd::block::Command),
    /// Exempt networks, services and flows from every block
    #[command(subcommand)]
    Allow(cmd::allow::Command),
    /// Live flows in the kernel
    Flows(cmd::flows::Flows),
    /// Sensor and brain on one page
    Status(cmd::status::Status),
    /// Show or set whether rules drop
    Mode(cmd::mode::ModeArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("ganglion: {error}");
            error.exit_code()
        }
    }
}

fn run(cli: Cli) -> Result {
    cli.log.init()?;
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    match cli.command {
        Command::Events(args) => runtime()?.block_on(cmd::events::run(args)),
        Command::Block(command) => runtime()?.block_on(cmd::block::run(command)),
        Command::Allow(command) => runtime()?.block_on(cmd::allow::run(command)),
        Command::Flows(args) => runtime()?.block_on(cmd::flows::run(args)),
        Command::Status(args) => runtime()?.block_on(cmd::status::run(args)),
        Command::Mode(args) => runtime()?.block_on(cmd::mode::run(args)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
