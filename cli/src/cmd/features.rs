//! `ganglion features`: the table that models are fed from, and rows derived from recordings.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use ganglion_features::export::Exporter;
use ganglion_features::{TABLE, digest};
use serde_json::json;

use super::{say, say_json};
use crate::exit::{Code, Error, Result};
use crate::table::{Align, Column, render};

/// `ganglion features`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The feature table: what models are fed from, in order
    List {
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Rows of recordings, derived anew, for training
    #[command(hide = true)]
    Derive(Derive),
}

/// `ganglion features derive`.
#[derive(Debug, Args)]
pub(crate) struct Derive {
    /// Recordings made with `ganglion sensor --record`
    #[arg(required = true, value_name = "RECORDING")]
    recordings: Vec<PathBuf>,
    /// Folder for rows.f32, meta.csv and features.json
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

/// Runs the command.
pub(crate) fn run(command: Command) -> Result {
    match command {
        Command::List { json } => list(json),
        Command::Derive(args) => derive(&args),
    }
}

const COLUMNS: [Column<'_>; 5] = [
    ("#", Align::Right),
    ("NAME", Align::Left),
    ("UNIT", Align::Left),
    ("ROWS", Align::Left),
    ("FORMULA", Align::Left),
];

fn list(as_json: bool) -> Result {
    if as_json {
        let features: Vec<_> = TABLE
            .iter()
            .map(|f| {
                json!({
                    "name": f.name, "unit": f.unit, "rows": f.applies.label(), "source": f.source,
                    "formula": f.formula, "reference": f.reference,
                })
            })
            .collect();
        say_json(&json!({ "digest": digest(), "features": features }))?;
    } else {
        let rows = TABLE.iter().enumerate().map(|(at, f)| {
            vec![at.to_string(), f.name.into(), f.unit.into(), f.applies.label().into(), f.formula.into()]
        });
        say(&render(&COLUMNS, rows))?;
        say(&format!("{} features, digest {}", TABLE.len(), digest()))?;
    }
    Ok(Code::Ok)
}

fn derive(args: &Derive) -> Result {
    let what = || format!("writing {}", args.output.display());
    let mut exporter = Exporter::create(&args.output).with_context(what)?;
    let mut damaged = 0;
    for path in &args.recordings {
        let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let added = exporter.add(&bytes).with_context(what)?;
        if let Some(damage) = added.damage {
            damaged += 1;
            eprintln!("ganglion: {}: {damage}; the {} rows before it are kept", path.display(), added.rows);
        }
    }
    let rows = exporter.finish().with_context(what)?;
    say(&format!("{rows} rows of {} recordings in {}", args.recordings.len(), args.output.display()))?;
    if damaged > 0 { Err(Error::Partial { failed: damaged, all: args.recordings.len() }) } else { Ok(Code::Ok) }
}
