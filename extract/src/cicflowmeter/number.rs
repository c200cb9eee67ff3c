//! Floating point as Java writes it, which the reference is made of.

use std::fmt;

/// Java writes values from here on, and those below [`PLAIN_FROM`], with an exponent.
const PLAIN_BELOW: f64 = 1e7;
const PLAIN_FROM: f64 = 1e-3;

/// The shortest text that reads back as the same number, with at least one digit behind the point.
pub(crate) fn write_java(f: &mut impl fmt::Write, value: f64) -> fmt::Result {
    let magnitude = value.abs();
    if value == 0.0 || (PLAIN_FROM..PLAIN_BELOW).contains(&magnitude) || !value.is_finite() {
        return write!(f, "{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => write!(f, "{digits}.0E{exponent}"),
        _ => f.write_str(&text),
    }
}

#[cfg(test)]
mod tests {
    use crate::cicflowmeter::Value;

    #[test]
    fn as_java() {
        let cases = [
            (0.0, "0.0"),
            (1072.0, "1072.0"),
            (866.810810810811, "866.810810810811"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (22_142_813.6, "2.21428136E7"),
            (0.001, "0.001"),
            (0.00025, "2.5E-4"),
            (-12_000_000.0, "-1.2E7"),
        ];
        for (value, text) in cases {
            assert_eq!(Value::Float(value).to_string(), text);
        }
    }
}
