//! `cargo xtask`: what is done with Ganglion beside running it.
//!
//! One module per subcommand, named as the user names it. `drive` is hidden: the laboratory starts
//! it inside its namespaces.

mod bench;
mod clock;
mod demo;
mod drive;
mod fuzz;
mod lab;
mod process;
mod setup;
mod stop;
mod test;
mod vm;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Set-up and laboratory of Ganglion")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing to run, develop or train
    Setup(setup::Args),
    /// The whole reflex on one machine: build, attack, watch, report
    Demo(demo::Args),
    /// The cyber range: real servers, real clients, real attack tools, in network namespaces
    Lab(lab::Args),
    /// Everything that can fail: lint, unit, kernel, end to end, an old kernel; the last line counts
    Test(test::Args),
    /// The figures of docs/benchmarks.md, beside their budgets
    Bench(bench::Args),
    /// Random inputs that learn from what they reach: packets, captures, records
    Fuzz(fuzz::Args),
    /// Programs that the laboratory starts inside its namespaces
    #[command(hide = true)]
    Drive(drive::Args),
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Setup(args) => setup::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Lab(args) => lab::run(args),
        Command::Test(args) => test::run(&args),
        Command::Drive(args) => drive::run(args),
    }
}
