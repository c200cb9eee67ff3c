//! Microseconds since 1970 as the reference's Timestamp column has them.

use std::fmt;

const US_A_SECOND: i64 = 1_000_000;
const SECONDS_A_DAY: i64 = 86_400;

/// UTC, `YYYY-MM-DD HH:MM:SS`, with `.mmm` or `.uuuuuu` where that is not zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timestamp(pub(crate) i64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, us) = (self.0.div_euclid(US_A_SECOND), self.0.rem_euclid(US_A_SECOND));
        let (days, second) = (seconds.div_euclid(SECONDS_A_DAY), seconds.rem_euclid(SECONDS_A_DAY));
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")?;
        match us {
            0 => Ok(()),
            us if us % 1000 == 0 => write!(f, ".{:03}", us / 1000),
            us => write!(f, ".{us:06}"),
        }
    }
}

/// Year, month and day of a number of days since 1970-01-01, in the Gregorian calendar. Years are counted from March,
/// so that the leap day is a year's last; 400 of them have 146,097 days.
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months from March: 153 days in every five.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (year + era * 400, month + 3);
    if month > 12 { (year + 1, month - 12, day) } else { (year, month, day) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        let cases = [
            (0, "1970-01-01 00:00:00"),
            (1_108_716_598_686_079, "2005-02-18 08:49:58.686079"),
            (951_782_400_000_000 + 1_000, "2000-02-29 00:00:00.001"),
            (951_868_800_000_000, "2000-03-01 00:00:00"),
            (4_107_542_399_000_000, "2100-02-28 23:59:59"),
            (4_107_542_400_000_000, "2100-03-01 00:00:00"),
            (-1, "1969-12-31 23:59:59.999999"),
        ];
        for (us, text) in cases {
            assert_eq!(Timestamp(us).to_string(), text);
        }
        // No time that a file can hold panics.
        let _ = (Timestamp(i64::MIN).to_string(), Timestamp(i64::MAX).to_string());
    }
}
