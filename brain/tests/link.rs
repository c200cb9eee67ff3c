//! The reflex arc over a real unix socket with the real ONNX Runtime.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{Brain, OWN, Sensor, flow, source};
use ganglion_flow::Role;
use ganglion_proto::v1::event::Of;
use ganglion_proto::v1::{
    Action, BrainStatusRequest, EventsRequest, Outcome, SensorMessage, TrafficClass, VerdictOutcome, brain_message,
    sensor_message, target,
};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use tonic::Code;

const S: u64 = 1_000_000;
const SCANNER: &str = "198.18.9.9";

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn scrape(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_becomes_a_verdict_an_alert_and_an_action() {
    let metrics = free_address();
    let brain = Brain::start(|config| config.metrics = Some(metrics)).await;
    let mut sensor = Sensor::connect(&brain).await;
    assert!(matches!(sensor.next().await, brain_message::Of::Welcome(w) if w.bundle_id == "test-tiny 1"));
    let mut events =
        brain.client().await.events(EventsRequest { kinds: vec![], backlog: 10 }).await.unwrap().into_inner();

    let mut records = flow("198.18.2.2", 80, 12, S);
    records.extend(source(SCANNER, Role::Source, 8, S));
    records.extend(source(SCANNER, Role::Source, 32, S + 1));
    sensor.records(3, records).await;

    let brain_message::Of::Verdict(verdict) = sensor.next().await else { panic!("a verdict comes first") };
    assert_eq!((verdict.class(), verdict.action()), (TrafficClass::PortScan, Action::Drop));
    assert_eq!(verdict.target.as_ref().unwrap().of, Some(target::Of::Address(SCANNER.into())));
    assert!(verdict.reason.contains("32 new flows"), "{}", verdict.reason);
    assert!(verdict.confidence > 0.9 && verdict.ttl_ms == 300_000 && verdict.record_time_us == S + 1);
    println!("{}", verdict.reason);
    assert!(matches!(sensor.next().await, brain_message::Of::Judged(judged) if judged.sequence == 1));

    let outcome = VerdictOutcome {
        verdict_id: verdict.id.clone(),
        outcome: Outcome::Enforced.into(),
        applied_boot_ns: 7,
        ..VerdictOutcome::default()
    };
    sensor.up.send(SensorMessage { of: Some(sensor_message::Of::Outcome(outcome)) }).await.unwrap();
    let (mut alerts, mut actions, mut health) = (Vec::new(), Vec::new(), 0);
    while actions.is_empty() {
        match events.message().await.unwrap().unwrap().of.unwrap() {
            Of::Alert(alert) => alerts.push(alert),
            Of::Action(action) => actions.push(action),
            Of::Health(_) => health += 1,
            Of::Explanation(_) => panic!("the test bundle has no background rows"),
            Of::Missed(_) => panic!("nothing is missed"),
        }
    }
    assert_eq!((alerts.len(), health), (1, 1));
    assert_eq!((&alerts[0].verdict_id, alerts[0].bundle_id.as_str()), (&verdict.id, "test-tiny 1"));
    assert_eq!((actions[0].outcome(), actions[0].action()), (Outcome::Enforced, Action::Drop));
    assert_eq!((actions[0].target.clone(), actions[0].applied_boot_ns), (verdict.target, 7));

    let status = brain.client().await.status(BrainStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.records, status.verdicts, status.provider.as_str()), (3, 1, "CPU"));
    assert_eq!(status.sensors, ["test eth0"]);
    let text = tokio::task::spawn_blocking(move || scrape(metrics)).await.unwrap();
    for line in [
        "ganglion_brain_verdicts_total{action=\"drop\",class=\"port-scan\"} 1",
        "ganglion_brain_rows_total{kind=\"source\"} 2",
        "ganglion_brain_records_received_total 3",
        "ganglion_brain_records_queued 0",
        "ganglion_brain_outcomes_total{outcome=\"enforced\"} 1",
        "ganglion_brain_bundle_info{bundle=\"test-tiny 1\",provider=\"CPU\",trust=\"unsigned\"} 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    brain.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_limits_new_flows_towards_the_own_address() {
    let brain = Brain::start(|_| ()).await;
    let mut sensor = Sensor::connect(&brain).await;
    sensor.next().await;
    let mut records = Vec::new();
    for new in [8, 32, 128, 512] {
        let mut record = source(OWN, Role::Destination, new, S + u64::from(new));
        // Every bit of the sketch of peers.
        let length = record.len();
        record[length - 32..].fill(0xff);
        records.extend(record);
    }
    sensor.records(4, records).await;
    let brain_message::Of::Verdict(verdict) = sensor.next().await else { panic!("a verdict comes first") };
    assert_eq!((verdict.class(), verdict.action()), (TrafficClass::Ddos, Action::LimitNewFlows));
    assert_eq!(verdict.target.unwrap().of, Some(target::Of::Address(OWN.into())));
    assert_eq!(verdict.limit_per_second, 100);
    brain.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_differ_are_both_named() {
    let brain = Brain::start(|_| ()).await;
    let refused = Sensor::with_version(&brain, 99).await.err().unwrap();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let ours = ganglion_flow::record::VERSION.to_string();
    assert!(refused.message().contains("99") && refused.message().contains(&ours), "{}", refused.message());
    println!("{}", refused.message());
    brain.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_records_are_counted_and_the_stream_goes_on() {
    let metrics = free_address();
    let brain = Brain::start(|config| config.metrics = Some(metrics)).await;
    let mut sensor = Sensor::connect(&brain).await;
    sensor.next().await;
    let good = flow("198.18.2.2", 80, 12, S);
    let mut wrong_version = good.clone();
    wrong_version[1] = 42;
    let mut records = wrong_version;
    records.extend(&good);
    records.extend(&good[..99]);
    sensor.records(5, records).await;
    assert!(matches!(sensor.next().await, brain_message::Of::Judged(judged) if judged.sequence == 1));
    sensor.records(1, good).await;
    assert!(matches!(sensor.next().await, brain_message::Of::Judged(judged) if judged.sequence == 2));
    let text = tokio::task::spawn_blocking(move || scrape(metrics)).await.unwrap();
    for line in [
        "ganglion_brain_records_received_total 6",
        "ganglion_brain_rows_total{kind=\"flow\"} 2",
        "ganglion_brain_records_refused_total{reason=\"version\"} 1",
        "ganglion_brain_records_refused_total{reason=\"length\"} 1",
        "ganglion_brain_records_refused_total{reason=\"missing\"} 2",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    brain.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_outlives_a_reconnect() {
    let brain = Brain::start(|_| ()).await;
    for new in [8, 32] {
        let mut sensor = Sensor::connect(&brain).await;
        sensor.next().await;
        sensor.records(1, source(SCANNER, Role::Source, new, S)).await;
        let verdict = matches!(sensor.next().await, brain_message::Of::Verdict(_));
        assert_eq!(verdict, new == 32);
    }
    brain.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_kinds_of_events_are_refused() {
    let brain = Brain::start(|_| ()).await;
    let request = EventsRequest { kinds: vec!["gossip".into()], backlog: 0 };
    let refused = brain.client().await.events(request).await.unwrap_err();
    assert!(refused.code() == Code::InvalidArgument && refused.message().contains("gossip"));
    brain.stop().await;
}
