//! What a bundle and a playbook would have decided on a recording, one line per decision:
//! `cargo run --release -p ganglion-brain --example replay -- BUNDLE PLAYBOOK RECORDING OWN_ADDRESS...`.
//!
//! To try a playbook or a bundle before it acts. Verdicts change nothing here: traffic goes on as it was recorded.

use std::path::Path;
use std::sync::Arc;

use ganglion_brain::bundle::Bundle;
use ganglion_brain::playbook::Playbook;
use ganglion_brain::policy::{Basis, Policy};
use ganglion_features::{Row, rows_from_recording};
use ganglion_flow::Addr;

/// Rows scored at once.
const BATCH: usize = 256;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [bundle, playbook, recording, own @ ..] = args.as_slice() else {
        return Err("usage: replay BUNDLE PLAYBOOK RECORDING OWN_ADDRESS...".into());
    };
    let mut bundle = Bundle::load(Path::new(bundle))?;
    let playbook = Playbook::load(Path::new(playbook))?;
    let basis = Basis {
        playbook: Arc::new(playbook),
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
                let at_s = each.meta.header.time_us as f64 / 1e6;
                println!("{at_s:.3} {} {:?} {}", decision.action.label(), decision.class, decision.alert.reason);
            }
        }
    }
    Ok(())
}
