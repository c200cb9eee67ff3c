//! `ganglion mode`: shows or sets whether rules drop.

use clap::Args;
use ganglion_proto::v1::{Mode, SensorStatusRequest, SetModeRequest};
use serde_json::json;

use super::{Ask, say, say_json};
use crate::client;
use crate::exit::{Code, Result};
use crate::labels::{self, ModeName};

/// `ganglion mode`.
#[derive(Debug, Args)]
pub(crate) struct ModeArgs {
    /// The mode to set; shows the present one when left out
    #[arg(value_enum)]
    mode: Option<ModeName>,
    #[command(flatten)]
    ask: Ask,
}

/// Runs the command.
pub(crate) async fn run(args: ModeArgs) -> Result {
    let mut sensor = client::sensor(&args.ask.control).await?;
    let mode = match args.mode {
        Some(mode) => sensor.set_mode(SetModeRequest { mode: Mode::from(mode).into() }).await?.into_inner().mode,
        None => sensor.status(SensorStatusRequest {}).await?.into_inner().mode,
    };
    if args.ask.json {
        say_json(&json!({ "mode": labels::mode(mode) }))?;
    } else {
        say(labels::mode(mode))?;
    }
    Ok(Code::Ok)
}
