//! Two engines written apart: where a flow of the `ganglion` profile and one of the `cicflowmeter` profile have the same
//! packets, the features that answer to the reference's columns have the same values.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;

use ganglion_extract::capture::Capture;
use ganglion_extract::cicflowmeter::{COLUMNS, Engine, Value};
use ganglion_extract::ganglion::{Options, extract, fields};
use ganglion_extract::table::Cells;
use ganglion_features::TABLE;

const PAIRS: [&str; 4] = ["fin_variants_odd_headers", "ftp_bruteforce", "ftp_data_dns_ipv6", "smb_vlan_long"];

/// Flow ID, duration, packets of each direction.
type Key = (String, i64, i64, i64);

fn open(name: &str) -> Capture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/oracle/pairs/{name}.pcap.gz"));
    Capture::open(&path).unwrap()
}

/// Cells by column, of each row that has a key of its own.
type Rows = BTreeMap<Key, Option<BTreeMap<&'static str, f64>>>;

fn insert(rows: &mut Rows, key: Key, cells: BTreeMap<&'static str, f64>) {
    // Twins can't be told apart.
    rows.entry(key).and_modify(|twins| *twins = None).or_insert(Some(cells));
}

fn of_reference(name: &str) -> Rows {
    let (mut capture, mut engine, mut all) = (open(name), Engine::new(), Vec::new());
    while let Ok(Some(frame)) = capture.next() {
        engine.frame(&frame, &mut |row| all.push(row));
    }
    engine.finish(&mut |row| all.push(row));
    let mut rows = Rows::new();
    for row in &all {
        let cell = |name| COLUMNS.iter().find(|column| column.name == name).map(|column| (column.value)(row)).unwrap();
        let int = |name| cell(name).as_f64().unwrap() as i64;
        let id = ["Src IP", "Dst IP", "Src Port", "Dst Port", "Protocol"].map(|name| cell(name).to_string()).join("-");
        let key = (id, int("Flow Duration"), int("Total Fwd Packet"), int("Total Bwd packets"));
        let cells = COLUMNS.iter().filter_map(|column| match (column.value)(row) {
            // Where the reference can't compute.
            Value::Fixed(_) => Some((column.name, 0.0)),
            value => Some((column.name, value.as_f64()?)),
        });
        insert(&mut rows, key, cells.collect());
    }
    rows
}

fn of_ganglion(name: &str) -> Rows {
    let options = Options::default();
    let fields = fields(&options);
    let mut rows = Rows::new();
    let sink = |batch: ganglion_extract::table::Batch| {
        for row in 0..batch.rows {
            let mut cells = BTreeMap::new();
            let mut id = String::new();
            for (field, column) in fields.iter().zip(&batch.columns) {
                match column {
                    Cells::Text(texts) if field.name == "flow_id" => id = texts.get(row).to_owned(),
                    Cells::Float(values) => {
                        let feature = TABLE.iter().find(|feature| feature.name == field.name).unwrap();
                        cells.extend(feature.references().map(|reference| (reference, values[row])));
                    }
                    _ => {}
                }
            }
            let int = |name| cells[name] as i64;
            let key = (id, int("Flow Duration"), int("Total Fwd Packet"), int("Total Bwd packets"));
            insert(&mut rows, key, cells);
        }
        ControlFlow::Continue(())
    };
    let ((), _) = extract(&options, NonZeroUsize::MIN, std::mem::take, sink, |extraction| {
        let mut capture = open(name);
        while let Ok(Some(frame)) = capture.next() {
            let _ = extraction.frame(&frame);
        }
    });
    rows
}

/// Columns of which the reference has rules of its own, by where the first packet went.
const QUIRKS: [&str; 4] = ["FWD Init Win Bytes", "Bwd Init Win Bytes", "Fwd Seg Size Min", "Bwd Seg Size Min"];
/// Frames of this capture are padded to 60 bytes. The reference takes the padding of TCP segments behind a VLAN tag for
/// payload; true lengths are without.
const PADDED: &str = "smb_vlan_long";
/// What columns of lengths have in their names.
const LENGTHS: [&str; 6] = ["Length", "Bytes", "Segment", "Packet Size", "Data", "Bulk"];

/// Whether both profiles mean the same by the column.
fn is_comparable(pair: &str, column: &str) -> bool {
    let is_length = LENGTHS.iter().any(|part| column.contains(part)) && !column.contains("Header");
    !(QUIRKS.contains(&column) || pair == PADDED && is_length)
}

#[test]
fn features_equal_the_columns_they_answer_to() {
    let (mut flows, mut cells) = (0, 0);
    for pair in PAIRS {
        let reference = of_reference(pair);
        for (key, ours) in of_ganglion(pair) {
            // To the reference, what is neither TCP nor UDP has no payload.
            let known = ["-6", "-17"].iter().any(|protocol| key.0.ends_with(protocol));
            let (true, Some(ours), Some(Some(theirs))) = (known, ours, reference.get(&key)) else { continue };
            flows += 1;
            for (column, our) in ours.into_iter().filter(|(column, _)| is_comparable(pair, column)) {
                let their = theirs[column];
                cells += 1;
                assert!((our - their).abs() <= 1e-9 * their.abs().max(1.0), "{column}: {our}, not {their}, in {key:?}");
            }
        }
    }
    println!("{flows} flows, {cells} cells");
    assert!(flows >= 50 && cells >= 4_000, "{flows} flows, {cells} cells");
}
