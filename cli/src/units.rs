//! Numbers as people read them.

use std::time::Duration;

/// `12.3 MB`; powers of 1000, three digits.
pub(crate) fn bytes(count: u64) -> String {
    if count < 1000 {
        return format!("{count} B");
    }
    scaled(count, " ", &["kB", "MB", "GB", "TB", "PB", "EB"])
}

/// `12 345` up to a million, then `1.23 M`.
pub(crate) fn count(count: u64) -> String {
    if count < 1_000_000 { grouped(count) } else { scaled(count, " ", &["k", "M", "G", "T", "P", "E"]) }
}

/// All digits, in groups of three: for numbers that must be exact.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

fn scaled(count: u64, gap: &str, units: &[&str]) -> String {
    let mut value = count as f64;
    let mut unit = "";
    for next in units {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$}{gap}{unit}")
}

/// `850 ms`, `4.2 s`, `3m 20s`, `2h 5m`, `3d 4h`.
pub(crate) fn millis(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0 => format!("{ms} ms"),
        1..10 => format!("{:.1} s", ms as f64 / 1000.0),
        10..60 => format!("{s} s"),
        60..3600 => format!("{}m {}s", s / 60, s % 60),
        3600..86_400 => format!("{}h {}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d {}h", s / 86_400, s % 86_400 / 3600),
    }
}

/// What is left of a rule: for ever when 0.
pub(crate) fn remaining(ms: u64) -> String {
    if ms == 0 { "for ever".into() } else { millis(ms) }
}

/// Reads `90s`, `10m`, `2h`, `1d`, or `forever` (0 in the protocol).
pub(crate) fn parse_ttl(text: &str) -> Result<u64, String> {
    if text == "forever" {
        return Ok(0);
    }
    let ttl: Duration =
        humantime::parse_duration(text).map_err(|error| format!("{error}; write 90s, 10m, 2h, 1d or forever"))?;
    let ms = u64::try_from(ttl.as_millis()).map_err(|_| "longer than the clock".to_owned())?;
    if ms == 0 { Err("a block of no length does nothing; write 90s, 10m, 2h, 1d or forever".into()) } else { Ok(ms) }
}

/// Text of a file, without what would move a terminal's cursor.
pub(crate) fn one_line(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// RFC 3339 in UTC, milliseconds; empty for times that do not exist.
pub(crate) fn wall_time(time_us: i64) -> String {
    let since = Duration::from_micros(u64::try_from(time_us).unwrap_or(0));
    std::time::UNIX_EPOCH
        .checked_add(since)
        .map(|time| humantime::format_rfc3339_millis(time).to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_three_digits() {
        let shown: Vec<_> = [0, 999, 1000, 1500, 21_927_802, 999_999, u64::MAX].into_iter().map(bytes).collect();
        assert_eq!(shown, ["0 B", "999 B", "1.00 kB", "1.50 kB", "21.9 MB", "1.00 MB", "18.4 EB"]);
    }

    #[test]
    fn counts_are_exact_up_to_a_million() {
        assert_eq!([0, 12_345, 999_999, 1_234_567].map(count), ["0", "12 345", "999 999", "1.23 M"]);
        assert_eq!(grouped(1_234_567), "1 234 567");
    }

    #[test]
    fn times() {
        assert_eq!(
            [850, 4200, 59_000, 200_000, 7_500_000, 273_600_000].map(millis),
            ["850 ms", "4.2 s", "59 s", "3m 20s", "2h 5m", "3d 4h"]
        );
        assert_eq!(remaining(0), "for ever");
        assert_eq!(wall_time(1_700_000_000_123_456), "2023-11-14T22:13:20.123Z");
    }

    #[test]
    fn times_to_live() {
        assert_eq!(parse_ttl("10m"), Ok(600_000));
        assert_eq!(parse_ttl("forever"), Ok(0));
        assert!(parse_ttl("10").expect_err("no unit").contains("write 90s"));
        assert!(parse_ttl("0s").is_err());
    }
}
