//! `ganglion allow add | list | remove`.

use clap::{Args, Subcommand};
use ganglion_proto::v1::{AddAllowRequest, ListAllowRequest, RemoveAllowRequest};
use serde_json::json;

use super::{Ask, say, say_json, sum_up};
use crate::exit::{Code, Error, Result};
use crate::table::{Align, Column, render};
use crate::target::{NOTATIONS, Spec, show_allow};
use crate::{client, view};

/// `ganglion allow`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Exempt networks, services or flows from every block
    #[command(after_help = format!("{NOTATIONS}\n\n{ADD_EXAMPLES}"))]
    Add(Add),
    /// Exemptions in force, and who made them
    List(Ask),
    /// Take exemptions back
    #[command(after_help = NOTATIONS)]
    Remove(Remove),
}

const ADD_EXAMPLES: &str = "\
Examples:
  ganglion allow add 198.18.0.53:53/udp --comment 'name server'
  ganglion allow add 198.18.7.0/24 --comment 'scanner of the security team'

An entry wins over existing blocks at once. Prefer a service to a whole address: whoever can send with a
forged source passes as an exempt address.";

/// `ganglion allow add`.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// What to exempt
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<Spec>,
    /// Why; shown in lists
    #[arg(long, default_value = "")]
    comment: String,
    #[command(flatten)]
    ask: Ask,
}

/// `ganglion allow remove`.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// What to exempt no longer
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<Spec>,
    #[command(flatten)]
    ask: Ask,
}

/// Runs the command.
pub(crate) async fn run(command: Command) -> Result {
    match command {
        Command::Add(args) => add(args).await,
        Command::List(args) => list(args).await,
        Command::Remove(args) => remove(args).await,
    }
}

async fn add(args: Add) -> Result {
    let mut sensor = client::sensor(&args.ask.control).await?;
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    for target in &args.targets {
        match sensor.add_allow(AddAllowRequest { allow: Some(target.to_allow(&args.comment)) }).await {
            Ok(answer) => done.extend(answer.into_inner().allow),
            Err(status) => failures.push(Error::from(status)),
        }
    }
    if args.ask.json {
        say_json(&done.iter().map(view::exemption).collect())?;
    } else {
        for entry in &done {
            say(&format!("{}: exempt from every block", show_allow(entry)))?;
        }
    }
    sum_up(failures, args.targets.len())
}

const COLUMNS: [Column<'_>; 3] = [("TARGET", Align::Left), ("BY", Align::Left), ("COMMENT", Align::Left)];

async fn list(args: Ask) -> Result {
    let mut sensor = client::sensor(&args.control).await?;
    let entries = sensor.list_allow(ListAllowRequest {}).await?.into_inner().entries;
    if args.json {
        say_json(&entries.iter().map(view::exemption).collect())?;
    } else if entries.is_empty() {
        say("no exemptions")?;
    } else {
        let rows = entries.iter().map(|e| vec![show_allow(e), e.origin.clone(), e.comment.clone()]);
        say(&render(&COLUMNS, rows))?;
    }
    Ok(Code::Ok)
}

async fn remove(args: Remove) -> Result {
    let mut sensor = client::sensor(&args.ask.control).await?;
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    for target in &args.targets {
        let allow = target.to_allow("");
        let name = show_allow(&allow);
        match sensor.remove_allow(RemoveAllowRequest { allow: Some(allow) }).await {
            Ok(answer) if answer.get_ref().removed => done.push(name),
            Ok(_) => failures.push(Error::Failed(format!("{name} is not exempt by an operator's entry"))),
            Err(status) => failures.push(Error::from(status)),
        }
    }
    if args.ask.json {
        say_json(&json!({ "removed": done }))?;
    } else {
        for name in &done {
            say(&format!("{name}: no longer exempt"))?;
        }
    }
    sum_up(failures, args.targets.len())
}
