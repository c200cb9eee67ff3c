//! `ganglion pcap score`: the command, and what both profiles do with scores.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use ganglion_brain::bundle::Bundle;
use ganglion_brain::explain::{Budget, Source};
use ganglion_brain::model::{Inputs, Scores, Settings};
use ganglion_brain::playbook::Playbook;
use ganglion_brain::policy::{Basis, Decision, Policy};
use ganglion_brain::{BrainConfig, class};
use ganglion_features::Meta;
use ganglion_flow::Addr;
use ganglion_proto::v1::{Event, Explanation, TrafficClass, event};
use serde_json::{Value, json};

use super::capture::Input;
use super::{live, tables};
use crate::cmd::events::{line, shares};
use crate::cmd::model::try_elsewhere;
use crate::cmd::say;
use crate::exit::{Code, Error, Result};
use crate::target::show_target;
use crate::{labels, units, view};

pub(crate) const EXAMPLES: &str = "\
Examples:
  ganglion pcap score incident.pcapng --bundle models/lab-v1
  ganglion pcap score incident.pcap.gz --bundle models/cicids2017-v1 --json | jq .target

Nothing is blocked: ACTION is what a sensor would have been asked for. With --json, a line for each alert and one with
the sums. Exit codes: 0 the capture was read to its end, alerts or none; 3 up to where it is damaged.";

/// `ganglion pcap score`.
#[derive(Debug, Args)]
pub(crate) struct Score {
    /// Capture: pcap or pcapng, plain, gzip or zstd; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Folder with model.onnx and manifest.json [default: that of the brain]
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// YAML that says which class at which confidence and evidence gets which action [default: the built-in one]
    #[arg(long, value_name = "FILE")]
    playbook: Option<PathBuf>,
    /// An address of the machine that the capture is about; repeatable
    #[arg(long, value_name = "ADDRESS")]
    own: Vec<IpAddr>,
    /// Leave out which features led to an alert
    #[arg(long)]
    no_explain: bool,
    /// One JSON object per line
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: &Score) -> Result {
    let playbook = match &args.playbook {
        Some(path) => Playbook::load(path),
        None => Playbook::shipped(),
    };
    let playbook = playbook.map_err(|error| Error::Usage(error.to_string()))?;
    let folder = args.bundle.clone().unwrap_or_else(|| BrainConfig::default().bundle);
    try_elsewhere(&folder)?;
    let bundle = Bundle::open(&folder, &Settings::default()).map_err(|error| Error::Failed(error.to_string()))?;
    let mut input = Input::open(&args.file)?;
    let mut scorer = Scorer::new(args, bundle, playbook)?;
    if !args.json {
        say(&line("TIME", "ACTION", "TARGET", "CLASS", "CONF", "WHAT"))?;
    }
    match scorer.bundle.model.inputs() {
        Inputs::Features(_) => live::score(&mut input, &mut scorer)?,
        Inputs::Columns(_) => tables::score(&mut input, &mut scorer)?,
    }
    scorer.sums(&input)?;
    Ok(if input.faults.is_empty() { Code::Ok } else { Code::Partial })
}

/// From scores to alerts.
pub(super) struct Scorer {
    pub(super) bundle: Bundle,
    policy: Policy,
    source: Option<Source>,
    json: bool,
    flows: [u64; class::ALL.len()],
    /// Rows that the model can't read or that it gave no numbers for.
    pub(super) dropped: u64,
    alerts: u64,
}

impl Scorer {
    fn new(args: &Score, bundle: Bundle, playbook: Playbook) -> Result<Self> {
        let explains = !args.no_explain;
        let source = explains.then(|| Source::of(&bundle, Budget::default())).transpose();
        let source = source.map_err(|error| Error::Failed(error.to_string()))?.flatten();
        let basis = Basis {
            playbook: Arc::new(playbook),
            classes: bundle.model.classes().into(),
            anomaly: bundle.manifest.thresholds.anomaly,
            bundle: bundle.name().into(),
            subjects: BrainConfig::default().subjects,
        };
        let policy = Policy::new(basis, args.own.iter().copied().map(Addr::from));
        Ok(Self { bundle, policy, source, json: args.json, flows: Default::default(), dropped: 0, alerts: 0 })
    }

    /// Weighs a row of `scores` that was made from `values`.
    pub(super) fn judge(&mut self, meta: &Meta, scores: &Scores, row: usize, values: &[f32]) -> Result<()> {
        if !scores.is_finite(row) {
            self.dropped += 1;
            return Ok(());
        }
        let said = scores.likeliest(row).and_then(|column| self.bundle.model.classes().get(column));
        self.flows[*said.unwrap_or(&TrafficClass::Unknown) as usize] += 1;
        // CICFlowMeter's columns say nothing of an ICMP flow's types.
        let anonymous = matches!(self.bundle.model.inputs(), Inputs::Columns(_)) && meta.community_ports == (0, 0);
        for mut decision in self.policy.judge(meta, scores, row) {
            if anonymous {
                decision.alert.community_id.clear();
            }
            self.alerts += 1;
            let explained = self.explain(&decision, values)?;
            self.tell(meta, &decision, explained)?;
        }
        Ok(())
    }

    fn explain(&mut self, decision: &Decision, values: &[f32]) -> Result<Option<Explanation>> {
        let Some(source) = &mut self.source else { return Ok(None) };
        let found = source.explain(values, decision.class).map_err(|error| Error::Failed(error.to_string()))?;
        let (verdict_id, target) = (decision.alert.verdict_id.clone(), decision.alert.target.clone());
        Ok(found.map(|found| Explanation { verdict_id, target, ..found }))
    }

    fn tell(&self, meta: &Meta, decision: &Decision, explained: Option<Explanation>) -> Result<()> {
        let time_us = i64::try_from(meta.header.time_us).unwrap_or(i64::MAX);
        let (alert, action) = (&decision.alert, decision.action.label());
        if self.json {
            let of = Some(event::Of::Alert(alert.clone()));
            let mut value = view::event(&Event { sequence: self.alerts, time_us, of, ..Event::default() });
            value["action"] = json!(action);
            value["explanation"] = explained.as_ref().map_or(Value::Null, view::explanation);
            return say(&value.to_string());
        }
        let time = units::wall_time(time_us);
        let confidence = format!("{:.0} %", alert.confidence * 100.0);
        let target = show_target(alert.target.as_ref());
        // The day stands in the sums.
        let time = time.get(11..23).unwrap_or("-");
        say(&line(time, action, &target, labels::class(alert.class), &confidence, &alert.reason))?;
        explained.map_or(Ok(()), |of| say(&line("", "because", "", "", "", &shares(&of))))
    }

    fn sums(&self, input: &Input) -> Result<()> {
        let by_class = class::ALL.into_iter().zip(self.flows).filter(|(_, rows)| *rows > 0);
        if self.json {
            let by_class: serde_json::Map<_, _> =
                by_class.map(|(class, rows)| (class::name(class).to_owned(), json!(rows))).collect();
            return say(&json!({
                "kind": "summary",
                "frames": input.frames,
                "rows": self.flows.iter().sum::<u64>(),
                "rows_by_class": by_class,
                "rows_dropped": self.dropped,
                "alerts": self.alerts,
                "bundle_id": self.bundle.name(),
                "profile": self.bundle.manifest.profile,
                "faults": input.faults,
            })
            .to_string());
        }
        let by_class: Vec<_> =
            by_class.map(|(class, rows)| format!("{} {}", class::name(class), units::grouped(rows))).collect();
        let (frames, rows) = (units::grouped(input.frames), units::grouped(self.flows.iter().sum()));
        say(&format!(
            "\n{frames} frames, {rows} rows ({}), {} dropped, {} alerts by {}",
            by_class.join(", "),
            units::grouped(self.dropped),
            units::grouped(self.alerts),
            self.bundle.name()
        ))
    }
}
