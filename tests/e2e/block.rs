//! Attack → verdict → block in the kernel → expiry → traffic flows again.

use std::time::Duration;

use ganglion_proto::v1::Outcome;

use crate::harness::net::{ATTACKER, ATTACKER6, FRIEND, FRIEND6};
use crate::harness::traffic::{delivered, scan};
use crate::harness::{Agent, FakeBrain, Net, eventually};

fn attack_is_blocked_and_the_block_ends(attacker: &str, friend: &str) {
    let net = Net::new();
    let mut brain = FakeBrain::listen(&net.file("brain.sock"));
    let socket = net.file("brain.sock");
    let agent = Agent::start(&net, &["--mode", "enforce", "--brain", socket.to_str().unwrap()]);
    brain.connected();
    assert_eq!(delivered(&net, attacker, 5), 5, "nothing is blocked at first");

    scan(&net, attacker, 2000..2150);
    let source = brain.source(attacker);
    assert!(source.new_window >= 8, "{source:?}");

    let id = brain.condemn(attacker, Duration::from_secs(2));
    assert_eq!(brain.outcome(&id).0, Outcome::Enforced);
    assert_eq!(delivered(&net, attacker, 5), 0, "the attacker is dropped");
    assert_eq!(delivered(&net, friend, 5), 5, "and nobody else");
    let block = agent.block(attacker).expect("the block is listed");
    assert_eq!(block["class"], "PortScan");
    assert_eq!(block["origin"], "verdict");
    assert!(block["dropped"].as_u64() >= Some(5), "{block:#}");
    assert!(block["first_drop_boot_ns"].is_u64());

    eventually("the block expires", Duration::from_secs(4), || delivered(&net, attacker, 1) == 1);
    eventually("and leaves the list", Duration::from_secs(5), || agent.block(attacker).is_none());
    assert!(agent.counter("drop_block") >= 5);
    agent.assert_nothing_is_lost();
}

#[test]
fn attack_is_blocked_and_traffic_flows_again_v4() {
    attack_is_blocked_and_the_block_ends(ATTACKER, FRIEND);
}

#[test]
fn attack_is_blocked_and_traffic_flows_again_v6() {
    attack_is_blocked_and_the_block_ends(ATTACKER6, FRIEND6);
}

#[test]
fn operator_blocks_networks_and_lifts_them() {
    let net = Net::new();
    let agent = Agent::start(&net, &["--mode", "enforce"]);
    agent.tell(&["block", "add", "198.18.0.64/26", "--ttl", "1m", "--reason", "by hand"]);
    assert_eq!(delivered(&net, ATTACKER, 3), 0);
    assert_eq!(delivered(&net, FRIEND, 3), 3);
    let block = agent.block("198.18.0.64/26").expect("listed");
    assert_eq!((&block["origin"], &block["reason"]), (&"operator".into(), &"by hand".into()));
    agent.tell(&["block", "remove", "198.18.0.64/26"]);
    assert_eq!(delivered(&net, ATTACKER, 3), 3);
    let again = agent.ask(&["block", "remove", "198.18.0.64/26"]);
    assert_eq!(again.status.code(), Some(1), "there is nothing to lift");
}

#[test]
fn rate_limit_lets_so_many_packets_pass() {
    let net = Net::new();
    let agent = Agent::start(&net, &["--mode", "enforce"]);
    agent.tell(&["block", "add", ATTACKER, "--action", "rate-limit", "--limit", "5"]);
    let server = crate::harness::traffic::listen(&net, ATTACKER);
    let peer = crate::harness::traffic::peer(&net, ATTACKER);
    let to = server.local_addr().unwrap();
    for _ in 0..100 {
        peer.send_to(b"x", to).unwrap();
    }
    let mut buffer = [0; 8];
    let arrived = std::iter::from_fn(|| server.recv(&mut buffer).ok()).count();
    // The limit counts by the second; the burst may lie across two of them.
    assert!((5..=10).contains(&arrived), "{arrived} of 100 packets passed a limit of 5 per second");
}

#[test]
fn more_blocks_than_fit_a_message_are_listed() {
    let net = Net::new();
    let agent = Agent::start(&net, &[]);
    let targets: Vec<String> = (0..12_000).map(|i| format!("198.19.{}.{}", i / 250, 1 + i % 250)).collect();
    let reason = "far more than four megabytes of reasons ".repeat(9);
    let words = ["block", "add", "--reason", &reason];
    agent.tell(&words.into_iter().chain(targets.iter().map(String::as_str)).collect::<Vec<_>>());
    let listed = agent.json(&["block", "list"]);
    assert!(listed.to_string().len() > 4 << 20);
    let mut found: Vec<_> = listed.as_array().unwrap().iter().map(|block| block["target"].as_str().unwrap()).collect();
    found.sort_unstable();
    let mut targets: Vec<_> = targets.iter().map(String::as_str).collect();
    targets.sort_unstable();
    assert_eq!(found, targets);
}
