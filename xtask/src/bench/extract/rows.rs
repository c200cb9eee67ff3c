//! The tables: each subject's figures, and the ratios of the budget.

use serde_json::{Value, json};

use super::measure::Usage;
use super::subjects::{
    CICFLOWMETER, GANGLION, GANGLION_LONGER, GANGLION_REPEATED, GANGLION_TWO, NFSTREAM, NFSTREAM_COUNTING, PCAP_LOOP,
    Subject,
};
use crate::bench::report::Table;

/// How the names of Ganglion's own begin.
const OURS: &str = "ganglion,";

const MIB: f64 = 1024.0 * 1024.0;

/// A ratio that Ganglion is held to.
struct Budget {
    what: &'static str,
    subject: &'static str,
    peer: &'static str,
    /// What is compared.
    of: fn(&Subject, &Usage) -> f64,
    limit: f64,
    /// Whether `limit` is the least or the most.
    least: bool,
}

/// Packets a second.
fn speed(subject: &Subject, usage: &Usage) -> f64 {
    subject.capture.packets as f64 / usage.wall_s
}

/// Packets in a second of processor time: the same where nobody else has the core.
fn cpu_speed(subject: &Subject, usage: &Usage) -> f64 {
    subject.capture.packets as f64 / usage.cpu_s
}

fn memory(_: &Subject, usage: &Usage) -> f64 {
    usage.peak_bytes as f64
}

const BUDGETS: [Budget; 6] = [
    Budget { what: "bare libpcap loop", subject: GANGLION, peer: PCAP_LOOP, of: speed, limit: 0.5, least: true },
    Budget { what: "NFStream", subject: GANGLION, peer: NFSTREAM, of: speed, limit: 20.0, least: true },
    Budget {
        what: "NFStream that writes nothing",
        subject: GANGLION,
        peer: NFSTREAM_COUNTING,
        of: speed,
        limit: 20.0,
        least: true,
    },
    Budget {
        what: "Python cicflowmeter",
        subject: GANGLION,
        peer: CICFLOWMETER,
        of: speed,
        limit: 1_000.0,
        least: true,
    },
    Budget {
        what: "itself: two cores by one",
        subject: GANGLION_TWO,
        peer: GANGLION,
        of: speed,
        limit: 1.7,
        least: true,
    },
    Budget {
        what: "itself: memory, capture twelve times by four times",
        subject: GANGLION_LONGER,
        peer: GANGLION_REPEATED,
        of: memory,
        limit: 1.1,
        least: false,
    },
];

/// Each subject's figures.
pub(super) fn figures(subjects: &[Subject]) -> Table {
    let columns =
        ["program", "capture", "packets/s", "p10 - p90", "packets/s of CPU", "CPU s", "peak memory, MiB", "rows"];
    let mut table = Table::new("packets a second", &columns);
    for s in subjects {
        let of = |value: fn(&Subject, &Usage) -> f64| quantiles(s.runs.iter().map(|usage| value(s, usage)).collect());
        let ([low, median, high], cpu) = (of(speed), of(|_, usage| usage.cpu_s));
        table.rows.push(vec![
            json!(s.name),
            json!(s.capture.name),
            number(median, 0),
            json!(format!("{low:.0} - {high:.0}")),
            number(of(cpu_speed)[1], 0),
            number(cpu[1], 3),
            number(of(memory)[1] / MIB, 1),
            json!(s.written),
        ]);
    }
    table
}

/// The ratios, round by round.
pub(super) fn budgets(subjects: &[Subject]) -> Table {
    let columns = ["ganglion beside", "ratio", "p10 - p90", "by CPU time", "budget", "verdict"];
    let mut table = Table::new("budget", &columns);
    for budget in &BUDGETS {
        let find = |name| subjects.iter().find(|s| s.name == name && !s.runs.is_empty());
        let limit = format!("{} {}", if budget.least { "at least" } else { "at most" }, budget.limit);
        let (Some(a), Some(b)) = (find(budget.subject), find(budget.peer)) else {
            let blank = vec![Value::Null, json!(""), Value::Null, json!(limit), json!("not measured")];
            table.rows.push([vec![json!(budget.what)], blank].concat());
            continue;
        };
        let ratios = |of: fn(&Subject, &Usage) -> f64| {
            quantiles(a.runs.iter().zip(&b.runs).map(|(ours, theirs)| of(a, ours) / of(b, theirs)).collect())
        };
        let [low, median, high] = ratios(budget.of);
        let holds = if budget.least { median >= budget.limit } else { median <= budget.limit };
        // More cores make nothing cheaper, and memory is no time.
        let by_cpu = if budget.peer.starts_with(OURS) { Value::Null } else { number(ratios(cpu_speed)[1], 2) };
        table.rows.push(vec![
            json!(budget.what),
            number(median, 2),
            json!(format!("{low:.2} - {high:.2}")),
            by_cpu,
            json!(limit),
            json!(if holds { "holds" } else { "MISSED" }),
        ]);
    }
    table
}

fn number(value: f64, digits: i32) -> Value {
    let scale = 10f64.powi(digits);
    json!((value * scale).round() / scale)
}

/// 10th percentile, median, 90th percentile.
fn quantiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values.get((values.len().saturating_sub(1) as f64 * share).round() as usize);
    [0.1, 0.5, 0.9].map(|share| at(share).copied().unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_came() {
        assert_eq!(quantiles(vec![5.0, 1.0, 4.0, 2.0, 3.0]), [1.0, 3.0, 5.0]);
        assert_eq!(quantiles(vec![7.0]), [7.0; 3]);
    }
}
