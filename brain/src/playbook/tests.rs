use super::*;

fn error(text: &str) -> String {
    Playbook::parse(text, Path::new("p.yaml")).unwrap_err().to_string()
}

const HEAD: &str = "version: 1\nname: t\nrules:\n";
const RULE: &str = "  - classes: [dos]\n    min_confidence: 0.7\n    evidence: 3\n    window: 10s\n    ttl: 5m\n";

#[test]
fn the_default_holds() {
    let playbook = Playbook::shipped().unwrap();
    assert_eq!(playbook.name, "default");
    assert_eq!((playbook.benign.proven_by, playbook.benign.limit_per_second), (3, 1_000));
    assert!(playbook.rules.iter().all(|rule| rule.clear < rule.evidence));
    for class in crate::class::ALL {
        let ruled = playbook.rules.iter().any(|rule| rule.classes.contains(&class));
        assert_eq!(ruled, class != TrafficClass::Benign, "{class:?}");
    }
}

#[test]
fn a_rule_takes_its_defaults() {
    let rule = &Playbook::parse(&format!("{HEAD}{RULE}    action: drop\n"), Path::new("p")).unwrap().rules[0];
    assert_eq!((rule.clear, rule.min_flows, rule.cooldown_us), (1.5, 2, 10_000_000));
    assert_eq!((rule.window_us, rule.ttl_us), (10_000_000, 300_000_000));
    assert_eq!(rule.subject, SubjectName::Source);
}

#[test]
fn errors_name_line_column_and_key() {
    let e = error(&format!("{HEAD}{RULE}    action: drop\n    colour: red\n"));
    assert!(
        e.starts_with("playbook p.yaml, line 10, column 5") && e.contains("rules[0]") && e.contains("colour"),
        "{e}"
    );
    let e = error(&format!("{HEAD}{RULE}    action: explode\n"));
    assert!(e.contains("line 9, column 13") && e.contains("action") && e.contains("explode"), "{e}");
    let e = error(&format!("{HEAD}{RULE}    action: drop\n").replace("10s", "10 parsecs"));
    assert!(e.contains("line 7, column 13") && e.contains("10 parsecs"), "{e}");
    let e = error(&format!("{HEAD}{RULE}    action: drop\n").replace("[dos]", "[dos, gremlins]"));
    assert!(e.contains("line 4") && e.contains("gremlins") && e.contains("port-scan"), "{e}");
    let e = error(&format!("version: 1\nname: t\nbenign:\n  proven_by: 0\nrules:\n{RULE}    action: drop\n"));
    assert!(e.contains("line 4") && e.contains("1 is the least"), "{e}");
    let e = error("version: 1\nname: [\n");
    assert!(e.contains("line "), "{e}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (change, word) in [
        ("    action: drop\n    min_flows: 1\n", "one odd flow"),
        ("    action: drop\n    clear: 5\n", "clear"),
        ("    action: drop\n    limit_per_second: 5\n", "limit_per_second"),
        ("    action: rate-limit\n", "limit_per_second"),
        ("    action: limit-new-flows\n    limit_per_second: 5\n", "subject: destination"),
        ("    action: drop\n    subject: destination\n", "destinations"),
    ] {
        let e = error(&format!("{HEAD}{RULE}{change}"));
        assert!(e.contains(word) && e.contains("line 4"), "{e}");
    }
    assert!(
        error(&format!("{HEAD}{RULE}    action: drop\n").replace("version: 1", "version: 2")).contains("version 2")
    );
    assert!(error(&format!("{HEAD}{RULE}    action: drop\n").replace("0.7", "1.7")).contains("1.7"));
    assert!(error(&format!("{HEAD}{RULE}    action: drop\n").replace("[dos]", "[benign]")).contains("benign"));
}
