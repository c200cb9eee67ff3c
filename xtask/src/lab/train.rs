//! `cargo xtask lab train`: from recordings to the bundle that ships, and its pin.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::record::default_binary;
use crate::process::describe;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder of recordings: at least one of split `train`
    #[arg(long, default_value = "lab/recordings")]
    recordings: PathBuf,
    /// The bundle to write
    #[arg(short, long, default_value = "models/lab-v1")]
    out: PathBuf,
    /// Where derived rows and candidates go
    #[arg(long, default_value = "target/lab-train")]
    work: PathBuf,
    /// Go on without a recording of split `test`: the bundle then tells of held-out folds alone
    #[arg(long)]
    without_test: bool,
    /// The ganglion binary [default: target/release/ganglion]
    #[arg(long)]
    ganglion: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let trainer = Path::new("trainer/.venv/bin/ganglion-trainer");
    if !trainer.exists() {
        bail!("{} is missing: `cargo xtask setup --for train` installs it", trainer.display());
    }
    let mut command = Command::new(trainer);
    command.arg("all").arg("--recordings").arg(&args.recordings).arg("--work").arg(&args.work);
    command.arg("--ganglion").arg(args.ganglion.clone().unwrap_or_else(default_binary)).arg("-o").arg(&args.out);
    command.args(args.without_test.then_some("--without-test"));
    let status = command.status().with_context(|| format!("starting {}", describe(&command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", describe(&command));
    }
    pin(&args.out)
}

/// Puts the manifest's digest into `brain/pinned.txt`, in place of the bundle's former one.
fn pin(bundle: &Path) -> Result<()> {
    let path = bundle.join("manifest.json");
    let manifest = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let value: serde_json::Value = serde_json::from_slice(&manifest)?;
    let id = value["id"].as_str().with_context(|| format!("{} has no id", path.display()))?;
    let digest: String = Sha256::digest(&manifest).iter().map(|byte| format!("{byte:02x}")).collect();
    let pins = Path::new("brain/pinned.txt");
    let text = fs::read_to_string(pins).with_context(|| format!("reading {}", pins.display()))?;
    let others = text.lines().filter(|line| line.split_whitespace().nth(1) != Some(id) || line.starts_with('#'));
    let mut lines: Vec<String> = others.map(str::to_owned).collect();
    lines.push(format!("{digest}  {id}"));
    fs::write(pins, lines.join("\n") + "\n").with_context(|| format!("writing {}", pins.display()))?;
    println!("pinned {id} {digest}: build again for the binary to know it");
    Ok(())
}
