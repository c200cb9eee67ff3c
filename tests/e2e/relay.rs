//! The laboratory's relay, measured with ping in namespaces of its own.

use std::process::Command;

use crate::harness::{root, said};

/// What ping counted and measured.
#[derive(Debug)]
struct Pings {
    sent: u32,
    received: u32,
    least_ms: f64,
    mean_ms: f64,
}

/// One benign session of echo requests, behind `relay`; the seed decides on their number and family.
fn ping(seed: u32, relay: &str) -> Pings {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--package", "xtask", "--", "lab", "session", "ping"]).current_dir(root());
    // The testing range asks most often: more than a hundred and fifty times.
    command.args(["--split", "test", "--seed", &seed.to_string(), "--relay", relay]);
    let output = command.output().unwrap();
    // ping fails when nothing comes back at all.
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = |before: &str, after: &str| -> f64 {
        let (head, _) = text.split_once(after).unwrap_or_else(|| panic!("no `{after}` in {text}"));
        let word = head.rsplit(before).next().unwrap();
        word.trim().parse().unwrap_or_else(|_| panic!("`{word}` in {text}"))
    };
    let (_, times) = text.split_once("mdev = ").unwrap_or_else(|| panic!("no times in {text}"));
    let mut times = times.split('/').map(|word| word.parse::<f64>().unwrap_or(f64::NAN));
    Pings {
        sent: number("\n", " packets transmitted") as u32,
        received: number(" ", " received") as u32,
        least_ms: times.next().unwrap(),
        mean_ms: times.next().unwrap(),
    }
}

#[test]
fn a_round_trip_takes_both_ways_delay() {
    let near = ping(1, "delay=0ms");
    let far = ping(1, "delay=40ms,jitter=5ms");
    println!("{near:?}, {far:?}");
    assert!(near.sent > 150 && near.received == near.sent && far.received == far.sent);
    // 35 ms to 45 ms each way; a busy machine adds, and never takes away.
    assert!(far.least_ms >= 70.0 && (75.0..130.0).contains(&far.mean_ms));
    assert!(near.mean_ms < 35.0);
}

#[test]
fn what_is_lost_is_the_share_that_was_asked_for() {
    let pings = ping(2, "delay=1ms,loss=20%");
    println!("{pings:?}");
    // 36 % of round trips; five deviations of so many trials to both sides.
    let lost = 1.0 - f64::from(pings.received) / f64::from(pings.sent);
    assert!((0.18..0.54).contains(&lost), "{lost}");
}
