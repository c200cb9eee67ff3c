//! `/metrics` for Prometheus. Every name is defined in [`names`], once, with what it means.

pub mod names;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::core::{Age, Core};
use crate::report::Snapshot;
use names::{Kind, Metric};

/// A value of a metric: label values, then the number.
type Row<'a> = (Vec<&'a str>, u64);

/// Renders a snapshot in the text format.
///
/// # Errors
/// A metric is defined twice, or with other labels than it is used with.
pub fn render(snapshot: &Snapshot) -> Result<String, prometheus::Error> {
    let registry = Registry::new();
    for (metric, rows) in rows(snapshot) {
        add(&registry, metric, &rows)?;
    }
    TextEncoder::new().encode_to_string(&registry.gather())
}

fn add(registry: &Registry, metric: &Metric, rows: &[Row<'_>]) -> Result<(), prometheus::Error> {
    let opts = Opts::new(metric.name, metric.help);
    match metric.kind {
        Kind::Counter => {
            let vec = IntCounterVec::new(opts, metric.labels)?;
            registry.register(Box::new(vec.clone()))?;
            for (labels, value) in rows {
                vec.get_metric_with_label_values(labels)?.inc_by(*value);
            }
        }
        Kind::Gauge => {
            let vec = IntGaugeVec::new(opts, metric.labels)?;
            registry.register(Box::new(vec.clone()))?;
            for (labels, value) in rows {
                vec.get_metric_with_label_values(labels)?.set(value.cast_signed());
            }
        }
    }
    Ok(())
}

fn rows(s: &Snapshot) -> Vec<(&'static Metric, Vec<Row<'_>>)> {
    let one = |value: u64| vec![(Vec::new(), value)];
    let labelled = |map: &'_ std::collections::BTreeMap<&'static str, u64>| -> Vec<Row<'static>> {
        map.iter().map(|(label, value)| (vec![*label], *value)).collect()
    };
    let shed = crate::ledger::Entry::SHED.iter().map(|e| e.label());
    let shed = shed.map(|l| (vec![l], s.ledger.get(l).copied().unwrap_or(0))).collect();
    let programs = |value: fn(&crate::report::ProgramCost) -> u64| -> Vec<Row<'static>> {
        s.programs.iter().map(|p| (vec![p.name], value(p))).collect()
    };
    let equation = |e: &crate::report::Equation| e.difference().cast_unsigned();
    vec![
        (&names::KERNEL, labelled(&s.counters)),
        (&names::LEDGER, labelled(&s.ledger)),
        (&names::SHED, shed),
        (&names::PACKETS_EQUATION, labelled(&s.packets.terms)),
        (&names::RECORDS_EQUATION, labelled(&s.records.terms)),
        (&names::DIFFERENCE, vec![(vec!["packets"], equation(&s.packets)), (vec!["records"], equation(&s.records))]),
        (&names::LIVE_FLOWS, one(s.live.flows)),
        (&names::LIVE_HALF_OPEN, one(s.live.half_open)),
        (&names::BRAIN_CONNECTED, one(u64::from(s.brain_connected))),
        (&names::QUEUE_DEPTH, one(s.queue_depth)),
        (&names::QUEUE_LIMIT, one(s.queue_limit)),
        (&names::BLOCKS, one(s.blocks)),
        (&names::EXEMPTIONS, one(s.exemptions)),
        (&names::HIT_PACKETS, one(s.hits[0])),
        (&names::HIT_BYTES, one(s.hits[1])),
        (&names::HIT_DROPPED, one(s.hits[2])),
        (&names::ENFORCING, one(u64::from(s.enforcing))),
        (
            &names::ATTACHED,
            s.attached.iter().map(|a| (vec![a.interface.as_str(), a.ingress, a.egress, s.role], 1)).collect(),
        ),
        (&names::PROGRAM_RUNS, programs(|p| p.run_count)),
        (&names::PROGRAM_TIME, programs(|p| p.run_time_ns)),
        (&names::PROGRAM_INSNS, programs(|p| p.verified_instructions)),
        (&names::MEMORY, one(s.memory_bytes)),
        (&names::UPTIME, one(s.uptime_s)),
        (&names::SWEEPS, one(s.sweeps[0])),
        (&names::SWEEPS_FAILED, one(s.sweeps[1])),
        (&names::SWEEP_TIME, one(s.sweeps[2])),
    ]
}

/// Serves `/metrics` on a loopback address.
pub(crate) async fn serve(core: Arc<Core>, listener: std::net::TcpListener) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let app = Router::new().route("/metrics", get(answer)).with_state(core);
    axum::serve(listener, app).await
}

async fn answer(State(core): State<Arc<Core>>) -> impl IntoResponse {
    let text = tokio::task::spawn_blocking(move || {
        let snapshot = core.snapshot(Age::Cheap).map_err(|e| e.to_string())?;
        render(&snapshot).map_err(|e| e.to_string())
    });
    let plain = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    match text.await {
        Ok(Ok(text)) => (StatusCode::OK, plain, text),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, plain, error),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, plain, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_rendered_with_its_help() {
        let mut snapshot = Snapshot { role: "host", ..Snapshot::default() };
        snapshot.counters.insert("seen", 5);
        snapshot.ledger.insert("drained", 2);
        snapshot.packets.terms.insert("exported", 4);
        snapshot.packets.left = 3;
        snapshot.records.terms.insert("delivered", 1);
        let attached = crate::attach::Attached { interface: "eth0".into(), ingress: "tcx", egress: "tcx" };
        snapshot.attached.push(attached);
        snapshot.programs.push(crate::report::ProgramCost { name: "p", ..Default::default() });
        let text = render(&snapshot).unwrap();
        for metric in names::ALL {
            assert!(text.contains(&format!("# HELP {} ", metric.name)), "{} missing in\n{text}", metric.name);
        }
        assert!(text.contains("ganglion_sensor_kernel_total{what=\"seen\"} 5"), "{text}");
        assert!(text.contains("ganglion_sensor_equation_difference{of=\"packets\"} -1"), "{text}");
        assert_eq!(rows(&snapshot).len(), names::ALL.len());
    }
}
