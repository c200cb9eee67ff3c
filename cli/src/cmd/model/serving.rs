//! `ganglion model list`, `use`, `shadow`, `canary` and `rollback`: the models of a running brain.

use std::path::{Path, PathBuf};

use clap::Args;
use ganglion_proto::v1::models_client::ModelsClient;
use ganglion_proto::v1::{
    CanaryModelRequest, ListModelsRequest, ModelList, RollbackModelRequest, ShadowModelRequest, UseModelRequest,
    shadow_model_request,
};
use tonic::transport::Channel;
use tonic::{Response, Status};

use super::list::{show, view};
use crate::client;
use crate::cmd::{say, say_json};
use crate::exit::{Code, Error, Result};

pub(super) const LIST_HELP: &str = "\
Examples:
  ganglion model list
  ganglion model list --json | jq '.models[] | {name, role, drift}'

ALIKE is the share of rows on which a canary or shadow says what the active model says. DRIFT is the largest population
stability index of the inputs, and of the scores: below 0.1 nothing, above 0.25 what it sees is not what it learned from.";
pub(super) const USE_HELP: &str = "\
Examples:
  ganglion model use /usr/local/lib/ganglion/models/lab-v2
  ganglion model use models/lab-v1 models/lab-v2          both, by soft vote
  ganglion model rollback                                 and back again";
pub(super) const SHADOW_HELP: &str = "\
Examples:
  ganglion model shadow models/lab-v2
  ganglion model shadow --off lab                         by its id; without a name all shadows go";
pub(super) const CANARY_HELP: &str = "\
Examples:
  ganglion model canary models/lab-v2 --share 5%
  ganglion model canary models/lab-v2 --share 25%         more of it
  ganglion model canary --off
  ganglion model use models/lab-v2                        it was good: for all from now on

Sources are chosen by a hash of their address: all flows of a source are judged by the same model.";
pub(super) const ROLLBACK_HELP: &str = "\
Example:
  ganglion model rollback

Undoes the last `use` or `canary`. What decided before is still loaded, so it takes no time.";

/// Where to ask the brain, and how to answer.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// The brain's socket
    #[arg(long, value_name = "SOCK", default_value = client::BRAIN_SOCKET, env = "GANGLION_BRAIN")]
    brain: PathBuf,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// `ganglion model list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    ask: Ask,
}

/// `ganglion model use`.
#[derive(Debug, Args)]
pub(crate) struct Use {
    /// Folders with model.onnx and manifest.json; several vote
    #[arg(required = true, value_name = "BUNDLE")]
    bundles: Vec<PathBuf>,
    #[command(flatten)]
    ask: Ask,
}

/// `ganglion model shadow`.
#[derive(Debug, Args)]
pub(crate) struct Shadow {
    /// Folder with model.onnx and manifest.json
    #[arg(required_unless_present = "off", conflicts_with = "off")]
    bundle: Option<PathBuf>,
    /// Take a shadow away: by id, "id version" or folder; all without a name
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    off: Option<String>,
    #[command(flatten)]
    ask: Ask,
}

/// `ganglion model canary`.
#[derive(Debug, Args)]
pub(crate) struct Canary {
    /// Folders with model.onnx and manifest.json; several vote
    #[arg(required_unless_present = "off", value_name = "BUNDLE", requires = "share")]
    bundles: Vec<PathBuf>,
    /// Share of the sources, as 5%
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    share: Option<f64>,
    /// End the canary
    #[arg(long, conflicts_with_all = ["bundles", "share"])]
    off: bool,
    #[command(flatten)]
    ask: Ask,
}

/// `ganglion model rollback`.
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    ask: Ask,
}

pub(super) fn list(args: &List) -> Result {
    order(&args.ask, async |mut models| models.list(ListModelsRequest {}).await)
}

pub(super) fn seat(args: &Use) -> Result {
    let bundles = folders(&args.bundles)?;
    order(&args.ask, async |mut models| models.r#use(UseModelRequest { bundles }).await)
}

pub(super) fn shadow(args: Shadow) -> Result {
    let of = match (args.bundle, args.off) {
        (Some(bundle), _) => shadow_model_request::Of::Bundle(folder(&bundle)?),
        (None, name) => shadow_model_request::Of::Off(name.unwrap_or_default()),
    };
    order(&args.ask, async |mut models| models.shadow(ShadowModelRequest { of: Some(of) }).await)
}

pub(super) fn canary(args: &Canary) -> Result {
    let bundles = folders(&args.bundles)?;
    let share = args.share.unwrap_or_default();
    order(&args.ask, async |mut models| models.canary(CanaryModelRequest { bundles, share }).await)
}

pub(super) fn rollback(args: &Rollback) -> Result {
    order(&args.ask, async |mut models| models.rollback(RollbackModelRequest {}).await)
}

/// Gives the order, and shows the list as it is then.
fn order(
    ask: &Ask,
    call: impl AsyncFnOnce(ModelsClient<Channel>) -> std::result::Result<Response<ModelList>, Status>,
) -> Result {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let list = runtime.block_on(async {
        let models = client::models(&ask.brain).await?;
        Ok::<_, Error>(call(models).await?.into_inner())
    })?;
    if ask.json {
        say_json(&view(&list))?
    } else {
        say(&show(&list))?
    }
    Ok(Code::Ok)
}

fn folders(bundles: &[PathBuf]) -> Result<Vec<String>> {
    bundles.iter().map(|bundle| folder(bundle)).collect()
}

/// The brain stands in another folder than who asks.
fn folder(bundle: &Path) -> Result<String> {
    let path = std::path::absolute(bundle)?;
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Error::Usage(format!("{} is no path in UTF-8", path.display())))
}

/// Reads `5%`.
fn share(text: &str) -> std::result::Result<f64, String> {
    let wrong = || "a share is written as 5% or 0.5%, above 0% and below 100%".to_owned();
    let percent: f64 = text.strip_suffix('%').ok_or_else(wrong)?.trim().parse().map_err(|_| wrong())?;
    if percent > 0.0 && percent < 100.0 { Ok(percent / 100.0) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percentages() {
        assert_eq!(share("5%"), Ok(0.05));
        assert_eq!(share("0.5 %"), Ok(0.005));
        for wrong in ["5", "0.05", "0%", "100%", "-1%", "NaN%", "%", "five%"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}
