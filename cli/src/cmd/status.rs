//! `ganglion status`: sensor and brain on one page, both loss equations included.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use ganglion_proto::v1::{BrainStatus, BrainStatusRequest, Equation, SensorStatus, SensorStatusRequest};
use serde_json::json;

use super::{Ask, say, say_json};
use crate::exit::{Code, Error, Result};
use crate::table::{Align, render};
use crate::{client, labels, units, view};

/// `ganglion status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    ask: Ask,
    /// The brain's socket
    #[arg(long, value_name = "SOCK", default_value = client::BRAIN_SOCKET, env = "GANGLION_BRAIN")]
    brain: PathBuf,
}

/// Shows both; code 3 when the sensor answers and the brain does not.
pub(crate) async fn run(args: Status) -> Result {
    let sensor = client::sensor(&args.ask.control).await?.status(SensorStatusRequest {}).await?.into_inner();
    let brain = ask_brain(&args.brain).await;
    if args.ask.json {
        let brain = match &brain {
            Ok(status) => view::brain_status(status),
            Err(error) => json!({ "error": error.to_string() }),
        };
        say_json(&json!({ "sensor": view::sensor_status(&sensor), "brain": brain }))?;
    } else {
        say(&show_sensor(&sensor))?;
        match &brain {
            Ok(status) => say(&show_brain(status))?,
            Err(error) => say(&format!("\nbrain       away: {error}"))?,
        }
    }
    Ok(if brain.is_ok() { Code::Ok } else { Code::Partial })
}

async fn ask_brain(socket: &Path) -> Result<BrainStatus> {
    let status = client::brain(socket).await?.status(BrainStatusRequest {}).await;
    Ok(status.map_err(Error::from)?.into_inner())
}

fn show_sensor(status: &SensorStatus) -> String {
    let mut out = String::new();
    let brain = if status.brain_connected { "connected" } else { "not connected" };
    let _ = writeln!(
        out,
        "sensor      {} {}, up {}, mode {}, brain {brain}",
        status.sensor_id,
        status.software_version,
        units::millis(status.uptime_s.saturating_mul(1000)),
        labels::mode(status.mode),
    );
    for interface in &status.interfaces {
        let _ = writeln!(
            out,
            "interface   {}: in {}, out {}, role {}",
            interface.name, interface.ingress, interface.egress, interface.role
        );
    }
    let _ = writeln!(
        out,
        "live        {} flows, {} half open, {} blocks, {} of memory",
        units::grouped(status.live_flows),
        units::grouped(status.live_half_open),
        units::grouped(status.blocks),
        units::bytes(status.memory_bytes),
    );
    let _ = writeln!(out, "packets     {}", show_equation(status.packets.as_ref(), "seen"));
    let _ = writeln!(out, "records     {}", show_equation(status.records.as_ref(), "produced"));
    out.push_str(&show_shed(status));
    out.push_str(&show_programs(status));
    out.trim_end().to_owned()
}

/// `seen 1 000 = exported 900 + live 100 (balanced)`; terms of zero are left out.
fn show_equation(equation: Option<&Equation>, left: &str) -> String {
    let Some(equation) = equation else { return "-".into() };
    let mut terms: Vec<_> = equation.terms.iter().filter(|(_, count)| **count > 0).collect();
    terms.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
    let right: Vec<_> = terms.iter().map(|(name, count)| format!("{name} {}", units::grouped(**count))).collect();
    let right = if right.is_empty() { "0".into() } else { right.join(" + ") };
    let verdict = match equation.difference {
        0 => "balanced".into(),
        under_way => format!("{under_way:+} under way or unaccounted for"),
    };
    format!("{left} {} = {right} ({verdict})", units::grouped(equation.left))
}

fn show_shed(status: &SensorStatus) -> String {
    let mut shed: Vec<_> = status.shed.iter().filter(|(_, count)| **count > 0).collect();
    shed.sort();
    let shed: Vec<_> = shed.iter().map(|(reason, count)| format!("{reason} {}", units::grouped(**count))).collect();
    if shed.is_empty() { String::new() } else { format!("shed        {}\n", shed.join(", ")) }
}

fn show_programs(status: &SensorStatus) -> String {
    if status.programs.is_empty() {
        return String::new();
    }
    let rows = status.programs.iter().map(|program| {
        let each = program.run_time_ns.checked_div(program.run_count).map_or("-".into(), |ns| format!("{ns} ns"));
        vec![program.name.clone(), units::count(program.run_count), each, units::grouped(program.verified_instructions)]
    });
    let columns =
        [("PROGRAM", Align::Left), ("RUNS", Align::Right), ("EACH", Align::Right), ("VERIFIED", Align::Right)];
    format!("\n{}\n", render(&columns, rows))
}

fn show_brain(status: &BrainStatus) -> String {
    format!(
        "\nbrain       {}, up {}, bundle {} on {}\njudged      {} records ({} refused), {} verdicts, {} sources tracked\nsensors     {}",
        status.software_version,
        units::millis(status.uptime_s.saturating_mul(1000)),
        status.bundle_id,
        status.provider,
        units::grouped(status.records),
        units::grouped(status.records_refused),
        units::grouped(status.verdicts),
        units::grouped(status.sources_tracked),
        if status.sensors.is_empty() { "none".into() } else { status.sensors.join(", ") },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equation_shows_its_terms_and_whether_it_balances() {
        let terms = [("live".to_owned(), 100), ("exported".to_owned(), 900), ("drop_block".to_owned(), 0)].into();
        let mut equation = Equation { left: 1000, terms, difference: 0 };
        assert_eq!(show_equation(Some(&equation), "seen"), "seen 1 000 = exported 900 + live 100 (balanced)");
        equation.difference = -3;
        assert!(show_equation(Some(&equation), "seen").ends_with("(-3 under way or unaccounted for)"));
    }
}
