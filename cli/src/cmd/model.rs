//! `ganglion model`: what bundles are, how good and how fast, who vouches for them, and which a running brain uses.

mod bench;
mod eval;
mod keys;
mod list;
mod rows;
mod serving;
mod show;
mod vet;

use clap::Subcommand;

pub(crate) use vet::try_elsewhere;

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
    /// Models of the running brain: who decides, who watches, how they do
    #[command(after_help = serving::LIST_HELP)]
    List(serving::List),
    /// Let a bundle decide from now on, or several by vote; no record is lost
    #[command(after_help = serving::USE_HELP)]
    Use(serving::Use),
    /// Let a bundle score the same rows without ever acting
    #[command(after_help = serving::SHADOW_HELP)]
    Shadow(serving::Shadow),
    /// Let a bundle decide for a share of the sources
    #[command(after_help = serving::CANARY_HELP)]
    Canary(serving::Canary),
    /// Undo the last change of who decides; one step
    #[command(after_help = serving::ROLLBACK_HELP)]
    Rollback(serving::Rollback),
    /// Make a pair of keys to sign bundles with
    #[command(after_help = keys::KEYGEN_HELP)]
    Keygen(keys::Keygen),
    /// Check a bundle, then sign it
    #[command(after_help = keys::SIGN_HELP)]
    Sign(keys::Sign),
    /// Say who vouches for a bundle, without running its model
    #[command(after_help = keys::VERIFY_HELP)]
    Verify(keys::Verify),
    /// Load and run a bundle within limits: what the brain starts before it loads one
    #[command(hide = true)]
    Vet(vet::Vet),
}

/// Runs the command.
pub(crate) fn run(command: Command) -> Result {
    match command {
        Command::Show(args) => show::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::List(args) => serving::list(&args),
        Command::Use(args) => serving::seat(&args),
        Command::Shadow(args) => serving::shadow(args),
        Command::Canary(args) => serving::canary(&args),
        Command::Rollback(args) => serving::rollback(&args),
        Command::Keygen(args) => keys::keygen(&args),
        Command::Sign(args) => keys::sign(&args),
        Command::Verify(args) => keys::verify(&args),
        Command::Vet(args) => vet::run(&args),
    }
}
