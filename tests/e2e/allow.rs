//! An exemption wins over every block, whoever made it.

use std::time::Duration;

use ganglion_proto::v1::Outcome;

use crate::harness::net::{ATTACKER, SERVER};
use crate::harness::traffic::{delivered, scan};
use crate::harness::{Agent, FakeBrain, Net};

#[test]
fn allow_listed_attacker_is_never_blocked() {
    let net = Net::new();
    let socket = net.file("brain.sock");
    let mut brain = FakeBrain::listen(&socket);
    let agent = Agent::start(&net, &["--mode", "enforce", "--brain", socket.to_str().unwrap()]);
    brain.connected();
    agent.tell(&["allow", "add", ATTACKER, "--comment", "our own scanner"]);
    scan(&net, ATTACKER, 2000..2150);

    let id = brain.condemn(ATTACKER, Duration::from_secs(60));
    let (outcome, detail) = brain.outcome(&id);
    assert_eq!(outcome, Outcome::Refused, "{detail}");
    assert!(!detail.is_empty(), "a refusal says why");
    assert_eq!(delivered(&net, ATTACKER, 5), 5);
    let by_hand = agent.ask(&["block", "add", ATTACKER]);
    assert_eq!(by_hand.status.code(), Some(6), "{}", crate::harness::said(&by_hand));

    agent.tell(&["allow", "remove", ATTACKER]);
    let id = brain.condemn(ATTACKER, Duration::from_secs(60));
    assert_eq!(brain.outcome(&id).0, Outcome::Enforced);
    assert_eq!(delivered(&net, ATTACKER, 5), 0, "without the exemption the same verdict drops");
}

#[test]
fn an_exemption_wins_over_an_existing_block_at_once() {
    let net = Net::new();
    let agent = Agent::start(&net, &["--mode", "enforce"]);
    agent.tell(&["block", "add", "198.18.0.64/26", "--ttl", "1m"]);
    assert_eq!(delivered(&net, ATTACKER, 3), 0);
    agent.tell(&["allow", "add", ATTACKER]);
    assert_eq!(delivered(&net, ATTACKER, 5), 5);
}

#[test]
fn the_machines_own_address_is_never_blocked() {
    let net = Net::new();
    let agent = Agent::start(&net, &["--mode", "enforce"]);
    let refused = agent.ask(&["block", "add", SERVER]);
    assert_eq!(refused.status.code(), Some(6), "{}", crate::harness::said(&refused));
}
