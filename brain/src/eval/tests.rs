use super::*;
use crate::bundle::{Manifest, SelfTest, Thresholds};

const CLASSES: [TrafficClass; 3] = [TrafficClass::Benign, TrafficClass::Dos, TrafficClass::PortScan];

fn scores(rows: &[([f32; 3], f32)]) -> Scores {
    let probabilities = rows.iter().flat_map(|(p, _)| *p).collect();
    Scores::of(probabilities, rows.iter().map(|(_, anomaly)| *anomaly).collect(), 3)
}

#[test]
fn precision_recall_and_f1_are_counted_by_class() {
    let mut evaluation = Evaluation::new(&CLASSES);
    let said = scores(&[
        ([0.9, 0.1, 0.0], 0.1),
        ([0.6, 0.4, 0.0], 0.2),
        ([0.2, 0.8, 0.0], 0.9),
        ([0.7, 0.3, 0.0], 0.3),
        ([0.1, 0.2, 0.7], 0.8),
    ]);
    let truth = [TrafficClass::Benign, TrafficClass::Benign, TrafficClass::Dos, TrafficClass::Dos, TrafficClass::Web];
    truth.iter().enumerate().for_each(|(row, class)| evaluation.add(*class, &said, row));
    let report = evaluation.report();
    let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
    let benign = report.per_class["Benign"];
    assert!(close(benign.precision, 2.0 / 3.0) && close(benign.recall, 1.0) && close(benign.f1, 0.8));
    assert!(close(report.per_class["DoS"].f1, 2.0 / 3.0));
    // The model does not know Web, and no row is of PortScan: the one counts with 0, the other not at all.
    assert!(close(report.macro_f1.unwrap(), (0.8 + 2.0 / 3.0 + 0.0) / 3.0));
    assert_eq!((report.per_class["Web"].f1, report.per_class["PortScan"].rows), (0.0, 0));
    assert_eq!((report.per_class["Web"].auroc, report.macro_f1_50, report.rows), (None, None, 5));
    assert_eq!(report.confusion.classes, ["Benign", "DoS", "PortScan", "Web"]);
    assert_eq!(report.confusion.counts[3], [0, 0, 1, 0]);
    // 1 − P(Benign): the DoS row at 0.3 is above one of the benign ones.
    assert!(close(report.auroc.unwrap(), 5.0 / 6.0), "{:?}", report.auroc);
    assert!(close(report.auroc_anomaly.unwrap(), 1.0));
    assert!(close(report.per_class["DoS"].auroc.unwrap(), 5.0 / 6.0));
}

#[test]
fn scores_that_are_no_numbers_are_dropped_and_counted() {
    let mut evaluation = Evaluation::new(&CLASSES);
    evaluation.add(TrafficClass::Dos, &scores(&[([f32::NAN, 0.5, 0.5], 0.0)]), 0);
    evaluation.drop_rows("nan", 2);
    let report = evaluation.report();
    assert_eq!((report.rows, report.macro_f1, report.auroc), (0, None, None));
    assert_eq!((report.dropped["score_not_finite"], report.dropped["nan"]), (1, 2));
}

#[test]
fn one_row_has_no_area() {
    let mut evaluation = Evaluation::new(&CLASSES);
    evaluation.add(TrafficClass::Dos, &scores(&[([0.1, 0.9, 0.0], 0.0)]), 0);
    let report = evaluation.report();
    assert_eq!((report.macro_f1, report.auroc, report.per_class["DoS"].auroc), (Some(1.0), None, None));
}

fn manifest(profile: &str, features: &[&str]) -> Manifest {
    Manifest {
        format: 1,
        id: "x".into(),
        version: "1".into(),
        kind: "classifier".into(),
        profile: profile.into(),
        features: features.iter().map(|name| (*name).to_owned()).collect(),
        classes: vec![1, 2],
        thresholds: Thresholds { anomaly: 1.0 },
        quantiles: BTreeMap::new(),
        background: Vec::new(),
        self_test: SelfTest { rows: Vec::new(), probabilities: Vec::new(), anomaly: Vec::new() },
        metrics: serde_json::Value::Null,
        training: serde_json::Value::Null,
        digests: BTreeMap::new(),
        signature: None,
    }
}

#[test]
fn columns_are_found_in_every_spelling() {
    let manifest = manifest("cicflowmeter", &["Total Fwd Packet", "Flow Bytes/s", "Fwd Seg Size Min"]);
    for (table, places) in [
        (["Fwd Seg Size Min", "Total Fwd Packet", "Flow Bytes/s"], [1, 2, 0]),
        (["Tot Fwd Pkts", "Flow Byts/s", "Fwd Seg Size Min"], [0, 1, 2]),
        ([" Total Fwd Packets", "Flow Bytes/s", " min_seg_size_forward"], [0, 1, 2]),
        (["tot_fwd_pkts", "flow_byts_s", "fwd_seg_size_min"], [0, 1, 2]),
    ] {
        let found = Columns::of(&manifest, &table).unwrap();
        assert_eq!(found.places, places.map(Some), "{table:?}");
    }
}

#[test]
fn all_missing_columns_are_named() {
    let manifest = manifest("cicflowmeter", &["Total Fwd Packet", "Flow Bytes/s", "Fwd Seg Size Min"]);
    let error = Columns::of(&manifest, &["Forward packets", "Flow Byts/s", "Label"]).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.missing, ["Total Fwd Packet", "Fwd Seg Size Min"]);
    assert!(text.starts_with("2 columns are missing") && text.contains("\"Forward packets\""), "{text}");
}

#[test]
fn what_only_source_records_have_is_zero_in_a_table_of_flows() {
    let manifest = manifest("ganglion", &["flow_packets", "source_ports"]);
    let found = Columns::of(&manifest, &["flow_packets"]).unwrap();
    assert_eq!((found.places.clone(), found.absent()), (vec![Some(0), None], 1));
    assert!(Columns::of(&manifest, &["source_ports"]).is_err());
}
