//! `ganglion`: the one command. Sensor and brain are libraries; this binary composes them, and asks them.

mod client;
mod cmd;
mod exit;
mod labels;
mod log;
mod outline;
mod passed;
mod supervise;
mod table;
mod target;
mod units;
mod view;

use std::process::ExitCode;

use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::exit::Result;

const EXAMPLES: &str = "\
Examples:
  ganglion run --interface eth0                 watch eth0; rules count, nothing is dropped
  ganglion run --interface eth0 --mode enforce  let verdicts drop packets
  ganglion events                               alerts and actions as they happen
  ganglion block add 198.18.3.4 --ttl 10m       block an address by hand
  ganglion status                               sensor, brain and the loss equations";

const RUN_EXAMPLES: &str = "\
Examples:
  ganglion run --interface eth0
  ganglion run --interface eth0 --mode enforce --record /var/lib/ganglion/records.gnl
  ganglion run --sensor-config sensor.yaml --brain-config brain.yaml

Programs, blocks and counters stay in the kernel when this ends, whatever ends it: `ganglion run` picks them
up again, `ganglion detach --interface eth0` removes them.";

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
    /// Run sensor and brain as two processes, the brain without privileges
    #[command(after_help = RUN_EXAMPLES, mut_arg("brain", hide), mut_arg("control_socket", hide))]
    Run(cmd::run::Run),
    /// Run the sensor alone: kernel programs, enforcement, control socket
    #[command(mut_arg("sensor_config", |arg| arg.visible_alias("config")), mut_args(short_names))]
    Sensor(cmd::sensor::Sensor),
    /// Run the brain alone: models, policy, events
    #[command(mut_arg("brain_config", |arg| arg.visible_alias("config")), mut_arg("brain_metrics", |arg| arg.visible_alias("metrics")))]
    Brain(cmd::brain::Brain),
    /// Take programs, links and maps of a sensor off the kernel; blocks end with it
    #[command(mut_arg("sensor_config", |arg| arg.visible_alias("config")), mut_args(short_names))]
    Detach(cmd::sensor::Options),
    /// Alerts, actions and health as they happen
    Events(cmd::events::Events),
    /// Block addresses, networks and flows
    #[command(subcommand)]
    Block(cmd::block::Command),
    /// Exempt networks, services and flows from every block
    #[command(subcommand)]
    Allow(cmd::allow::Command),
    /// Live flows in the kernel (of captures: `ganglion flow`)
    Flows(cmd::flows::Flows),
    /// Flow rows of capture files: extract, compare, show (live ones: `ganglion flows`)
    #[command(subcommand)]
    Flow(cmd::flow::Command),
    /// Sensor and brain on one page
    Status(cmd::status::Status),
    /// Show or set whether rules drop
    Mode(cmd::mode::ModeArgs),
    /// What the brain would have said of capture files
    #[command(subcommand)]
    Pcap(cmd::pcap::Command),
    /// Model bundles
    #[command(subcommand)]
    Model(cmd::model::Command),
    /// The features that models are fed from
    #[command(subcommand)]
    Features(cmd::features::Command),
}

/// Options that mean nothing to `run`: it names the sockets itself.
fn hide(arg: Arg) -> Arg {
    arg.hide(true)
}

/// Shorter names for what people type most.
fn short_names(arg: Arg) -> Arg {
    match arg.get_id().as_str() {
        "pin_root" => arg.visible_alias("pin-dir"),
        _ => arg,
    }
}

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(cli, &matches) {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("ganglion: {error}");
            error.exit_code()
        }
    }
}

fn run(cli: Cli, matches: &ArgMatches) -> Result {
    cli.log.init()?;
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    match cli.command {
        Command::Run(args) => runtime()?.block_on(cmd::run::run(args, given(matches, &cli.log))),
        Command::Sensor(args) => cmd::sensor::run(args),
        Command::Brain(args) => cmd::brain::run(args),
        Command::Detach(options) => cmd::detach::run(&options),
        Command::Model(command) => cmd::model::run(command),
        Command::Pcap(command) => cmd::pcap::run(command),
        Command::Features(command) => cmd::features::run(command),
        Command::Flow(command) => cmd::flow::run(command),
        Command::Events(args) => runtime()?.block_on(cmd::events::run(args)),
        Command::Block(command) => runtime()?.block_on(cmd::block::run(command)),
        Command::Allow(command) => runtime()?.block_on(cmd::allow::run(command)),
        Command::Flows(args) => runtime()?.block_on(cmd::flows::run(args)),
        Command::Status(args) => runtime()?.block_on(cmd::status::run(args)),
        Command::Mode(args) => runtime()?.block_on(cmd::mode::run(args)),
    }
}

/// Options of `run` that its two processes take too.
fn given(matches: &ArgMatches, log: &log::LogArgs) -> cmd::run::Given {
    let on_run = matches.subcommand().map(|(_, of_run)| of_run);
    let mut given = cmd::run::Given {
        sensor: on_run.map(passed::on::<cmd::sensor::Options>).unwrap_or_default(),
        brain: on_run.map(passed::on::<cmd::brain::Options>).unwrap_or_default(),
    };
    given.sensor.extend(log.to_args());
    given.brain.extend(log.to_args());
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
