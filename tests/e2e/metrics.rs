//! What `/metrics` serves, and whether dashboard and rules ask for nothing else.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::harness::net::{FRIEND, in_namespace};
use crate::harness::traffic::delivered;
use crate::harness::{Agent, Net};

fn scrape(net: &Net, port: u16) -> String {
    in_namespace(&net.server(), move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
}

#[test]
fn metrics_say_what_status_says() {
    let net = Net::new();
    let agent = Agent::start(&net, &["--metrics", "127.0.0.1:9471"]);
    assert_eq!(delivered(&net, FRIEND, 10), 10);
    let text = scrape(&net, 9471);
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    let names: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(names.iter().all(|name| name.starts_with("ganglion_")), "one prefix: {names:?}");
    assert!(names.len() > 5, "{names:?}");
    let seen = text.lines().filter(|line| line.contains("\"seen\"") || line.contains("_seen_")).count();
    assert!(seen > 0, "packets seen are exported:\n{text}");
    drop(agent);
}
