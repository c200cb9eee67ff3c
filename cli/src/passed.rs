//! Hands options on to a child process, as they were given.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command};

/// The options of `A` that stand on the command line, ready for another command that takes `A`.
pub(crate) fn on<A: Args>(matches: &ArgMatches) -> Vec<String> {
    let mut passed = Vec::new();
    for arg in A::augment_args(Command::new("options")).get_arguments() {
        let id = arg.get_id().as_str();
        let Some(long) = arg.get_long() else { continue };
        if matches.try_contains_id(id).is_err() || matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        if !arg.get_action().takes_values() {
            passed.push(format!("--{long}"));
            continue;
        }
        // Children start in another folder than the one that a relative path was meant from.
        if let Ok(Some(paths)) = matches.try_get_many::<PathBuf>(id) {
            let paths = paths.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
            passed.extend(paths.map(|path| format!("--{long}={}", path.display())));
            continue;
        }
        for value in matches.get_raw(id).into_iter().flatten() {
            passed.push(format!("--{long}={}", value.to_string_lossy()));
        }
    }
    passed
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{FromArgMatches, Parser};

    #[derive(Args, Debug, PartialEq)]
    struct Options {
        #[arg(short, long = "interface")]
        interfaces: Vec<String>,
        #[arg(long)]
        replace: bool,
        #[arg(long)]
        other: bool,
        #[arg(long, default_value = "5")]
        size: u32,
        #[arg(long)]
        file: Option<PathBuf>,
    }

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
        #[arg(long)]
        own: bool,
    }

    #[test]
    fn a_relative_path_becomes_absolute() {
        use clap::CommandFactory;
        let matches = Cli::command().get_matches_from(["x", "--file", "models/live"]);
        let here = std::env::current_dir().expect("a folder");
        assert_eq!(on::<Options>(&matches), [format!("--file={}", here.join("models/live").display())]);
    }

    #[test]
    fn only_what_was_said_and_all_of_it() {
        use clap::CommandFactory;
        let matches = Cli::command().get_matches_from(["x", "-i", "gs0", "--interface", "gs1", "--replace", "--own"]);
        let passed = on::<Options>(&matches);
        assert_eq!(passed, ["--interface=gs0", "--interface=gs1", "--replace"]);
        let said = Cli::from_arg_matches(&matches).expect("parsed").options;
        assert_eq!(Cli::parse_from(["x".to_owned()].into_iter().chain(passed)).options, said);
    }
}
