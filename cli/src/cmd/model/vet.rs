//! `ganglion model vet`, hidden: the process in which a bundle is tried.

use std::path::{Path, PathBuf};

use clap::Args;
use ganglion_brain::bundle::vet::{Limits, Vetting, vet};
use ganglion_brain::bundle::{BundleError, Files, Keyring, SYSTEM_KEYS};

use crate::exit::{Code, Error, Result};

/// Rows that a bundle is tried with at once where no brain's settings say how many.
const ROWS: usize = 256;

/// `ganglion model vet`.
#[derive(Debug, Args)]
pub(crate) struct Vet {
    /// Folder with model.onnx and manifest.json
    bundle: PathBuf,
    /// SHA-256 that its manifest must have
    #[arg(long, value_name = "HEX")]
    digest: String,
    /// Rows scored at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    rows: u32,
    /// Address space that may be used
    #[arg(long, value_name = "BYTES")]
    memory_bytes: u64,
    /// Processor time that may be used
    #[arg(long, value_name = "S")]
    cpu_s: u64,
}

/// Says in one line what is wrong, if anything is.
pub(super) fn run(args: &Vet) -> Result {
    let limits = Limits { memory_bytes: args.memory_bytes, cpu_s: args.cpu_s };
    vet(&args.bundle, &args.digest, args.rows as usize, limits).map_err(|error| Error::Failed(error.to_string()))?;
    Ok(Code::Ok)
}

/// Loads and runs the bundle in a process of its own first, within limits.
pub(crate) fn try_elsewhere(bundle: &Path) -> Result<()> {
    let keys = Keyring::load(Path::new(SYSTEM_KEYS)).map_err(|error| Error::Failed(error.to_string()))?;
    let files = Files::read(bundle, &keys).map_err(failed)?;
    Vetting::this_program(ROWS).check(bundle, &files).map_err(failed)
}

pub(super) fn failed(error: BundleError) -> Error {
    Error::Failed(error.to_string())
}
