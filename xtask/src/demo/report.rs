//! The demo's result: a table for people, JSON for programs, an error when a promise was not kept.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::judge::Verdict;
use super::records::Recording;
use super::watch::Seen;
use crate::lab::benign::BenignTally;
use crate::lab::host::{Host, Role};

/// Of ten listed attacks so many may go undetected.
const MISSES: usize = 2;

/// Everything the demo found.
pub(super) struct Report {
    seed: u64,
    attacks: Vec<Verdict>,
    clients: usize,
    flows: usize,
    sessions: u64,
    blocked: Vec<String>,
    status: Value,
}

impl Report {
    pub(super) fn new(
        seed: u64,
        attacks: Vec<Verdict>,
        benign: BenignTally,
        hosts: &[Host],
        seen: &Seen,
        recording: &Recording,
        status: &Value,
    ) -> Self {
        let peaceful: Vec<IpAddr> = hosts
            .iter()
            .filter(|host| matches!(host.role, Role::Client | Role::Mirror | Role::Neighbour))
            .flat_map(|host| [IpAddr::V4(host.v4), IpAddr::V6(host.v6)])
            .collect();
        Self {
            seed,
            attacks,
            clients: benign.clients,
            sessions: benign.sessions,
            flows: recording.flows(|addr| peaceful.contains(&addr)),
            blocked: blocked(&peaceful, seen),
            status: status["sensor"].clone(),
        }
    }

    fn lost(&self) -> u64 {
        let shed = self.status["shed"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64());
        self.status["counters"]["records_lost"].as_u64().unwrap_or(0) + shed.sum::<u64>()
    }

    fn balances(&self, equation: &str) -> bool {
        self.status["equations"][equation]["difference"].as_i64() == Some(0)
    }

    /// The final table.
    pub(super) fn table(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{:<14} {:<11} {:<13} {:<13} {:>5} {:>11} {:>10}",
            "attack", "label", "tool", "seen as", "conf", "1st drop", "dropped"
        );
        for verdict in &self.attacks {
            let _ = writeln!(out, "{}", line(verdict));
        }
        let _ = writeln!(
            out,
            "\nbenign   {} clients, {} sessions, {} flows; blocked: {}",
            self.clients,
            self.sessions,
            self.flows,
            if self.blocked.is_empty() { "none".to_owned() } else { self.blocked.join(", ") }
        );
        let counters = &self.status["counters"];
        let _ = writeln!(
            out,
            "sensor   mode {}, {} packets, {} records, {} lost",
            self.status["mode"].as_str().unwrap_or("?"),
            counters["seen"],
            counters["records"],
            self.lost()
        );
        for name in ["packets", "records"] {
            let _ = writeln!(out, "{name:<8} {}", self.equation(name));
        }
        out.trim_end().to_owned()
    }

    fn equation(&self, name: &str) -> String {
        let equation = &self.status["equations"][name];
        let terms = equation["terms"].as_object().into_iter().flatten();
        let terms: Vec<String> = terms
            .filter(|(_, n)| n.as_u64().is_some_and(|n| n > 0))
            .map(|(name, n)| format!("{n} {}", name.replace('_', " ")))
            .collect();
        let verdict =
            if self.balances(name) { "balances".to_owned() } else { format!("OFF BY {}", equation["difference"]) };
        format!("{} = {}   ({verdict})", equation["left"], terms.join(" + "))
    }

    pub(super) fn write_json(&self, path: &Path) -> Result<()> {
        let attacks: Vec<Value> = self
            .attacks
            .iter()
            .map(|v| {
                json!({
                    "name": v.run.name, "label": format!("{:?}", v.run.class), "tool": v.run.tool,
                    "settings": v.run.settings, "detected": v.detected, "class": v.class,
                    "confidence": v.confidence, "time_to_block_ms": v.time_to_block_ms(), "kernel_drops": v.kernel_drops,
                })
            })
            .collect();
        let whole = json!({
            "seed": self.seed,
            "attacks": attacks,
            "benign": { "clients": self.clients, "sessions": self.sessions, "flows": self.flows,
                        "blocked": self.blocked.len(), "blocked_hosts": self.blocked },
            "sensor": {
                "mode": self.status["mode"], "packets": self.status["counters"]["seen"],
                "records": self.status["counters"]["records"], "records_lost": self.lost(),
                "equations": {
                    "packets": { "balances": self.balances("packets"), "of": self.status["equations"]["packets"] },
                    "records": { "balances": self.balances("records"), "of": self.status["equations"]["records"] },
                },
            },
        });
        let text = serde_json::to_string_pretty(&whole)?;
        std::fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
    }

    /// An error that names every promise that was not kept.
    pub(super) fn check(&self) -> Result<()> {
        let mut broken = Vec::new();
        let missed: Vec<&str> = self.attacks.iter().filter(|v| !v.detected).map(|v| v.run.name.as_str()).collect();
        if missed.len() > MISSES.min(self.attacks.len().saturating_sub(1)) {
            broken.push(format!("not detected: {}", missed.join(", ")));
        }
        if self.status["mode"] == "enforce" {
            let passed = self.attacks.iter().filter(|v| v.detected && v.must_drop() && v.kernel_drops == 0);
            broken.extend(passed.map(|v| format!("{} was detected and not dropped", v.run.name)));
        }
        if !self.blocked.is_empty() {
            broken.push(format!("benign hosts blocked: {}", self.blocked.join(", ")));
        }
        if self.lost() > 0 {
            broken.push(format!("{} records lost", self.lost()));
        }
        for name in ["packets", "records"] {
            if !self.balances(name) {
                broken.push(format!("the {name} equation does not balance"));
            }
        }
        if broken.is_empty() { Ok(()) } else { bail!("{}", broken.join("; ")) }
    }
}

fn line(verdict: &Verdict) -> String {
    let class = match (&verdict.class, verdict.detected) {
        (Some(class), true) => class.clone(),
        (Some(class), false) => format!("{class} (!)"),
        (None, _) => "nothing".to_owned(),
    };
    let confidence = verdict.confidence.map_or("-".to_owned(), |c| format!("{:.0} %", c * 100.0));
    let time = verdict.time_to_block_ms().map_or("-".to_owned(), |ms| format!("{ms:.0} ms"));
    let tool =
        serde_json::to_value(verdict.run.tool).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    format!(
        "{:<14} {:<11} {tool:<13} {class:<13} {confidence:>5} {time:>11} {:>10}",
        verdict.run.name,
        format!("{:?}", verdict.run.class),
        verdict.kernel_drops
    )
}

/// Benign hosts that a rule hit, or would have.
fn blocked(peaceful: &[IpAddr], seen: &Seen) -> Vec<String> {
    let mut hit = BTreeSet::new();
    let actions = seen.events.iter().filter(|heard| heard.event["kind"] == "action");
    let acted = actions.filter(|heard| heard.event["outcome"].as_str().is_some_and(|o| o.contains("enforce")));
    let targets = acted.filter_map(|heard| heard.event["target"].as_str());
    for target in targets.chain(seen.rules.values().map(|rule| rule.target.as_str())) {
        let addresses = target.split(|c: char| !(c.is_ascii_hexdigit() || c == '.' || c == ':'));
        for word in addresses {
            let bare = word.rsplit_once(':').map_or(word, |(host, _)| host);
            for text in [word, bare] {
                if let Ok(addr) = text.parse::<IpAddr>()
                    && peaceful.contains(&addr)
                {
                    hit.insert(addr.to_string());
                }
            }
        }
    }
    hit.into_iter().collect()
}
