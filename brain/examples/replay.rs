//! What a bundle and a playbook would have decided on a recording, one line per decision:
//! `cargo run --release -p ganglion-brain --example replay -- BUNDLE PLAYBOOK RECORDING OWN_ADDRESS...`; with `--json`
//! first, each decision is a JSON object, as the trainer's `judge` reads them.
//!
//! To try a playbook or a bundle before it acts. Verdicts change nothing here: traffic goes on as it was recorded.

use std::path::Path;
use std::sync::Arc;

use ganglion_brain::bundle::Bundle;
use ganglion_brain::playbook::Playbook;
use ganglion_brain::policy::{Basis, Decision, Policy};
use ganglion_features::{Row, rows_from_recording};
use ganglion_flow::Addr;
use ganglion_proto::v1::target::Of;

/// Rows scored at once.
const BATCH: usize = 256;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let json = args.first().is_some_and(|arg| arg == "--json");
    if json {
        args.remove(0);
    }
    let [bundle, playbook, recording, own @ ..] = args.as_slice() else {
        return Err("usage: replay [--json] BUNDLE PLAYBOOK RECORDING OWN_ADDRESS...".into());
    };
    let mut bundle = Bundle::load(Path::new(bundle))?;
    let playbook = Arc::new(Playbook::load(Path::new(playbook))?);
    let basis = Basis {
        playbook: Arc::clone(&playbook),
        classes: bundle.model.classes().into(),
        anomaly: bundle.manifest.thresholds.anomaly,
        bundle: bundle.name().into(),
        subjects: 65_536,
    };
    let own = own.iter().map(|text| text.parse::<std::net::IpAddr>().map(Addr::from)).collect::<Result<Vec<_>, _>>()?;
    let mut policy = Policy::new(basis, own);
    let bytes = std::fs::read(recording)?;
    let rows = rows_from_recording(&bytes)?.collect::<Result<Vec<Row>, _>>()?;
    for batch in rows.chunks(BATCH) {
        let scores = bundle.model.score(batch)?;
        for (row, each) in batch.iter().enumerate() {
            for decision in policy.judge(&each.meta, &scores, row) {
                if json {
                    let ttl_us = ttl_us(&playbook, &decision);
                    let target = match decision.alert.target.and_then(|target| target.of) {
                        Some(Of::Address(name) | Of::Network(name)) => vec![name],
                        Some(Of::Flow(flow)) => vec![flow.source_address, flow.destination_address],
                        None => Vec::new(),
                    };
                    let line = serde_json::json!({
                        "time_us": each.meta.header.time_us, "action": decision.action.label(),
                        "class": format!("{:?}", decision.class), "target": target,
                        "ttl_us": ttl_us,
                        "confidence": decision.alert.confidence,
                    });
                    println!("{line}");
                    continue;
                }
                let at_s = each.meta.header.time_us as f64 / 1e6;
                println!("{at_s:.3} {} {:?} {}", decision.action.label(), decision.class, decision.alert.reason);
            }
        }
    }
    Ok(())
}

/// How long the decision stands: until then nobody is told again.
fn ttl_us(playbook: &Playbook, decision: &Decision) -> u64 {
    if let Some(verdict) = &decision.verdict {
        return verdict.ttl_ms * 1_000;
    }
    let rules = playbook.rules.iter().filter(|rule| rule.classes.contains(&decision.class));
    rules.filter(|rule| rule.action == decision.action).map(|rule| rule.ttl_us).max().unwrap_or(0)
}
