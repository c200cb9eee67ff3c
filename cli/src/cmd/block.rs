//! `ganglion block add | list | remove`.

use clap::{Args, Subcommand};
use ganglion_proto::v1::{
    Action, AddBlockRequest, Block, ListBlocksRequest, Mode, RemoveBlockRequest, SensorStatusRequest, Target,
};

use super::targets::{Targets, each};
use super::{Ask, say, say_json};
use crate::exit::{Code, Error, Result};
use crate::labels::{self, BlockAction};
use crate::table::{Align, Column, render};
use crate::target::{NOTATIONS, Spec, show_target};
use crate::{client, units, view};

/// `ganglion block`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Block addresses, networks or flows
    #[command(after_help = format!("{NOTATIONS}\n\n{ADD_EXAMPLES}"))]
    Add(Add),
    /// Blocks in force, with what they hit
    #[command(after_help = "Example:\n  ganglion block list --json | jq '.[] | select(.dropped > 0)'")]
    List(Ask),
    /// Lift blocks
    #[command(after_help = NOTATIONS)]
    Remove(Targets),
}

const ADD_EXAMPLES: &str = "\
Examples:
  ganglion block add 198.18.3.4 --ttl 10m --reason 'port scan'
  ganglion block add 198.18.3.0/24 2001:2:0:3::/64 --ttl forever
  ganglion block add 198.18.3.4 --action rate-limit --limit 100

Blocks are in the kernel: they hold until they expire, even when the sensor ends. An allow entry wins over
every block. In observe mode (the default) a block only counts what it would have dropped.";

/// `ganglion block add`.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// How long: 90s, 10m, 2h, 1d or forever
    #[arg(long, default_value = "1h", value_parser = units::parse_ttl)]
    ttl: u64,
    /// What to do with the packets
    #[arg(long, value_enum, default_value = "drop")]
    action: BlockAction,
    /// Packets (or new flows) per second that may pass, for the limiting actions
    #[arg(long, value_name = "N", required_if_eq_any = [("action", "rate-limit"), ("action", "limit-new-flows")])]
    limit: Option<u32>,
    /// Why; shown in lists
    #[arg(long, default_value = "")]
    reason: String,
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

/// All targets, or the first that can't be blocked.
fn blockable(targets: &[Spec]) -> Result<Vec<Target>> {
    targets.iter().map(|spec| spec.to_target().map_err(Error::Usage)).collect()
}

async fn add(args: Add) -> Result {
    let ask = &args.of.ask;
    let requests = blockable(&args.of.targets)?.into_iter().map(|target| AddBlockRequest {
        target: Some(target),
        action: Action::from(args.action).into(),
        ttl_ms: args.ttl,
        reason: args.reason.clone(),
        limit_per_second: args.limit.unwrap_or(0),
    });
    let mut sensor = client::sensor(&ask.control).await?;
    let answers = each(requests, async |request| {
        let made = sensor.add_block(request).await?.into_inner().block;
        made.ok_or_else(|| Error::Failed("the sensor answered without a block".into()))
    });
    let answers = answers.await;
    let status = sensor.status(SensorStatusRequest {}).await;
    let observing = status.is_ok_and(|status| status.get_ref().mode() == Mode::Observe);
    answers.show(ask.json, |done| done.iter().map(view::block).collect(), |block| added(block, observing))
}

fn added(block: &Block, observing: bool) -> String {
    let target = show_target(block.target.as_ref());
    let action = labels::action(block.action);
    let length =
        if block.remaining_ms == 0 { "for ever".into() } else { format!("for {}", units::millis(block.remaining_ms)) };
    let note = if observing { " (mode observe: counted, not dropped; see `ganglion mode enforce`)" } else { "" };
    format!("{target}: {action} {length}{note}")
}

async fn list(args: Ask) -> Result {
    let mut sensor = client::sensor(&args.control).await?;
    let mut portions = sensor.list_blocks(ListBlocksRequest {}).await?.into_inner();
    let mut blocks = Vec::new();
    while let Some(portion) = portions.message().await? {
        blocks.extend(portion.blocks);
    }
    blocks.sort_by_cached_key(|block| (std::cmp::Reverse(block.dropped), show_target(block.target.as_ref())));
    if args.json {
        say_json(&blocks.iter().map(view::block).collect())?;
    } else if blocks.is_empty() {
        say("no blocks")?;
    } else {
        say(&render(&COLUMNS, blocks.iter().map(row)))?;
    }
    Ok(Code::Ok)
}

const COLUMNS: [Column<'_>; 9] = [
    ("TARGET", Align::Left),
    ("ACTION", Align::Left),
    ("CLASS", Align::Left),
    ("LEFT", Align::Right),
    ("PACKETS", Align::Right),
    ("BYTES", Align::Right),
    ("DROPPED", Align::Right),
    ("BY", Align::Left),
    ("REASON", Align::Left),
];

fn row(block: &Block) -> Vec<String> {
    let limit = if block.limit_per_second > 0 { format!(" {}/s", block.limit_per_second) } else { String::new() };
    vec![
        show_target(block.target.as_ref()),
        format!("{}{limit}", labels::action(block.action)),
        if block.class == 0 { "-".into() } else { labels::class(block.class).into() },
        units::remaining(block.remaining_ms),
        units::count(block.packets),
        units::bytes(block.bytes),
        units::count(block.dropped),
        block.origin.clone(),
        block.reason.clone(),
    ]
}

async fn remove(of: Targets) -> Result {
    let targets = blockable(&of.targets)?;
    let mut sensor = client::sensor(&of.ask.control).await?;
    let answers = each(targets, async |target| {
        let name = show_target(Some(&target));
        match sensor.remove_block(RemoveBlockRequest { target: Some(target) }).await?.get_ref().removed {
            true => Ok(name),
            false => Err(Error::Failed(format!("{name} is not blocked"))),
        }
    });
    answers.await.show_removed(of.ask.json, "blocked")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganglion_proto::v1::target;

    fn block() -> Block {
        Block {
            target: Some(Target { of: Some(target::Of::Address("198.18.3.4".into())) }),
            action: Action::RateLimit.into(),
            remaining_ms: 600_000,
            limit_per_second: 100,
            ..Block::default()
        }
    }

    #[test]
    fn an_added_block_says_that_observe_does_not_drop() {
        assert_eq!(added(&block(), false), "198.18.3.4: rate-limit for 10m 0s");
        assert!(added(&block(), true).contains("counted, not dropped"));
    }

    #[test]
    fn a_row_has_a_cell_per_column() {
        let row = row(&block());
        assert_eq!(row.len(), COLUMNS.len());
        assert_eq!(row[1], "rate-limit 100/s");
    }
}
