//! The budget's rows, and how all of it is shown.

use serde_json::{Value, json};

use super::subjects::Subject;
use crate::report::{number, quantiles, spread, table, verdict};

/// Rows whose budget is a ratio of whole runs, as first set.
const ROWS: [Row; 4] = [
    Row { what: "drop of a blocked source", subject: "drop", peer: "xdp-filter dny_ip", budget: 1.15 },
    Row {
        what: "update of a hot flow, empty maps",
        subject: "update, empty maps",
        peer: "xdp-filter dny_ip",
        budget: 2.2,
    },
    Row {
        what: "update of a hot flow, loaded maps",
        subject: "update, loaded maps",
        peer: "xdp-filter dny_ip",
        budget: 3.5,
    },
    Row { what: "update of 262,144 flows at random", subject: "random update", peer: "random look-up", budget: 1.6 },
];
/// Rows whose budget is a ratio of what programs add to an empty run (docs/adr/0004-floor.md).
const NET_ROWS: [Row; 2] = [
    Row { what: "update of a hot flow, empty maps", subject: "update, empty maps", peer: "floor", budget: 1.5 },
    Row { what: "update of a hot flow, loaded maps", subject: "update, loaded maps", peer: "floor", budget: 1.8 },
];

/// A row of the budget: a subject beside its peer.
struct Row {
    what: &'static str,
    subject: &'static str,
    peer: &'static str,
    budget: f64,
}

/// Nanoseconds, budget and rates.
pub(super) fn tables(subjects: &[Subject]) -> Vec<Value> {
    let rows = subjects.iter().map(|subject| {
        let [off, on] = [0, 1].map(|on| spread(quantiles(&subject.runs_ns[on]), 1));
        [vec![json!(subject.name)], off.to_vec(), on.to_vec()].concat()
    });
    let columns = ["program, ns", "statistics off", "p10 - p90", "on", "p10 - p90 (on)"];
    vec![table("nanoseconds per packet", &columns, rows.collect()), budget(subjects), rates(subjects)]
}

fn budget(subjects: &[Subject]) -> Value {
    let rows = ROWS.iter().map(|row| (row, false)).chain(NET_ROWS.iter().map(|row| (row, true)));
    let rows = rows.map(|(row, net)| {
        let [off, on] = [0, 1].map(|on| ratios(subjects, row, on, net));
        let less = if net { ", less the empty run" } else { "" };
        let first = vec![json!(format!("{}{less}", row.what))];
        let last = vec![number(row.budget, 2), json!(row.peer)];
        // The sensor keeps the statistics on; without them an empty run, and so the peer, costs next to nothing.
        let of = |ratio: [f64; 3]| [spread(ratio, 2).to_vec(), vec![verdict(ratio[1] <= row.budget)]].concat();
        [first, of(on), of(off), last].concat()
    });
    let columns = [
        "row",
        "as the sensor runs",
        "p10 - p90",
        "verdict",
        "statistics off",
        "p10 - p90 (off)",
        "verdict (off)",
        "budget",
        "peer",
    ];
    table("budget", &columns, rows.collect())
}

/// The row's ratio in each round, with what an empty run takes subtracted from both where `net`.
fn ratios(subjects: &[Subject], row: &Row, on: usize, net: bool) -> [f64; 3] {
    let less = if net { 1.0 } else { 0.0 };
    let each =
        runs(subjects, row.subject, on).iter().zip(runs(subjects, row.peer, on)).zip(runs(subjects, "empty", on));
    quantiles(&each.map(|((a, b), empty)| (a - less * empty) / (b - less * empty)).collect::<Vec<_>>())
}

fn runs<'s>(subjects: &'s [Subject], name: &str, on: usize) -> &'s [f64] {
    subjects.iter().find(|s| s.name == name).map_or(&[], |s| &s.runs_ns[on])
}

/// How many flows a core takes in a second, as the sensor runs: with statistics, less the empty run.
fn rates(subjects: &[Subject]) -> Value {
    let each = [("one packet each", "first packet", 1.0), ("two packets each", "first and second packet", 2.0)];
    let rows = each.map(|(what, name, packets)| {
        let rate = |(ns, empty): (&f64, &f64)| 1e9 / (packets * (ns - empty));
        let rates: Vec<_> = runs(subjects, name, 1).iter().zip(runs(subjects, "empty", 1)).map(rate).collect();
        [vec![json!(what)], spread(quantiles(&rates), 0).to_vec()].concat()
    });
    table("new flows a second and core", &["flows of", "flows/s", "p10 - p90"], rows.to_vec())
}
