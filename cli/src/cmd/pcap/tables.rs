//! Captures by the rules of CICFlowMeter. Its flows end in any order, so rows are kept until the end of the capture and
//! judged by the time of their last packets.

use std::ops::ControlFlow;

use ganglion_brain::model::{ModelError, Scores};
use ganglion_extract::cicflowmeter::{COLUMNS, Engine, Row};
use ganglion_features::Meta;
use ganglion_features::cicflowmeter::find;
use ganglion_flow::key::mix;
use ganglion_flow::packet::{TCP, UDP};
use ganglion_flow::{Addr, FlowKey, Hook, Reason, RecordHeader, RecordKind, Stage};

use super::capture::Input;
use super::score::Scorer;
use crate::exit::{Error, Result};

/// Rows given to the model at once.
const BATCH_ROWS: usize = 1_024;

/// A row that waits for its turn.
struct Scored {
    meta: Meta,
    scores: Scores,
    values: Vec<f32>,
}

/// Scores all flows of a capture.
pub(super) fn score(input: &mut Input, scorer: &mut Scorer) -> Result<()> {
    let place = |name: &String| find(name).and_then(|known| column(known.canonical));
    let columns: Vec<usize> = scorer.bundle.manifest.features.iter().filter_map(place).collect();
    let (mut engine, mut rows, mut scored) = (Engine::new(), Vec::new(), Vec::new());
    let mut failure = None;
    input.feed(|frame| {
        engine.frame(frame, &mut |row| rows.push(row));
        if rows.len() < BATCH_ROWS {
            return ControlFlow::Continue(());
        }
        match batch(&std::mem::take(&mut rows), &columns, scorer, &mut scored) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    failure.map_or(Ok(()), Err)?;
    engine.finish(&mut |row| rows.push(row));
    for rows in rows.chunks(BATCH_ROWS) {
        batch(rows, &columns, scorer, &mut scored)?;
    }
    scored.sort_by_key(|one| one.meta.header.time_us);
    scored.iter().try_for_each(|one| scorer.judge(&one.meta, &one.scores, 0, &one.values))
}

fn column(name: &str) -> Option<usize> {
    COLUMNS.iter().position(|column| column.name == name)
}

fn batch(rows: &[Row], columns: &[usize], scorer: &mut Scorer, scored: &mut Vec<Scored>) -> Result<()> {
    let mut values = Vec::with_capacity(rows.len() * columns.len());
    let mut good = Vec::with_capacity(rows.len());
    for row in rows {
        let cells = columns.iter().map(|at| (COLUMNS[*at].value)(row).as_f64().unwrap_or(f64::NAN));
        let from = values.len();
        values.extend(cells.map(|cell| cell.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32));
        if values[from..].iter().all(|value| value.is_finite()) {
            good.push(row);
        } else {
            values.truncate(from);
            scorer.dropped += 1;
        }
    }
    let failed = |error: ModelError| Error::Failed(error.to_string());
    let scores = scorer.bundle.model.score_raw(&values, good.len()).map_err(failed)?;
    let (width, classes) = (columns.len().max(1), scorer.bundle.model.classes().len());
    for (at, (row, values)) in good.into_iter().zip(values.chunks(width)).enumerate() {
        let scores = Scores::of(scores.probabilities(at).to_vec(), vec![scores.anomaly(at)], classes);
        scored.push(Scored { meta: meta(row), scores, values: values.to_vec() });
    }
    Ok(())
}

/// What the policy has to know of a row. Its columns do not say in which order packets came: a TCP flow counts as
/// established when its initiator spoke twice and was answered.
fn meta(row: &Row) -> Meta {
    let number = |name: &str| {
        let value = column(name).and_then(|at| (COLUMNS[at].value)(row).as_f64()).unwrap_or(0.0);
        value.max(0.0) as u64
    };
    let micros = |time_us: i64| u64::try_from(time_us).unwrap_or(0);
    let ((src, src_port), (dst, dst_port)) = (row.source(), row.destination());
    let (initiator, responder) = (Addr::v4(src.into()), Addr::v4(dst.into()));
    let protocol = row.protocol() as u8;
    let (forward, backward) = (number("Total Fwd Packet"), number("Total Bwd packets"));
    let time_us = micros(row.last_us());
    let (key, _) = FlowKey::new(initiator, responder, src_port, dst_port, protocol, 0);
    let has_ports = matches!(protocol, TCP | UDP);
    Meta {
        header: RecordHeader::new(RecordKind::Flow, Stage::End, Reason::Idle, Hook::Offline, time_us),
        initiator,
        responder,
        initiator_port: src_port,
        responder_port: dst_port,
        protocol,
        domain: 0,
        community_ports: if has_ports { (src_port, dst_port) } else { (0, 0) },
        packets: forward + backward,
        payload_bytes: number("Total Length of Fwd Packet") + number("Total Length of Bwd Packet"),
        duration_us: number("Flow Duration"),
        answered: backward > 0,
        established: forward > 1 && backward > 0,
        confirmed: number("Bwd Act Data Pkts") > 0,
        outbound: false,
        flow_hash: mix(u64::from(key.hash(0)) << 32 | u64::from(key.hash(1)), micros(row.first_us())),
        source: None,
    }
}
