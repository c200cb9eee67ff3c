//! Logs go to stderr; answers go to stdout.

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::exit::{Error, Result};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON object per line
    Json,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct LogArgs {
    /// How log lines look (stderr)
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "text",
        env = "GANGLION_LOG_FORMAT",
        help_heading = "Logging"
    )]
    pub(crate) log_format: Format,
    /// What is logged: error, warn, info, debug, trace, or per module (`info,ganglion_sensor=debug`)
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        default_value = "info",
        env = "GANGLION_LOG",
        help_heading = "Logging"
    )]
    pub(crate) log: String,
}

impl LogArgs {
    /// Starts logging.
    pub(crate) fn init(&self) -> Result<()> {
        let filter = EnvFilter::try_new(&self.log)
            .map_err(|error| Error::Usage(format!("--log {}: {error}; try info or ganglion_sensor=debug", self.log)))?;
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.log_format {
            Format::Text => {
                builder.with_target(false).with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init()
            }
            Format::Json => builder.json().flatten_event(true).init(),
        }
        Ok(())
    }

    /// The same settings, for a child process.
    pub(crate) fn to_args(&self) -> [String; 4] {
        let format = match self.log_format {
            Format::Text => "text",
            Format::Json => "json",
        };
        ["--log-format".into(), format.into(), "--log".into(), self.log.clone()]
    }
}
