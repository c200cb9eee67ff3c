//! `ganglion model show`: what a bundle is, after every check that the brain makes.

use std::path::PathBuf;

use clap::Args;

use super::vet::try_elsewhere;
use crate::cmd::{say, say_json};
use crate::exit::{Code, Error, Result};
use crate::outline::outline;

pub(crate) const EXAMPLES: &str = "Example:\n  ganglion model show /usr/local/lib/ganglion/models/live";

/// `ganglion model show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Folder with model.onnx and manifest.json
    bundle: PathBuf,
    /// Answer as JSON, with all that the bundle's maker noted
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: &Show) -> Result {
    try_elsewhere(&args.bundle)?;
    let description = ganglion_brain::describe(&args.bundle).map_err(|error| Error::Failed(error.to_string()))?;
    if args.json {
        say_json(&serde_json::to_value(&description).map_err(anyhow::Error::from)?)?;
    } else {
        let notes = [("metrics", &description.metrics), ("training", &description.training)];
        let notes = notes.map(|(title, value)| outline(title, value));
        let parts = [description.to_string().trim_end().to_owned()].into_iter().chain(notes);
        say(&parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n"))?;
    }
    Ok(Code::Ok)
}
