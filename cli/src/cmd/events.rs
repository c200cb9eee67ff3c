//! `ganglion events`: alerts, actions and health as they happen.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ganglion_proto::v1::{ActionTaken, Alert, Event, EventsRequest, Explanation, event};

use super::say;
use crate::exit::{Code, Error, Result};
use crate::target::show_target;
use crate::{client, labels, units, view};

/// Kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// What the brain found
    Alert,
    /// What became of a verdict
    Action,
    /// Sensors and models coming, going, failing
    Health,
    /// Why an alert was raised: shares of the features
    Explanation,
}

/// `ganglion events`.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Only events of this kind; repeatable
    #[arg(long, value_enum)]
    kind: Vec<Kind>,
    /// Begin with at most so many events from before
    #[arg(long, value_name = "N", default_value_t = 0)]
    backlog: u32,
    /// End after so many events instead of following for ever
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// One JSON object per line
    #[arg(long)]
    json: bool,
    /// The brain's socket
    #[arg(long, value_name = "SOCK", default_value = client::BRAIN_SOCKET, env = "GANGLION_BRAIN")]
    brain: PathBuf,
}

/// Follows the brain's events until Ctrl-C, `--count`, or the brain ends.
pub(crate) async fn run(args: Events) -> Result {
    let mut brain = client::brain(&args.brain).await?;
    let kinds =
        args.kind.iter().filter_map(|kind| kind.to_possible_value().map(|value| value.get_name().to_owned())).collect();
    let mut events = brain.events(EventsRequest { kinds, backlog: args.backlog }).await?.into_inner();
    if !args.json {
        say(&line("TIME", "KIND", "TARGET", "CLASS", "CONF", "WHAT"))?;
    }
    let mut seen = 0;
    while args.count.is_none_or(|count| seen < count) {
        let message = tokio::select! {
            message = events.message() => message?,
            _ = tokio::signal::ctrl_c() => return Ok(Code::Ok),
        };
        let Some(event) = message else {
            return Err(Error::Unreachable("the brain has ended; start this command again when it is back".into()));
        };
        say(&if args.json { view::event(&event).to_string() } else { show(&event) })?;
        seen += 1;
    }
    Ok(Code::Ok)
}

/// A line of the table.
pub(crate) fn line(time: &str, kind: &str, target: &str, class: &str, confidence: &str, what: &str) -> String {
    format!("{time:<12}  {kind:<11}  {target:<18}  {class:<12}  {confidence:>5}  {what}")
}

fn show(event: &Event) -> String {
    let time = units::wall_time(event.time_us);
    // The day is left out of the live view; JSON has it.
    let time = time.get(11..23).unwrap_or("-");
    let kind = view::event_kind(event);
    match &event.of {
        Some(event::Of::Alert(alert)) => show_alert(time, kind, alert),
        Some(event::Of::Action(action)) => show_action(time, kind, action),
        Some(event::Of::Health(health)) => {
            let what = format!("{}: {}", health.what, if health.healthy { "well" } else { "ill" });
            let detail = if health.detail.is_empty() { what } else { format!("{what}, {}", health.detail) };
            line(time, kind, &event.sensor_id, "-", "-", &detail)
        }
        Some(event::Of::Explanation(of)) => {
            line(time, kind, &show_target(of.target.as_ref()), labels::class(of.class), "-", &shares(of))
        }
        Some(event::Of::Missed(count)) => {
            line(time, kind, "-", "-", "-", &format!("{count} events lost: this reader was too slow"))
        }
        None => line(time, kind, "-", "-", "-", "an event of a newer release"),
    }
}

fn show_alert(time: &str, kind: &str, alert: &Alert) -> String {
    let confidence = format!("{:.0} %", alert.confidence * 100.0);
    let target = show_target(alert.target.as_ref());
    line(time, kind, &target, labels::class(alert.class), &confidence, &alert.reason)
}

/// `source_ports 31 +0.412, rst_share 0.98 +0.201, rest −0.010: 0.052 on average, 0.973 here`.
pub(crate) fn shares(of: &Explanation) -> String {
    let top = of.top.iter().map(|one| format!("{} {} {:+.3}", one.feature, one.value, one.contribution));
    let parts: Vec<_> = top.chain([format!("rest {:+.3}", of.rest)]).collect();
    format!("{}: {:.3} on average, {:.3} here", parts.join(", "), of.base, of.value)
}

fn show_action(time: &str, kind: &str, action: &ActionTaken) -> String {
    let mut what = format!("{} {}", labels::action(action.action), labels::outcome(action.outcome));
    if action.ttl_ms > 0 {
        what = format!("{what} for {}", units::millis(action.ttl_ms));
    }
    if !action.detail.is_empty() {
        what = format!("{what}: {}", action.detail);
    }
    line(time, kind, &show_target(action.target.as_ref()), labels::class(action.class), "-", &what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_one_aligned_line() {
        let alert = Alert { class: 4, confidence: 0.973, reason: "128 ports in 10 s".into(), ..Alert::default() };
        let event = Event { time_us: 1_700_000_000_123_456, of: Some(event::Of::Alert(alert)), ..Event::default() };
        assert_eq!(
            show(&event),
            "22:13:20.123  alert        -                   PortScan       97 %  128 ports in 10 s"
        );
    }

    #[test]
    fn an_explanation_adds_up_in_words() {
        use ganglion_proto::v1::Contribution;
        let share = |feature: &str, value, contribution| Contribution { feature: feature.into(), value, contribution };
        let top = vec![share("source_ports", 31.0, 0.412), share("rst_share", 0.5, -0.1)];
        let of = Explanation { top, rest: 0.01, base: 0.052, value: 0.374, ..Explanation::default() };
        assert_eq!(
            shares(&of),
            "source_ports 31 +0.412, rst_share 0.5 -0.100, rest +0.010: 0.052 on average, 0.374 here"
        );
    }

    #[test]
    fn a_missed_event_is_never_silent() {
        let event = Event { of: Some(event::Of::Missed(3)), ..Event::default() };
        assert!(show(&event).contains("3 events lost"));
    }
}
