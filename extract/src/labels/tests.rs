use super::*;
use crate::cicflowmeter;

const EXAMPLE: &str = include_str!("../../examples/labels.yaml");

/// A row of a table with the columns that rules go by.
struct Row(&'static str, &'static str, u16, &'static str, u16, u8, i64);

fn us(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().unwrap().as_microsecond()
}

fn table(rows: &[Row]) -> (Vec<Field>, Batch) {
    let field = |name, kind| Field { name, unit: "", kind };
    let fields = vec![
        field("timestamp".into(), Kind::Time),
        field("initiator".into(), Kind::Text),
        field("initiator_port".into(), Kind::Int),
        field("responder".into(), Kind::Text),
        field("responder_port".into(), Kind::Int),
        field("protocol".into(), Kind::Int),
        field("fwd_payload_bytes".into(), Kind::Float),
    ];
    let texts = |of: fn(&Row) -> &'static str| {
        let mut texts = Texts::default();
        rows.iter().for_each(|row| texts.push(of(row)));
        Cells::Text(texts)
    };
    let columns = vec![
        Cells::Time(rows.iter().map(|row| us(row.0)).collect()),
        texts(|row| row.1),
        Cells::Int(rows.iter().map(|row| row.2.into()).collect()),
        texts(|row| row.3),
        Cells::Int(rows.iter().map(|row| row.4.into()).collect()),
        Cells::Int(rows.iter().map(|row| row.5.into()).collect()),
        Cells::Float(rows.iter().map(|row| row.6 as f64).collect()),
    ];
    (fields, Batch { columns, rows: rows.len() })
}

fn label(rules: &str, rows: &[Row]) -> (Vec<String>, Vec<String>) {
    let labels = Labels::read(rules, "rules.yaml").unwrap();
    let (mut fields, mut batch) = table(rows);
    let places = Labels::prepare(&mut fields).unwrap();
    let hits = labels.label(&mut batch, &places);
    assert_eq!((fields.len(), batch.columns.len()), (8, 8));
    let Some(Cells::Text(texts)) = batch.columns.last() else { panic!("no text") };
    let unmatched = labels.unmatched(&hits).into_iter().map(str::to_owned).collect();
    (texts.iter().map(str::to_owned).collect(), unmatched)
}

#[test]
fn the_example_labels_an_afternoon_of_cicids2017() {
    let rows = [
        // 16:00 in Halifax, in summer, is 19:00 UTC.
        Row("2017-07-07T19:00:00Z", "172.16.0.1", 40_000, "192.168.10.50", 80, 6, 20),
        Row("2017-07-07T19:00:00Z", "192.168.10.50", 80, "172.16.0.1", 40_000, 6, 9000),
        Row("2017-07-07T19:00:00Z", "172.16.0.1", 40_001, "192.168.10.50", 80, 6, 0),
        Row("2017-07-07T19:00:00Z", "172.16.0.1", 40_001, "192.168.10.50", 443, 6, 0),
        Row("2017-07-07T19:00:00Z", "172.16.0.1", 40_001, "192.168.10.50", 80, 17, 0),
        Row("2017-07-07T18:55:59.999999Z", "172.16.0.1", 40_000, "192.168.10.50", 80, 6, 20),
        Row("2017-07-07T18:56:00Z", "172.16.0.1", 40_000, "192.168.10.50", 80, 6, 20),
        Row("2017-07-07T19:17:00Z", "172.16.0.1", 40_000, "192.168.10.50", 80, 6, 20),
        Row("2017-07-07T17:00:00Z", "172.16.0.1", 40_000, "192.168.10.50", 22, 6, 0),
        Row("2017-07-07T17:00:00Z", "192.168.10.50", 22, "172.16.0.1", 40_000, 6, 0),
        Row("2017-07-07T13:00:00Z", "2001:db8::1", 1, "2001:db8::2", 2, 6, 0),
    ];
    let (labels, unmatched) = label(EXAMPLE, &rows);
    let wanted = [
        "DDoS",
        "DDoS",
        "DDoS - Attempted",
        "BENIGN",
        "BENIGN",
        "BENIGN",
        "DDoS",
        "BENIGN",
        "PortScan",
        "BENIGN",
        "BENIGN",
    ];
    assert_eq!(labels, wanted);
    assert_eq!(unmatched, ["rule 3 (Ares)"]);
}

#[test]
fn the_first_rule_wins_and_lists_networks_and_ranges_match() {
    let rules = "
default: none
rules:
  - {label: a, src: 10.0.0.0/8, port: [22, 8000-8080]}
  - {label: b, host: [10.1.2.3, '2001:db8::/32'], protocol: [udp, 132]}
  - {label: c, from: 1499443200, to: 1499443200.5}
  - {label: d, protocol: tcp, dst_port: 0-1023}
";
    let at = "2017-07-08T00:00:00Z";
    let rows = [
        Row(at, "10.1.2.3", 1, "1.1.1.1", 22, 17, 0),
        Row(at, "10.1.2.3", 8080, "1.1.1.1", 2, 17, 0),
        Row(at, "10.1.2.3", 8081, "1.1.1.1", 2, 17, 0),
        Row(at, "1.1.1.1", 8081, "10.1.2.3", 22, 132, 0),
        Row(at, "2001:db8:ffff::1", 1, "::1", 2, 17, 0),
        Row(at, "2001:db9::", 1, "2001:db8::", 2, 17, 0),
        Row("2017-07-07T16:00:00Z", "1.1.1.1", 1, "1.1.1.2", 80, 6, 0),
        Row("2017-07-07T16:00:00.5Z", "1.1.1.1", 1, "1.1.1.2", 80, 6, 0),
        Row(at, "11.0.0.0", 22, "9.255.255.255", 1024, 6, 0),
    ];
    let (labels, unmatched) = label(rules, &rows);
    assert_eq!(labels, ["a", "a", "b", "b", "b", "b", "c", "d", "none"]);
    assert!(unmatched.is_empty());
}

#[test]
fn a_column_of_labels_is_filled() {
    let mut fields = cicflowmeter::fields();
    let count = fields.len();
    let places = Labels::prepare(&mut fields).unwrap();
    assert_eq!((fields.len(), places.label), (count, Some(count - 1)));
    let missing = Labels::prepare(&mut vec![]).unwrap_err().to_string();
    assert_eq!(missing, "labels need the column \"timestamp\", which these rows have not");
}

#[test]
fn mistakes_name_the_rule_the_key_and_the_line() {
    let rule = |keys: &str| format!("rules:\n  - {{label: fine, port: 1}}\n  - {{label: x, {keys}}}\n");
    let cases = [
        (rule("srcc: 1.1.1.1"), "rule 2: unknown field `srcc`, expected one of"),
        (rule("src: 1.1.1"), "rule 2, src: \"1.1.1\" is not an address or a network"),
        (rule("src: 10.0.0.1/8"), "rule 2, src: \"10.0.0.1/8\" has bits of an address behind its network"),
        (rule("src: 10.0.0.0/33"), "is not an address or a network"),
        (rule("src: []"), "rule 2, src: an empty list matches nothing"),
        (rule("dst_port: 70000"), "rule 2, dst_port: \"70000\" is not a port"),
        (rule("port: 80-22"), "rule 2, port: \"80-22\" is not a port or a range"),
        (rule("protocol: tpc"), "rule 2, protocol: \"tpc\" is not a protocol: tcp, udp"),
        (rule("from: yesterday"), "rule 2, from: \"yesterday\" is not a time"),
        (rule("from: 1499443200000"), "milliseconds? divide by 1000"),
        (rule("name: y, from: 2017-07-08, to: 2017-07-07"), "rule 2 (y): to: is not after from"),
        (rule("peer: 1.1.1.1"), "rule 2: peer: needs host"),
        (rule("host: 1.1.1.1, src: 1.1.1.2"), "rule 2: host: is either end"),
        (rule("port: 1, src_port: 2"), "rule 2: port: is either end's"),
        (rule("name: all"), "rule 2 (all): has no condition"),
        ("rules:\n  - {label: '', port: 1}\n".into(), "rule 1: label: a label has 1 to"),
        ("rules: []\ntimezone: Nowhere/None\n".into(), "timezone: "),
        ("rules: []\nlabels: []\n".into(), "unknown field `labels`"),
        (String::new(), "missing field `rules`"),
        ("rules:\n  - port: 1\n".into(), "rule 1: missing field `label`"),
        ("rules: [\n".into(), "line 2"),
    ];
    for (text, said) in cases {
        let error = Labels::read(&text, "rules.yaml").unwrap_err().to_string();
        assert!(error.starts_with("rules.yaml: ") && error.contains(said), "{said}: {error}");
    }
    let typed = Labels::read(&rule("src: 1.1.1"), "r").unwrap_err().to_string();
    assert!(typed.contains("at line 3"), "{typed}");
    let many = "  - {label: x, port: 1}\n".repeat(MAX_RULES + 1);
    let error = Labels::read(&format!("rules:\n{many}"), "r").unwrap_err().to_string();
    assert!(error.contains("5001 rules; 5000 are read at most"), "{error}");
}

#[test]
fn zones_are_names_or_offsets() {
    let time = |zone: &str| {
        let rules = format!("timezone: '{zone}'\nrules:\n  - {{label: x, from: 2017-07-07 15:56}}\n");
        let (labels, _) = label(
            &rules,
            &[
                Row("2017-07-07T18:55:59.999999Z", "1.1.1.1", 1, "1.1.1.2", 2, 6, 0),
                Row("2017-07-07T18:56:00Z", "1.1.1.1", 1, "1.1.1.2", 2, 6, 0),
            ],
        );
        labels
    };
    for zone in ["America/Halifax", "-03:00", "-3"] {
        assert_eq!(time(zone), ["BENIGN", "x"], "{zone}");
    }
    assert_eq!(time("UTC"), ["x", "x"]);
}

/// The index against one rule after the other.
#[test]
fn the_index_is_a_search_through_all_rules() {
    use index::Form;
    let mut state = 99_u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut forms = Vec::new();
    for rule in 0..300 {
        let mut ranges = |below: u64| {
            (random(3) > 0).then(|| {
                let (a, b) = (random(below), random(below));
                let (c, d) = (random(below), random(below));
                vec![a.min(b)..=a.max(b), c.min(d)..=c.min(d) + 3]
            })
        };
        forms.push(Form {
            rule,
            time_us: ranges(50).map(|all| all.iter().map(|r| *r.start() as i64..=*r.end() as i64).collect()),
            src: ranges(50).map(|all| all.iter().map(|r| u128::from(*r.start())..=u128::from(*r.end())).collect()),
            dst: ranges(50).map(|all| all.iter().map(|r| u128::from(*r.start())..=u128::MAX).collect()),
            src_port: ranges(50).map(|all| all.iter().map(|r| *r.start() as u16..=*r.end() as u16).collect()),
            dst_port: ranges(9).map(|all| all.iter().map(|r| *r.start() as u16..=u16::MAX).collect()),
            protocol: ranges(9).map(|all| all.iter().map(|r| *r.start() as u8..=*r.end() as u8).collect()),
        });
    }
    // The first rules would take nearly everything.
    let forms = &forms[..];
    let index = Index::new(forms);
    let mut found = std::collections::HashSet::new();
    for _ in 0..20_000 {
        let key = Key {
            time_us: random(50) as i64,
            src: random(50).into(),
            dst: random(50).into(),
            src_port: random(50) as u16,
            dst_port: random(9) as u16,
            protocol: random(9) as u8,
        };
        fn holds<T: PartialOrd>(ranges: &index::Ranges<T>, value: T) -> bool {
            ranges.as_ref().is_none_or(|all| all.iter().any(|range| range.contains(&value)))
        }
        let slow = forms.iter().position(|form| {
            holds(&form.time_us, key.time_us)
                && holds(&form.src, key.src)
                && holds(&form.dst, key.dst)
                && holds(&form.src_port, key.src_port)
                && holds(&form.dst_port, key.dst_port)
                && holds(&form.protocol, key.protocol)
        });
        assert_eq!(index.first(&key), slow);
        found.insert(slow);
    }
    assert!(found.len() > 30, "{}", found.len());
}
