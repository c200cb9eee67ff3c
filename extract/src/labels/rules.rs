//! The file of rules.

use serde::Deserialize;

use jiff::tz::TimeZone;

use super::MAX_RULES;
use super::index::{Form, Ranges};
use super::value::{Many, Network, One, Ports, Protocol, Time, zone};

/// Longest label, in bytes.
const MAX_LABEL_BYTES: usize = 200;

/// All of it, checked.
pub(super) struct Rules {
    pub(super) default: String,
    pub(super) rules: Vec<Rule>,
}

/// A rule.
pub(super) struct Rule {
    /// What messages call it.
    pub(super) title: String,
    pub(super) label: String,
    pub(super) attempted: Option<String>,
    /// One for each way in which either end can be meant.
    pub(super) forms: Vec<Form>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    timezone: Option<String>,
    default: Option<String>,
    rules: Vec<WrittenRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    name: Option<String>,
    label: String,
    attempted: Option<String>,
    from: Option<One<Time>>,
    to: Option<One<Time>>,
    src: Option<Many<Network>>,
    dst: Option<Many<Network>>,
    host: Option<Many<Network>>,
    peer: Option<Many<Network>>,
    src_port: Option<Many<Ports>>,
    dst_port: Option<Many<Ports>>,
    port: Option<Many<Ports>>,
    protocol: Option<Many<Protocol>>,
}

/// Reads the text of a file; a message where it is none.
pub(super) fn read(text: &str) -> Result<Rules, String> {
    let written: Written = serde_yaml_ng::from_str(text).map_err(|error| by_number(&error.to_string()))?;
    let count = written.rules.len();
    if count > MAX_RULES {
        return Err(format!("{count} rules; {MAX_RULES} are read at most"));
    }
    let zone = zone(written.timezone.as_deref().unwrap_or("UTC"))?;
    let default = written.default.unwrap_or_else(|| "BENIGN".to_owned());
    check_label("default", &default)?;
    let rule = |(at, rule): (usize, WrittenRule)| {
        let title = title(at, rule.name.as_deref());
        rule.checked(at, title.clone(), &zone).map_err(|what| format!("{title}: {what}"))
    };
    Ok(Rules { default, rules: written.rules.into_iter().enumerate().map(rule).collect::<Result<_, _>>()? })
}

/// Rules are counted from 1; the parser's messages count them from 0.
fn by_number(message: &str) -> String {
    let number = |message: &str| {
        let (number, rest) = message.strip_prefix("rules[")?.split_once(']')?;
        Some(format!("rule {}{}", number.parse::<usize>().ok()? + 1, rest.replacen('.', ", ", 1)))
    };
    number(message).unwrap_or_else(|| message.to_owned())
}

fn title(at: usize, name: Option<&str>) -> String {
    let number = at + 1;
    name.map_or_else(|| format!("rule {number}"), |name| format!("rule {number} ({name})"))
}

fn check_label(key: &str, label: &str) -> Result<(), String> {
    if label.is_empty() || label.len() > MAX_LABEL_BYTES || label.contains(char::is_control) {
        return Err(format!("{key}: a label has 1 to {MAX_LABEL_BYTES} bytes, and no line breaks"));
    }
    Ok(())
}

impl WrittenRule {
    fn checked(self, rule: usize, title: String, zone: &TimeZone) -> Result<Rule, String> {
        check_label("label", &self.label)?;
        self.attempted.as_deref().map_or(Ok(()), |label| check_label("attempted", label))?;
        if self.is_without_conditions() {
            return Err("has no condition, so it would match everything; that is what `default` is for".into());
        }
        if self.peer.is_some() && self.host.is_none() {
            return Err("peer: needs host, the other end".into());
        }
        if self.host.is_some() && (self.src.is_some() || self.dst.is_some()) {
            return Err("host: is either end; write src and dst, or host and peer".into());
        }
        if self.port.is_some() && (self.src_port.is_some() || self.dst_port.is_some()) {
            return Err("port: is either end's; write src_port and dst_port, or port".into());
        }
        let time_us = self.times(zone)?;
        Ok(Rule { title, forms: self.forms(rule, time_us), label: self.label, attempted: self.attempted })
    }

    fn is_without_conditions(&self) -> bool {
        let places = [&self.src, &self.dst, &self.host, &self.peer].iter().all(|key| key.is_none());
        let ports = [&self.src_port, &self.dst_port, &self.port].iter().all(|key| key.is_none());
        places && ports && self.from.is_none() && self.to.is_none() && self.protocol.is_none()
    }

    fn times(&self, zone: &TimeZone) -> Result<Ranges<i64>, String> {
        let us = |key: &str, time: &Option<One<Time>>| {
            let us = time.as_ref().map(|One(time)| time.us(zone).map_err(|error| format!("{key}: {error}")));
            us.transpose()
        };
        match (us("from", &self.from)?, us("to", &self.to)?) {
            (None, None) => Ok(None),
            (Some(from), Some(to)) if from >= to => Err("to: is not after from".into()),
            (from, to) => {
                let last = to.map_or(i64::MAX, |to| to.saturating_sub(1));
                Ok(Some(std::iter::once(from.unwrap_or(i64::MIN)..=last).collect()))
            }
        }
    }

    /// Source and destination in every order that is meant.
    fn forms(&self, rule: usize, time_us: Ranges<i64>) -> Vec<Form> {
        let networks = |key: &Option<Many<Network>>| {
            key.as_ref().map(|Many(all)| all.iter().map(|Network(range)| range.clone()).collect::<Vec<_>>())
        };
        let ports = |key: &Option<Many<Ports>>| {
            key.as_ref().map(|Many(all)| all.iter().map(|Ports(range)| range.clone()).collect::<Vec<_>>())
        };
        let protocol = self.protocol.as_ref().map(|Many(all)| all.iter().map(|Protocol(one)| *one..=*one).collect());
        let ends = match (&self.host, &self.peer) {
            (None, _) => vec![(networks(&self.src), networks(&self.dst))],
            (host, peer) => vec![(networks(host), networks(peer)), (networks(peer), networks(host))],
        };
        let port_ends = match &self.port {
            None => vec![(ports(&self.src_port), ports(&self.dst_port))],
            port => vec![(ports(port), None), (None, ports(port))],
        };
        let mut forms = Vec::with_capacity(ends.len() * port_ends.len());
        for (src, dst) in ends {
            for (src_port, dst_port) in &port_ends {
                forms.push(Form {
                    rule,
                    time_us: time_us.clone(),
                    src: src.clone(),
                    dst: dst.clone(),
                    src_port: src_port.clone(),
                    dst_port: dst_port.clone(),
                    protocol: Clone::clone(&protocol),
                });
            }
        }
        forms
    }
}
