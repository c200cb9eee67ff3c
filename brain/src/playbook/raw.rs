//! The file as it is written. Checks happen while reading, so that errors know their line.

use super::{Benign, Rule};
use crate::class;
use ganglion_proto::v1::{Action, TrafficClass};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// Whose evidence a rule adds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubjectName {
    /// The remote party of the flows.
    Source,
    /// The address that flows arrive at, whoever sends them.
    Destination,
}

/// What a rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionName {
    /// Drop every packet of the address.
    Drop,
    /// Let so many packets per second of the address pass.
    RateLimit,
    /// Let so many new flows per second towards the address pass.
    LimitNewFlows,
    /// Drop the flow alone, never the address.
    DropFlow,
    /// Tell people, touch nothing.
    Alert,
}

impl ActionName {
    /// What the sensor is asked for.
    pub fn action(self) -> Action {
        match self {
            Self::Drop | Self::DropFlow => Action::Drop,
            Self::RateLimit => Action::RateLimit,
            Self::LimitNewFlows => Action::LimitNewFlows,
            Self::Alert => Action::Observe,
        }
    }

    /// As in the file and in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::RateLimit => "rate-limit",
            Self::LimitNewFlows => "limit-new-flows",
            Self::DropFlow => "drop-flow",
            Self::Alert => "alert",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Playbook {
    #[serde(deserialize_with = "version")]
    #[allow(dead_code, reason = "checked while reading")]
    version: u64,
    name: String,
    #[serde(default)]
    benign: BenignRaw,
    rules: Vec<RuleChecked>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BenignRaw {
    #[serde(deserialize_with = "positive")]
    per_flow: f64,
    #[serde(deserialize_with = "positive")]
    at_most: f64,
    half_life: Duration,
    #[serde(deserialize_with = "at_least_one")]
    proven_by: u32,
    proven_for: Duration,
    #[serde(deserialize_with = "at_least_one")]
    limit_per_second: u32,
}

impl Default for BenignRaw {
    fn default() -> Self {
        Self {
            per_flow: 0.1,
            at_most: 3.0,
            half_life: Duration(60_000_000),
            proven_by: 3,
            proven_for: Duration(600_000_000),
            limit_per_second: 1_000,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleRaw {
    classes: Vec<ClassName>,
    #[serde(default = "source")]
    subject: SubjectName,
    #[serde(deserialize_with = "share")]
    min_confidence: f32,
    #[serde(deserialize_with = "positive")]
    evidence: f64,
    #[serde(default)]
    clear: Option<f64>,
    window: Duration,
    #[serde(default = "two")]
    min_flows: u32,
    #[serde(default)]
    min_sources: u32,
    #[serde(default = "a_quarter", deserialize_with = "share")]
    min_share: f32,
    action: ActionName,
    #[serde(default)]
    single_flow: bool,
    ttl: Duration,
    #[serde(default)]
    limit_per_second: u32,
    #[serde(default = "ten_seconds")]
    cooldown: Duration,
}

#[derive(Deserialize)]
#[serde(try_from = "RuleRaw")]
struct RuleChecked(Rule);

struct ClassName(TrafficClass);

/// Microseconds, written "250ms", "10s", "5m" or "2h".
#[derive(Clone, Copy)]
struct Duration(u64);

/// Distinct initiators are counted among the kept pieces of evidence.
const MOST_SOURCES: u32 = 64;

impl TryFrom<RuleRaw> for RuleChecked {
    type Error = String;

    fn try_from(raw: RuleRaw) -> Result<Self, String> {
        let clear = raw.clear.unwrap_or(raw.evidence / 2.0);
        sense(&raw, clear)?;
        Ok(Self(Rule {
            classes: raw.classes.iter().map(|class| class.0).collect(),
            subject: raw.subject,
            min_confidence: raw.min_confidence,
            evidence: raw.evidence,
            clear,
            window_us: raw.window.0,
            min_flows: raw.min_flows,
            min_sources: raw.min_sources,
            min_share: raw.min_share.into(),
            action: raw.action,
            single_flow: raw.single_flow || raw.action == ActionName::DropFlow,
            ttl_us: raw.ttl.0,
            limit_per_second: raw.limit_per_second,
            cooldown_us: raw.cooldown.0,
        }))
    }
}

/// Whether the keys of a rule go together.
fn sense(raw: &RuleRaw, clear: f64) -> Result<(), String> {
    let limits = matches!(raw.action, ActionName::RateLimit | ActionName::LimitNewFlows);
    let towards = raw.subject == SubjectName::Destination;
    if raw.classes.is_empty() {
        return Err("`classes` names no class".into());
    }
    if raw.classes.iter().any(|class| class.0 == TrafficClass::Benign) {
        return Err("`classes` may not hold \"benign\": benign traffic gets no verdict".into());
    }
    if raw.classes.len() > 1 && raw.classes.iter().any(|class| class.0 == TrafficClass::Unknown) {
        return Err("`classes` holds \"unknown\" beside others: give it a rule of its own".into());
    }
    if !(clear > 0.0 && clear < raw.evidence) {
        return Err(format!("`clear` must lie between 0 and `evidence` ({})", raw.evidence));
    }
    if limits != (raw.limit_per_second > 0) {
        return Err(format!(
            "`limit_per_second` belongs to the limiting actions, and only there: action is \
                            \"{}\", limit is {}",
            raw.action.label(),
            raw.limit_per_second
        ));
    }
    if towards && !matches!(raw.action, ActionName::LimitNewFlows | ActionName::Alert) {
        return Err("`action` of a rule on destinations is \"limit-new-flows\" or \"alert\"".into());
    }
    if !towards && raw.action == ActionName::LimitNewFlows {
        return Err("`action` \"limit-new-flows\" needs `subject: destination`".into());
    }
    if raw.min_flows < 2 && !matches!(raw.action, ActionName::Alert | ActionName::DropFlow) {
        return Err("`min_flows` must be 2 at least: one odd flow never blocks a host".into());
    }
    if raw.min_sources > MOST_SOURCES {
        return Err(format!("`min_sources` may be {MOST_SOURCES} at most"));
    }
    Ok(())
}

impl From<Playbook> for super::Playbook {
    fn from(raw: Playbook) -> Self {
        Self {
            name: raw.name,
            benign: Benign {
                per_flow: raw.benign.per_flow,
                at_most: raw.benign.at_most,
                half_life_us: raw.benign.half_life.0,
                proven_by: raw.benign.proven_by,
                proven_for_us: raw.benign.proven_for.0,
                limit_per_second: raw.benign.limit_per_second,
            },
            rules: raw.rules.into_iter().map(|rule| rule.0).collect(),
        }
    }
}

impl<'de> Deserialize<'de> for ClassName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        class::from_label(&text).map(Self).ok_or_else(|| {
            let known = class::ALL.map(class::label).join(", ");
            D::Error::custom(format!("unknown class \"{text}\", there are {known}"))
        })
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Duration;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a duration such as 250ms, 10s, 5m or 2h, from 1ms to 24h")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
                duration(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        from.deserialize_any(Text)
    }
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let unit_us = match unit {
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        _ => return None,
    };
    let us = number.parse::<u64>().ok()?.checked_mul(unit_us)?;
    (1_000..=24 * 3_600_000_000).contains(&us).then_some(Duration(us))
}

fn version<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let version = u64::deserialize(from)?;
    if version == 1 { Ok(1) } else { Err(D::Error::custom(format!("playbook of version {version}, 1 is due"))) }
}

fn positive<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let number = f64::deserialize(from)?;
    if number.is_finite() && number > 0.0 {
        Ok(number)
    } else {
        Err(D::Error::custom(format!("{number} is no positive number")))
    }
}

fn at_least_one<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let number = u32::deserialize(from)?;
    if number > 0 { Ok(number) } else { Err(D::Error::custom("0 where 1 is the least")) }
}

fn share<'de, D: Deserializer<'de>>(from: D) -> Result<f32, D::Error> {
    let number = f32::deserialize(from)?;
    if (0.0..=1.0).contains(&number) {
        Ok(number)
    } else {
        Err(D::Error::custom(format!("{number} is no share between 0 and 1")))
    }
}

fn source() -> SubjectName {
    SubjectName::Source
}

fn two() -> u32 {
    2
}

fn a_quarter() -> f32 {
    0.25
}

fn ten_seconds() -> Duration {
    Duration(10_000_000)
}
