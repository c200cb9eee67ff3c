//! What stands behind a rule's keys.

use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, tz};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::number;

/// Something that is written as a text or as a number.
pub(super) trait Scalar: Sized {
    /// How it is written, for messages.
    const FORM: &'static str;

    fn of_text(text: &str) -> Result<Self, String>;

    fn of_number(number: i64) -> Result<Self, String> {
        Self::of_text(&number.to_string())
    }

    fn of_float(number: f64) -> Result<Self, String> {
        Err(format!("{number} is not {}", Self::FORM))
    }
}

/// One of them, or a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Many<T>(pub(super) Vec<T>);

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct One<T>(pub(super) T);

struct Reader<T, const LIST: bool>(PhantomData<T>);

impl<'de, T: Scalar, const LIST: bool> Visitor<'de> for Reader<T, LIST> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", T::FORM, if LIST { ", or a list of such" } else { "" })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        T::of_text(text.trim()).map(|value| vec![value]).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        T::of_number(number).map(|value| vec![value]).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        let number = i64::try_from(number).map_err(|_| E::custom(format!("{number} is not {}", T::FORM)))?;
        self.visit_i64(number)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        T::of_float(number).map(|value| vec![value]).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        if !LIST {
            return Err(A::Error::custom(format!("a list, where {} is needed", T::FORM)));
        }
        let mut all = Vec::new();
        while let Some(One(value)) = list.next_element()? {
            all.push(value);
        }
        if all.is_empty() { Err(A::Error::custom("an empty list matches nothing")) } else { Ok(all) }
    }
}

impl<'de, T: Scalar> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader::<T, true>(PhantomData)).map(Self)
    }
}

impl<'de, T: Scalar> Deserialize<'de> for One<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut one = from.deserialize_any(Reader::<T, false>(PhantomData))?;
        one.pop().map(Self).ok_or_else(|| D::Error::custom("nothing"))
    }
}

/// Addresses of a network, as numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Network(pub(super) RangeInclusive<u128>);

impl Scalar for Network {
    const FORM: &'static str = "an address or a network, as 192.0.2.1 or 2001:db8::/32";

    fn of_text(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not {}", Self::FORM);
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address = IpAddr::from_str(address).map_err(|_| wrong())?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= all).ok_or_else(wrong)?,
            None => all,
        };
        let rest = 1_u128.checked_shl(all - bits).map_or(u128::MAX, |size| size - 1);
        let first = number(address) & !rest;
        if first == number(address) {
            Ok(Self(first..=first | rest))
        } else {
            Err(format!("{text:?} has bits of an address behind its network; write the network's first address"))
        }
    }

    fn of_number(number: i64) -> Result<Self, String> {
        Err(format!("{number} is not {}", Self::FORM))
    }
}

/// Ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ports(pub(super) RangeInclusive<u16>);

impl Scalar for Ports {
    const FORM: &'static str = "a port or a range of them, as 80 or 1024-65535";

    fn of_text(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) if first <= last => Ok(Self(first..=last)),
            _ => Err(format!("{text:?} is not {}", Self::FORM)),
        }
    }
}

/// An IP protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Protocol(pub(super) u8);

impl Scalar for Protocol {
    const FORM: &'static str = "a protocol: tcp, udp, icmp, icmpv6, sctp, gre, igmp, or a number up to 255";

    fn of_text(text: &str) -> Result<Self, String> {
        let number = match text.to_ascii_lowercase().as_str() {
            "icmp" => Some(1),
            "igmp" => Some(2),
            "tcp" => Some(6),
            "udp" => Some(17),
            "gre" => Some(47),
            "icmpv6" | "ipv6-icmp" => Some(58),
            "sctp" => Some(132),
            other => other.parse().ok(),
        };
        number.map(Self).ok_or_else(|| format!("{text:?} is not {}", Self::FORM))
    }
}

/// A point in time, as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Time {
    /// µs since 1970.
    Absolute(i64),
    /// By a clock on the wall.
    Local(DateTime),
}

impl Scalar for Time {
    const FORM: &'static str =
        "a time: 2017-07-07T15:56:00-03:00, 2017-07-07 15:56 (in the timezone), 2017-07-07, or seconds since 1970";

    fn of_text(text: &str) -> Result<Self, String> {
        if let Ok(absolute) = text.parse::<Timestamp>() {
            return Ok(Self::Absolute(absolute.as_microsecond()));
        }
        let date = || text.parse::<Date>().map(|date| date.at(0, 0, 0, 0));
        match text.parse::<DateTime>().or_else(|_| date()) {
            Ok(local) => Ok(Self::Local(local)),
            Err(_) => {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                number.map_or_else(|| Err(format!("{text:?} is not {}", Self::FORM)), Self::of_float)
            }
        }
    }

    fn of_number(number: i64) -> Result<Self, String> {
        Self::of_float(number as f64)
    }

    fn of_float(number: f64) -> Result<Self, String> {
        // Up to the year 2286, and from as far before: beyond, it would be milliseconds.
        if number.abs() < 1e10 {
            Ok(Self::Absolute((number * 1e6).round() as i64))
        } else {
            Err(format!("{number} are not seconds since 1970: milliseconds? divide by 1000"))
        }
    }
}

impl Time {
    /// µs since 1970, with the zone of those that have none.
    pub(super) fn us(self, zone: &TimeZone) -> Result<i64, String> {
        match self {
            Self::Absolute(us) => Ok(us),
            Self::Local(local) => {
                // Where clocks are set back an hour comes twice: the first is meant.
                let zoned = zone.to_ambiguous_timestamp(local).compatible();
                zoned.map(|time| time.as_microsecond()).map_err(|error| error.to_string())
            }
        }
    }
}

/// `America/Halifax`, `-03:00`, `UTC`.
pub(super) fn zone(name: &str) -> Result<TimeZone, String> {
    let offset = || {
        let (sign, rest) = match name.split_at_checked(1)? {
            ("+", rest) => (1, rest),
            ("-", rest) => (-1, rest),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
        let (hours, minutes) = (hours.parse::<u8>().ok()?, minutes.parse::<u8>().ok().filter(|minutes| *minutes < 60)?);
        let seconds = i32::from(hours) * 3600 + i32::from(minutes) * 60;
        tz::Offset::from_seconds(sign * seconds).ok()
    };
    if let Some(offset) = offset() {
        return Ok(offset.to_time_zone());
    }
    match name {
        "UTC" | "Z" => Ok(TimeZone::UTC),
        name => TimeZone::get(name)
            .map_err(|error| format!("timezone: {error}; write an offset, as -03:00, or a name, as America/Halifax")),
    }
}
