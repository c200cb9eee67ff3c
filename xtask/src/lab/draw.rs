//! Settings drawn from a seed, within ranges that differ between training and testing.
//!
//! In a scenario a draw is a range (`200..400`, both ends included), one value, or a list of either
//! (`[80, 443]`, `[1..9, 20..30]`), each as likely as the next. A setting names one draw per split, or says openly that
//! both use the same one.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, anyhow, bail};
use clap::ValueEnum;
use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Which ranges settings come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Split {
    Train,
    Test,
}

/// One drawn value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Value {
    Number(u64),
    Text(String),
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Draw {
    Between(u64, u64),
    Just(Value),
    OneOf(Vec<Draw>),
}

impl Draw {
    fn draw(&self, rng: &mut impl Rng) -> Result<Value> {
        match self {
            Self::Between(low, high) => Ok(Value::Number(rng.random_range(*low..=*high))),
            Self::Just(value) => Ok(value.clone()),
            Self::OneOf(list) => {
                let index = rng.random_range(0..list.len().max(1));
                list.get(index).ok_or_else(|| anyhow!("an empty list"))?.draw(rng)
            }
        }
    }

    /// Whether no value can come from both.
    fn disjoint(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Between(low, high), Self::Between(from, to)) => high < from || to < low,
            (Self::OneOf(list), other) | (other, Self::OneOf(list)) => list.iter().all(|item| item.disjoint(other)),
            (Self::Just(one), Self::Just(other)) => one != other,
            (Self::Between(low, high), Self::Just(value)) | (Self::Just(value), Self::Between(low, high)) => {
                !matches!(value, Value::Number(number) if (low..=high).contains(&number))
            }
        }
    }

    /// The smallest number that can come out, for checks on scenarios.
    #[cfg(test)]
    pub(crate) fn smallest(&self) -> Option<u64> {
        match self {
            Self::Between(low, _) => Some(*low),
            Self::Just(value) => value.number(),
            Self::OneOf(list) => list.iter().filter_map(Self::smallest).min(),
        }
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
        let Some((low, high)) = text.split_once("..") else {
            return Ok(Self::Just(Value::Text(text.to_owned())));
        };
        let number = |end: &str| end.trim().parse().map_err(|_| format!("`{text}` is no range of whole numbers"));
        let (low, high): (u64, u64) = (number(low)?, number(high)?);
        if low > high {
            return Err(format!("the range {text} runs backwards"));
        }
        Ok(Self::Between(low, high))
    }
}

#[cfg(test)]
impl Value {
    fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Draw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(DrawVisitor)
    }
}

struct DrawVisitor;

impl<'de> Visitor<'de> for DrawVisitor {
    type Value = Draw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a range like 10..20, a list of values, or one value")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> std::result::Result<Draw, E> {
        Ok(one(Draw::Just(Value::Number(number))))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Draw, E> {
        Draw::parse(text).map(one).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Draw, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element()? {
            list.push(match value {
                Value::Text(text) => Draw::parse(&text).map_err(A::Error::custom)?,
                number => Draw::Just(number),
            });
        }
        if list.is_empty() {
            return Err(A::Error::custom("an empty list has nothing to draw"));
        }
        Ok(Draw::OneOf(list))
    }
}

/// One value is a list of one: a draw takes the same from the generator, however it is written.
fn one(draw: Draw) -> Draw {
    match draw {
        Draw::Just(_) => Draw::OneOf(vec![draw]),
        draw => draw,
    }
}

/// One setting: a draw for each split.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) train: Draw,
    pub(crate) test: Draw,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSetting {
    train: Option<Draw>,
    test: Option<Draw>,
    same: Option<Draw>,
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        super::checked::read::<D, RawSetting, Self>(deserializer)
    }
}

impl Setting {
    /// The same draw for both splits.
    pub(crate) fn same(draw: Draw) -> Self {
        Self { train: draw.clone(), test: draw }
    }
}

impl TryFrom<RawSetting> for Setting {
    type Error = String;

    fn try_from(raw: RawSetting) -> std::result::Result<Self, String> {
        match (raw.train, raw.test, raw.same) {
            (Some(train), Some(test), None) if train.disjoint(&test) => Ok(Self { train, test }),
            (Some(_), Some(_), None) => Err("training and testing ranges overlap".to_owned()),
            (None, None, Some(same)) => Ok(Self::same(same)),
            _ => Err("a setting has either `train` and `test`, or `same`".to_owned()),
        }
    }
}

/// The settings of one run, after the draw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Settings(BTreeMap<String, Value>);

impl Settings {
    /// Draws every setting; the same seed, name and repetition give the same values.
    pub(crate) fn draw(from: &BTreeMap<String, Setting>, split: Split, rng: &mut impl Rng) -> Result<Self> {
        let mut drawn = BTreeMap::new();
        for (name, setting) in from {
            let draw = match split {
                Split::Train => &setting.train,
                Split::Test => &setting.test,
            };
            drawn.insert(name.clone(), draw.draw(rng)?);
        }
        Ok(Self(drawn))
    }

    /// A setting that is a number.
    pub(crate) fn number(&self, name: &str) -> Result<u64> {
        match self.0.get(name) {
            Some(Value::Number(number)) => Ok(*number),
            Some(Value::Text(text)) => bail!("setting `{name}` is `{text}`, a number was expected"),
            None => bail!("setting `{name}` is missing"),
        }
    }

    /// A setting that is a word.
    pub(crate) fn text(&self, name: &str) -> Result<&str> {
        match self.0.get(name) {
            Some(Value::Text(text)) => Ok(text),
            Some(Value::Number(number)) => bail!("setting `{name}` is {number}, a word was expected"),
            None => bail!("setting `{name}` is missing"),
        }
    }
}

/// A generator of its own for everything that has a name, so that no draw depends on the order of runs.
pub(crate) fn rng(seed: u64, name: &str, repetition: u64) -> ChaCha8Rng {
    // FNV-1a: small, and the same on every machine and with every compiler.
    let words = seed.to_le_bytes().into_iter().chain(repetition.to_le_bytes()).chain(name.bytes());
    let hash = words
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    ChaCha8Rng::seed_from_u64(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_settings() -> Result<()> {
        let from: BTreeMap<String, Setting> =
            serde_yaml_ng::from_str("rate: {train: 1..500, test: 600..900}\nport: {same: [80, 443]}")?;
        let first = Settings::draw(&from, Split::Train, &mut rng(7, "a", 0))?;
        let again = Settings::draw(&from, Split::Train, &mut rng(7, "a", 0))?;
        let other = Settings::draw(&from, Split::Train, &mut rng(7, "a", 1))?;
        assert_eq!(first, again);
        assert_ne!(first, other);
        assert!(Settings::draw(&from, Split::Test, &mut rng(7, "a", 0))?.number("rate")? >= 600);
        Ok(())
    }

    #[test]
    fn a_list_may_hold_ranges_on_both_sides_of_the_other_split() -> Result<()> {
        let text = "rate: {train: [1..5, 20..30, 40], test: 6..19}\nway: {same: [up, down]}";
        let from: BTreeMap<String, Setting> = serde_yaml_ng::from_str(text)?;
        for repetition in 0..200 {
            let mut rng = rng(1, "a", repetition);
            let rate = Settings::draw(&from, Split::Train, &mut rng)?.number("rate")?;
            assert!(matches!(rate, 1..=5 | 20..=30 | 40), "{rate}");
        }
        for overlap in ["[1..6, 20..30]", "[1, 6]", "[40, 10..12]"] {
            let text = format!("rate: {{train: {overlap}, test: 6..19}}");
            assert!(serde_yaml_ng::from_str::<BTreeMap<String, Setting>>(&text).is_err(), "{overlap}");
        }
        Ok(())
    }

    #[test]
    fn overlapping_splits_are_refused_with_their_place() {
        let error = serde_yaml_ng::from_str::<BTreeMap<String, Setting>>("a: {same: 1}\nb: {train: 1..5, test: 5..9}");
        let text = error.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(text.contains("overlap") && text.contains("line 2"), "{text}");
    }
}
