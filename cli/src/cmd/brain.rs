//! `ganglion brain`: the half without privileges, in the foreground.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use ganglion_brain::bundle::vet::Vetting;
use ganglion_brain::bundle::{Admission, BundleError, Files};
use ganglion_brain::playbook::Playbook;
use ganglion_brain::{BrainConfig, BrainError};

use super::{Process, settings_file, stop_signal};
use crate::exit::{Code, Error, Result};

const DEFAULT_FILE: &str = "/etc/ganglion/brain.yaml";

/// What `ganglion brain` and `ganglion run` know of the brain.
#[derive(Clone, Debug, Default, Args)]
#[group(id = "brain_options")]
pub(crate) struct Options {
    /// Settings of the brain (YAML) [default: /etc/ganglion/brain.yaml where there is one]
    #[arg(long, value_name = "FILE")]
    brain_config: Option<PathBuf>,
    /// Folder with model.onnx and manifest.json
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// Let a bundle in that neither ships with this program nor is signed by a key in /etc/ganglion/keys.d
    #[arg(long)]
    allow_unsigned: bool,
    /// Folder for what outlives the brain: which models are in use
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// YAML that says which class at which confidence and evidence gets which action
    #[arg(long, value_name = "FILE")]
    playbook: Option<PathBuf>,
    /// Serve the brain's Prometheus metrics at this address, as in 127.0.0.1:9472
    #[arg(long, value_name = "ADDRESS:PORT")]
    brain_metrics: Option<SocketAddr>,
}

/// `ganglion brain`.
#[derive(Debug, Args)]
pub(crate) struct Brain {
    /// Where sensors and readers connect: a path, or a loopback address and port
    #[arg(long, value_name = "SOCK")]
    listen: Option<String>,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    process: Process,
}

impl Options {
    /// File and command line together.
    pub(crate) fn settings(&self) -> Result<BrainConfig> {
        let mut config = match settings_file(self.brain_config.as_deref(), DEFAULT_FILE) {
            Some(path) => read(path)?,
            None => BrainConfig::default(),
        };
        if let Some(bundle) = &self.bundle {
            config.bundle.clone_from(bundle);
        }
        config.allow_unsigned |= self.allow_unsigned;
        config.state_dir = self.state_dir.clone().or(config.state_dir);
        config.vetting = Some(Vetting::this_program(config.batch_rows.max(1)));
        config.playbook = self.playbook.clone().or(config.playbook);
        config.metrics = self.brain_metrics.or(config.metrics);
        Ok(config)
    }

    /// The playbook, where nothing else of the brain is named.
    fn playbook_alone(&self) -> Option<&Path> {
        let others = self.bundle.is_some() || self.brain_config.is_some() || self.brain_metrics.is_some();
        self.playbook.as_deref().filter(|_| !others)
    }
}

fn read(path: &Path) -> Result<BrainConfig> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::Usage(format!("can't read settings {}: {error}", path.display())))?;
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(BrainConfig::default());
    }
    serde_yaml_ng::from_str(&text).map_err(|error| Error::Usage(format!("settings {}: {error}", path.display())))
}

/// Runs the brain until a signal ends it.
pub(crate) fn run(args: Brain) -> Result {
    if args.process.check
        && let Some(playbook) = args.options.playbook_alone()
    {
        return check_playbook(playbook);
    }
    let mut config = args.options.settings()?;
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    if args.process.check {
        return check(&config);
    }
    args.process.supervision.begin()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(ganglion_brain::run(config, stop_signal())).map_err(failed)?;
    Ok(Code::Ok)
}

fn failed(error: BrainError) -> Error {
    match error {
        BrainError::Playbook(error) => Error::Usage(error.to_string()),
        other => Error::Failed(other.to_string()),
    }
}

/// For who writes a playbook: it takes no bundle to check one.
fn check_playbook(path: &Path) -> Result {
    let playbook = Playbook::load(path).map_err(|error| Error::Usage(error.to_string()))?;
    super::say(&format!(
        "playbook {} ({}, {} rules): good; settings and bundle were not looked at",
        path.display(),
        playbook.name,
        playbook.rules.len()
    ))?;
    Ok(Code::Ok)
}

fn check(config: &BrainConfig) -> Result {
    if let Some(path) = &config.playbook {
        Playbook::load(path).map_err(|error| Error::Usage(error.to_string()))?;
    }
    let failed = |error: BundleError| Error::Failed(error.to_string());
    let admission = Admission::with_keys(config.keys.as_deref(), config.allow_unsigned);
    let admission = admission.map_err(|error| Error::Failed(error.to_string()))?;
    let mut names = Vec::new();
    for folder in std::iter::once(&config.bundle).chain(&config.vote).chain(&config.shadow) {
        let files = Files::read(folder, &admission.keys).map_err(failed)?;
        files.is_live().map_err(failed)?;
        admission.admit(&files.manifest, &files.trust).map_err(failed)?;
        if let Some(vetting) = &config.vetting {
            vetting.check(folder, &files).map_err(failed)?;
        }
        names.push(files.load(&config.model).map_err(failed)?.manifest.id);
    }
    super::say(&format!("settings, playbook and bundle {} of the brain: good", names.join(", ")))?;
    Ok(Code::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_named_with_their_line() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("brain.yaml");
        std::fs::write(&path, "listen: /run/b.sock\nbundel: /tmp\n").expect("file");
        let options = Options { brain_config: Some(path), ..Options::default() };
        let error = options.settings().expect_err("unknown key").to_string();
        assert!(error.contains("`bundel`") && error.contains("line 2"), "{error}");
    }

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        brain: Brain,
    }

    fn check_with(options: &[&str]) -> Result {
        let words = ["brain", "--check"].iter().chain(options);
        run(<Cli as clap::Parser>::try_parse_from(words).expect("options").brain)
    }

    #[test]
    fn a_playbook_is_checked_without_a_bundle() {
        let folder = tempfile::tempdir().expect("folder");
        let (good, bad) = (folder.path().join("good.yaml"), folder.path().join("bad.yaml"));
        std::fs::write(&good, ganglion_brain::playbook::DEFAULT).expect("file");
        std::fs::write(&bad, "version: 1\nname: t\nrulez: []\n").expect("file");
        let (good, bad) = (good.to_str().expect("path"), bad.to_str().expect("path"));
        check_with(&["--playbook", good]).expect("a good playbook");
        let error = check_with(&["--playbook", bad]).expect_err("a bad playbook").to_string();
        assert!(error.contains("line 3") && error.contains("rulez"), "{error}");
        // With a bundle named, all is checked, the playbook first.
        let error = check_with(&["--playbook", good, "--bundle", "/nonexistent"]).expect_err("no bundle").to_string();
        assert!(error.contains("/nonexistent"), "{error}");
        let error = check_with(&["--playbook", bad, "--bundle", "/nonexistent"]).expect_err("both").to_string();
        assert!(error.contains("rulez"), "{error}");
    }
}
