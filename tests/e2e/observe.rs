//! The default drops nothing, and says what it would have dropped.

use std::time::Duration;

use ganglion_proto::v1::Outcome;

use crate::harness::net::ATTACKER;
use crate::harness::traffic::{delivered, scan};
use crate::harness::{Agent, FakeBrain, Net};

#[test]
fn observe_drops_nothing() {
    let net = Net::new();
    let socket = net.file("brain.sock");
    let mut brain = FakeBrain::listen(&socket);
    let agent = Agent::start(&net, &["--brain", socket.to_str().unwrap()]);
    brain.connected();
    scan(&net, ATTACKER, 2000..2100);
    let id = brain.condemn(ATTACKER, Duration::from_secs(60));
    assert_eq!(brain.outcome(&id).0, Outcome::WouldEnforce);
    agent.tell(&["block", "add", "198.18.0.64/26"]);

    assert_eq!(delivered(&net, ATTACKER, 20), 20);
    let would_drop = agent.counter("would_drop");
    assert!(would_drop >= 20, "{would_drop}");
    for dropped in ["drop_block", "drop_block_net", "drop_verdict", "drop_rate", "drop_new_flow"] {
        assert_eq!(agent.counter(dropped), 0, "{dropped}");
    }
    agent.assert_nothing_is_lost();
}

#[test]
fn promotion_to_enforce_and_back_takes_effect_at_once() {
    let net = Net::new();
    let agent = Agent::start(&net, &[]);
    agent.tell(&["block", "add", ATTACKER]);
    assert_eq!(delivered(&net, ATTACKER, 3), 3);
    agent.tell(&["mode", "enforce"]);
    assert_eq!(delivered(&net, ATTACKER, 3), 0);
    agent.tell(&["mode", "observe"]);
    assert_eq!(delivered(&net, ATTACKER, 3), 3);
}
