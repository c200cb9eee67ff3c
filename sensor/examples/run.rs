//! The smallest program that runs a sensor: settings from the command line, Ctrl-C or SIGTERM ends it.

use clap::Parser;
use ganglion_sensor::{Overrides, SensorConfig, run_blocking};

#[derive(Parser)]
struct Args {
    /// Settings (YAML)
    #[arg(long)]
    config: Option<std::path::PathBuf>,
    /// Take programs and pins off instead
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    overrides: Overrides,
}

async fn stop() {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(signal) => signal,
        Err(error) => return eprintln!("no signals: {error}"),
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let args = Args::parse();
    let result = args.config.as_deref().map_or(Ok(SensorConfig::default()), SensorConfig::from_file);
    let result = result.map_err(Into::into).and_then(|mut config| {
        args.overrides.apply(&mut config);
        if args.detach { ganglion_sensor::detach(&config).map(drop) } else { run_blocking(config, stop()) }
    });
    if let Err(error) = result {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}
