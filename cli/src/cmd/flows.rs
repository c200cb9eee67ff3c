//! `ganglion flows`: what is live in the kernel's flow table.

use clap::Args;
use ganglion_proto::v1::{ListFlowsRequest, LiveFlow};
use serde_json::json;

use super::{Ask, say, say_json};
use crate::exit::{Code, Result};
use crate::table::{Align, Column, render};
use crate::target::protocol_name;
use crate::{client, units, view};

/// `ganglion flows`.
#[derive(Debug, Args)]
pub(crate) struct Flows {
    /// At most so many, the most packets first
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[command(flatten)]
    ask: Ask,
}

const COLUMNS: [Column<'_>; 9] = [
    ("SOURCE", Align::Left),
    ("DESTINATION", Align::Left),
    ("PROTO", Align::Left),
    ("STATE", Align::Left),
    ("AGE", Align::Right),
    ("IDLE", Align::Right),
    ("PACKETS", Align::Right),
    ("BYTES", Align::Right),
    ("COMMUNITY ID", Align::Left),
];

/// Runs the command.
pub(crate) async fn run(args: Flows) -> Result {
    let mut sensor = client::sensor(&args.ask.control).await?;
    let answer = sensor.list_flows(ListFlowsRequest { limit: args.limit }).await?.into_inner();
    if args.ask.json {
        say_json(&json!({
            "total": answer.total,
            "flows": answer.flows.iter().map(view::flow).collect::<Vec<_>>(),
        }))?;
        return Ok(Code::Ok);
    }
    if !answer.flows.is_empty() {
        say(&render(&COLUMNS, answer.flows.iter().map(row)))?;
    }
    say(&format!("{} of {} flows", answer.flows.len(), units::grouped(answer.total)))?;
    Ok(Code::Ok)
}

fn row(flow: &LiveFlow) -> Vec<String> {
    let tuple = flow.tuple.clone().unwrap_or_default();
    vec![
        format!("{} :{}", tuple.source_address, tuple.source_port),
        format!("{} :{}", tuple.destination_address, tuple.destination_port),
        protocol_name(tuple.protocol),
        flow.state.clone(),
        units::millis(flow.age_ms),
        units::millis(flow.idle_ms),
        format!("{} + {}", units::count(flow.forward_packets), units::count(flow.backward_packets)),
        format!("{} + {}", units::bytes(flow.forward_bytes), units::bytes(flow.backward_bytes)),
        flow.community_id.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_cell_per_column() {
        assert_eq!(row(&LiveFlow::default()).len(), COLUMNS.len());
    }
}
