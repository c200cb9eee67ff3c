//! What became of one attack: which class was seen, how surely, how soon, and what the kernel dropped.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::records::Recording;
use super::watch::{Drops, Heard, Seen};
use crate::lab::attack::AttackRun;
use crate::lab::class::Class;
use crate::lab::events::Direction;

/// A verdict may come so long after an attack's last packet and still be about it.
const LATE_NS: u64 = 4_000_000_000;

/// One attack and its outcome.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    pub(super) run: AttackRun,
    /// A verdict in the attack's class named one of its ends.
    pub(super) detected: bool,
    /// The class of the verdicts: the attack's own when there was one, else the most frequent.
    pub(super) class: Option<String>,
    pub(super) confidence: Option<f64>,
    pub(super) kernel_drops: u64,
    first_drop_boot_ns: Option<u64>,
    first_packet_boot_ns: Option<u64>,
}

impl Verdict {
    /// Holds what was heard against what was done.
    pub(super) fn of(run: AttackRun, seen: &Seen) -> Self {
        let ends = Ends::of(&run);
        let window = run.started_boot_ns..run.ended_boot_ns.saturating_add(LATE_NS);
        let alerts: Vec<&Heard> = seen
            .events
            .iter()
            .filter(|heard| window.contains(&heard.boot_ns) && heard.event["kind"] == "alert")
            .filter(|heard| heard.event["target"].as_str().is_some_and(|target| ends.are_in(target)))
            .collect();
        let right: Vec<&&Heard> = alerts.iter().filter(|heard| is_right(run.class, class(heard))).collect();
        let confidence = |of: &mut dyn Iterator<Item = &Heard>| {
            of.filter_map(|heard| heard.event["confidence"].as_f64()).max_by(f64::total_cmp)
        };
        let (named, confidence) = match right.first() {
            Some(heard) => (Some(class(heard).to_owned()), confidence(&mut right.iter().map(|heard| **heard))),
            None => (most_frequent(&alerts), confidence(&mut alerts.iter().copied())),
        };
        let rules: Vec<&Drops> = seen
            .rules
            .values()
            .filter(|rule| ends.are_in(&rule.target))
            .filter(|rule| rule.first_drop_boot_ns.is_none_or(|ns| window.contains(&ns)))
            .collect();
        Self {
            detected: !right.is_empty(),
            class: named,
            confidence,
            kernel_drops: rules.iter().map(|rule| rule.dropped).sum(),
            first_drop_boot_ns: rules.iter().filter_map(|rule| rule.first_drop_boot_ns).min(),
            first_packet_boot_ns: None,
            run,
        }
    }

    /// Looks the attack's first packet up in the kernel's own records.
    pub(super) fn with_first_packet(mut self, recording: &Recording) -> Self {
        let ends = Ends::of(&self.run);
        self.first_packet_boot_ns = recording.first_packet_ns(self.run.started_boot_ns, |addr| ends.send(addr));
        self
    }

    /// From the attack's first packet to the kernel's first drop, milliseconds.
    pub(super) fn time_to_block_ms(&self) -> Option<f64> {
        let from = self.first_packet_boot_ns.unwrap_or(self.run.started_boot_ns);
        self.first_drop_boot_ns.map(|drop| drop.saturating_sub(from) as f64 / 1e6)
    }

    /// Whether the attack's kind must be dropped in the kernel once detected: floods, scans, brute force.
    pub(super) fn must_drop(&self) -> bool {
        let kind = self.run.name.split('-').next().unwrap_or_default();
        matches!(kind, "scan" | "flood" | "ddos" | "brute")
    }
}

fn class(heard: &Heard) -> &str {
    heard.event["class"].as_str().unwrap_or("Unknown")
}

/// DoS and DDoS are the one allowed pair of neighbours.
fn is_right(label: Class, seen: &str) -> bool {
    let label = format!("{label:?}");
    let flood = |class: &str| class == "DoS" || class == "DDoS";
    label == seen || (flood(&label) && flood(seen))
}

fn most_frequent(alerts: &[&Heard]) -> Option<String> {
    let mut counts = BTreeMap::<&str, usize>::new();
    for heard in alerts {
        *counts.entry(class(heard)).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(class, _)| class.to_owned())
}

/// The addresses that an attack's verdicts may name.
struct Ends<'a> {
    run: &'a AttackRun,
}

impl<'a> Ends<'a> {
    fn of(run: &'a AttackRun) -> Self {
        Self { run }
    }

    /// Whether a verdict's target, an address or a flow, is one of the attack's ends. What comes from everywhere
    /// is answered at its target; what comes from inside, at whom it speaks to or at itself.
    fn are_in(&self, target: &str) -> bool {
        let many = self.run.class == Class::DDoS || self.run.direction == Direction::Out;
        let targets = self.run.targets.iter().filter(|_| many);
        self.run.attackers.iter().chain(targets).any(|addr| mentions(target, *addr))
    }

    /// Whether the address sends the attack's packets.
    fn send(&self, addr: IpAddr) -> bool {
        if self.run.spoofed { !is_host(addr) } else { self.run.attackers.contains(&addr) }
    }
}

/// Whether the laboratory's hosts live there.
fn is_host(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(v4) => matches!(v4.octets(), [198, 18 | 19, 0..4, _]),
        IpAddr::V6(_) => true,
    }
}

/// Whether the address stands in the text as a whole.
fn mentions(text: &str, addr: IpAddr) -> bool {
    let addr = addr.to_string();
    text.match_indices(&addr).any(|(at, found)| {
        let part = |c: char| c.is_ascii_hexdigit() || c == '.';
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        !before.is_some_and(|c| part(c) || c == ':') && !after.is_some_and(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_whole_or_not_at_all() {
        let addr: IpAddr = "198.19.1.1".parse().unwrap();
        assert!(mentions("198.19.1.1", addr));
        assert!(mentions("198.19.1.1:80 > 198.18.0.10:7/tcp", addr));
        assert!(!mentions("198.19.1.10", addr));
        assert!(!mentions("1198.19.1.1", addr));
    }

    #[test]
    fn only_the_floods_are_neighbours() {
        assert!(is_right(Class::DDoS, "DoS"));
        assert!(!is_right(Class::PortScan, "DoS"));
        assert!(is_right(Class::BruteForce, "BruteForce"));
    }
}
