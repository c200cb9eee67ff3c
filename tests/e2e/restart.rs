//! Restart changes nothing: blocks and counters go on, whatever ends the sensor.

use crate::harness::net::{ATTACKER, FRIEND, SERVER, ip};
use crate::harness::traffic::{Flood, delivered};
use crate::harness::{Agent, FakeBrain, Net, eventually};

use std::time::Duration;

use ganglion_proto::v1::Outcome;

#[test]
fn kill_9_under_attack_keeps_drops_going_and_a_restart_picks_everything_up() {
    let net = Net::new();
    let agent = Agent::start(&net, &["--mode", "enforce"]);
    agent.tell(&["block", "add", ATTACKER, "--ttl", "forever", "--reason", "flood"]);
    agent.tell(&["block", "add", "198.18.7.0/24", "--ttl", "10m"]);
    agent.tell(&["allow", "add", "198.18.9.0/24"]);
    let flood = Flood::start(&net, ATTACKER);
    eventually("the flood is dropped", Duration::from_secs(5), || agent.counter("drop_block") > 200);
    let (dropped, seen) = (agent.counter("drop_block"), agent.counter("seen"));

    agent.kill();
    assert_eq!(delivered(&net, ATTACKER, 10), 0, "nobody is there, and the attacker is still dropped");
    assert_eq!(delivered(&net, FRIEND, 10), 10);

    let agent = Agent::start(&net, &["--mode", "enforce"]);
    let block = agent.block(ATTACKER).expect("the block is known again");
    assert!(block["remaining_ms"].is_null(), "for ever still: {block:#}");
    assert_eq!((block["reason"].as_str(), block["origin"].as_str()), (Some("flood"), Some("operator")));
    assert!(block["dropped"].as_u64().unwrap() > dropped, "hits went on in between: {block:#}");
    assert!(agent.block("198.18.7.0/24").is_some());
    assert!(agent.json(&["allow", "list"]).as_array().unwrap().iter().any(|e| e["target"] == "198.18.9.0/24"));
    assert!(agent.counter("seen") > seen, "counters went on, they did not begin anew");
    assert_eq!(delivered(&net, ATTACKER, 3), 0);
    drop(flood);
    agent.assert_nothing_is_lost();
}

#[test]
fn kill_9_keeps_why_a_verdict_stands() {
    let net = Net::new();
    let socket = net.file("brain.sock");
    let mut brain = FakeBrain::listen(&socket);
    let agent = Agent::start(&net, &["--brain", socket.to_str().unwrap()]);
    brain.connected();
    let drop = brain.condemn(ATTACKER, Duration::from_secs(600));
    let limit = brain.limit_new_flows(SERVER, 100, Duration::from_secs(600));
    assert_eq!((brain.outcome(&drop).0, brain.outcome(&limit).0), (Outcome::WouldEnforce, Outcome::WouldEnforce));
    agent.kill();

    let agent = Agent::start(&net, &[]);
    for (target, id, action) in [(ATTACKER, drop, "drop"), (SERVER, limit, "limit-new-flows")] {
        let block = agent.block(target).expect("the rule is known again");
        assert_eq!(block["verdict_id"], id.as_str(), "{block:#}");
        assert_eq!((&block["action"], &block["class"]), (&action.into(), &"PortScan".into()), "{block:#}");
        assert_eq!((&block["reason"], &block["origin"]), (&"the test says so".into(), &"verdict".into()));
    }
}

#[test]
fn tables_of_another_size_keep_rules_and_their_reasons() {
    let net = Net::new();
    let agent = Agent::start(&net, &["--mode", "enforce"]);
    agent.tell(&["block", "add", ATTACKER, "--ttl", "forever", "--reason", "by hand"]);
    agent.kill();
    for rules in [512, 1024] {
        let settings = net.file("sensor.yaml");
        std::fs::write(&settings, format!("tables:\n  rules: {rules}\n")).unwrap();
        let agent = Agent::start(&net, &["--mode", "enforce", "--config", settings.to_str().unwrap()]);
        let block = agent.block(ATTACKER).expect("the rule moved");
        assert_eq!((&block["reason"], &block["origin"]), (&"by hand".into(), &"operator".into()));
        assert_eq!(delivered(&net, ATTACKER, 3), 0);
    }
}

#[test]
fn a_protection_that_is_switched_off_leaves_no_exemption() {
    let net = Net::new();
    let needed = |agent: &Agent| {
        let allowed = agent.json(&["allow", "list"]);
        allowed.as_array().unwrap().iter().filter(|entry| entry["origin"] == "infrastructure").count()
    };
    ip(&["-n", &net.server(), "route", "add", "default", "via", FRIEND]);
    let agent = Agent::start(&net, &[]);
    assert!(needed(&agent) > 0, "the gateway's DHCP is exempt");
    agent.kill();
    let settings = net.file("sensor.yaml");
    std::fs::write(&settings, "protect_infrastructure: false\n").unwrap();
    let agent = Agent::start(&net, &["--config", settings.to_str().unwrap()]);
    assert_eq!(needed(&agent), 0);
}

#[test]
fn an_expired_block_does_not_block_with_userspace_dead() {
    let net = Net::new();
    let agent = Agent::start(&net, &["--mode", "enforce"]);
    agent.tell(&["block", "add", ATTACKER, "--ttl", "2s"]);
    agent.kill();
    assert_eq!(delivered(&net, ATTACKER, 3), 0);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(delivered(&net, ATTACKER, 3), 3);
}

#[test]
fn a_clean_end_leaves_enforcement_and_detach_takes_it_off() {
    let net = Net::new();
    let agent = Agent::start(&net, &["--mode", "enforce"]);
    agent.tell(&["block", "add", ATTACKER]);
    assert!(agent.stop().success());
    assert!(!net.file("sensor.sock").exists(), "the socket goes with its sensor");
    assert_eq!(delivered(&net, ATTACKER, 3), 0);

    let mut detach = net.on_server(crate::harness::ganglion());
    detach.args(["detach", "--interface", crate::harness::net::WATCHED, "--pin-dir"]).arg(net.pins());
    let output = detach.output().unwrap();
    assert!(output.status.success(), "{}", crate::harness::said(&output));
    assert_eq!(delivered(&net, ATTACKER, 3), 3);
}

#[test]
fn a_sensor_that_detaches_on_exit_leaves_nothing() {
    let net = Net::new();
    let agent = Agent::start(&net, &["--mode", "enforce", "--detach-on-exit"]);
    agent.tell(&["block", "add", ATTACKER]);
    assert_eq!(delivered(&net, ATTACKER, 3), 0);
    assert!(agent.stop().success());
    assert_eq!(delivered(&net, ATTACKER, 3), 3);
}
