//! `ganglion allow add | list | remove`.

use clap::{Args, Subcommand};
use ganglion_proto::v1::{AddAllowRequest, Allow, ListAllowRequest, RemoveAllowRequest};

use super::targets::{Targets, each};
use super::{Ask, say, say_json};
use crate::exit::{Code, Error, Result};
use crate::table::{Align, Column, render};
use crate::target::{NOTATIONS, show_allow};
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
    Remove(Targets),
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
    /// Why; shown in lists
    #[arg(long, default_value = "")]
    comment: String,
    #[command(flatten)]
    of: Targets,
}

/// Runs the command.
pub(crate) async fn run(command: Command) -> Result {
    match command {
        Command::Add(args) => add(args).await,
        Command::List(args) => list(args).await,
        Command::Remove(args) => remove(args).await,
    }
}

async fn add(Add { comment, of }: Add) -> Result {
    let mut sensor = client::sensor(&of.ask.control).await?;
    let requests = of.targets.iter().map(|target| AddAllowRequest { allow: Some(target.to_allow(&comment)) });
    let answers = each(requests, async |request| {
        let made = sensor.add_allow(request).await?.into_inner().allow;
        made.ok_or_else(|| Error::Failed("the sensor answered without an exemption".into()))
    });
    let line = |entry: &Allow| format!("{}: exempt from every block", show_allow(entry));
    answers.await.show(of.ask.json, |done| done.iter().map(view::exemption).collect(), line)
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

async fn remove(of: Targets) -> Result {
    let mut sensor = client::sensor(&of.ask.control).await?;
    let answers = each(of.targets.iter().map(|target| target.to_allow("")), async |allow| {
        let name = show_allow(&allow);
        match sensor.remove_allow(RemoveAllowRequest { allow: Some(allow) }).await?.get_ref().removed {
            true => Ok(name),
            false => Err(Error::Failed(format!("{name} is not exempt by an operator's entry"))),
        }
    });
    answers.await.show_removed(of.ask.json, "exempt")
}
