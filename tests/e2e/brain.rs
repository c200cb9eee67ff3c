//! The brain may go and come: enforcement and counting do not wait for it.

use std::time::Duration;

use ganglion_proto::v1::Outcome;

use crate::harness::net::{ATTACKER, FRIEND};
use crate::harness::traffic::{delivered, scan};
use crate::harness::{Agent, FakeBrain, Net, eventually};

#[test]
fn without_a_brain_enforcement_and_counting_go_on_and_with_it_verdicts_resume() {
    let net = Net::new();
    let socket = net.file("brain.sock");
    let mut brain = FakeBrain::listen(&socket);
    let agent = Agent::start(&net, &["--mode", "enforce", "--brain", socket.to_str().unwrap()]);
    let hello = brain.connected();
    assert_eq!(hello.record_version, u32::from(ganglion_flow::record::VERSION));
    assert!(!hello.own_addresses.is_empty(), "{hello:?}");
    let id = brain.condemn(ATTACKER, Duration::from_secs(60));
    assert_eq!(brain.outcome(&id).0, Outcome::Enforced);

    drop(brain);
    eventually("the sensor notices", Duration::from_secs(10), || agent.status()["brain_connected"] == false);
    let seen = agent.counter("seen");
    assert_eq!(delivered(&net, ATTACKER, 5), 0);
    assert_eq!(delivered(&net, FRIEND, 5), 5);
    assert!(agent.counter("seen") >= seen + 10);
    // More records than anybody takes: they are shed by reason, or wait; never lost in silence.
    scan(&net, FRIEND, 3000..3400);
    agent.assert_nothing_is_lost();

    let mut brain = FakeBrain::listen(&socket);
    brain.connected();
    scan(&net, FRIEND, 3400..3600);
    brain.source(FRIEND);
    let id = brain.condemn(FRIEND, Duration::from_secs(60));
    assert_eq!(brain.outcome(&id).0, Outcome::Enforced);
    assert_eq!(delivered(&net, FRIEND, 3), 0);
    assert!(brain.records() > 0);
}

#[test]
fn a_brain_of_another_record_version_is_named_and_enforcement_goes_on() {
    let net = Net::new();
    let socket = net.file("brain.sock");
    let other = u32::from(ganglion_flow::record::VERSION) + 1;
    let _brain = FakeBrain::of_version(&socket, other);
    let agent = Agent::start(&net, &["--mode", "enforce", "--brain", socket.to_str().unwrap()]);
    eventually("the log names the version", Duration::from_secs(10), || {
        agent.log().contains(&format!("this brain reads {other}"))
    });
    agent.tell(&["block", "add", ATTACKER]);
    assert_eq!(delivered(&net, ATTACKER, 3), 0);
    assert_eq!(agent.status()["brain_connected"], false);
}
