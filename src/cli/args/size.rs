//! Sizes and times as people type them.

use std::time::Duration;

/// `512MiB`, `512M`, `512mb`, `1g`, `65536`: binary multiples, as docker and kubectl's `Mi` have it.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "ki" | "kib" => 10,
        "m" | "mb" | "mi" | "mib" => 20,
        "g" | "gb" | "gi" | "gib" => 30,
        _ => return Err("expected a number of bytes with an optional unit k, m or g".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "expected a number of bytes".to_owned())?;
    let bytes = number.checked_mul(1 << shift).ok_or_else(|| "that is too large".to_owned())?;
    if bytes == 0 { Err("must not be zero".to_owned()) } else { Ok(bytes) }
}

/// `2`, `2s`, `500ms`, `5m`, `1h`: without a unit, seconds.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    match time_or_zero(text)? {
        Duration::ZERO => Err("must not be zero".to_owned()),
        time => Ok(time),
    }
}

/// Reads a time; zero turns the limit off.
pub(crate) fn time_or_zero(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis = match unit.trim() {
        "ms" => 1,
        "" | "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err("expected a number with a unit ms, s, m or h".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "expected a number with a unit ms, s, m or h".to_owned())?;
    match number.checked_mul(millis) {
        Some(millis) if millis <= MAX_TIME_MILLIS => Ok(Duration::from_millis(millis)),
        _ => Err("more than a day".to_owned()),
    }
}

/// One day.
const MAX_TIME_MILLIS: u64 = 24 * 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_binary() {
        for (text, expected) in [("1", 1), ("64k", 65536), ("512MiB", 512 << 20), ("1 g", 1 << 30), ("2Mi", 2 << 20)] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "0", "-1", "1.5m", "m", "1t", "99999999999g", "18446744073709551615k"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_have_units() {
        for (text, expected) in [("2", 2000), ("500ms", 500), ("3s", 3000), ("5 m", 300_000), ("24h", 86_400_000)] {
            assert_eq!(time(text), Ok(Duration::from_millis(expected)), "{text}");
        }
        for text in ["", "0", "0ms", "-1s", "1.5s", "s", "1d", "25h", "18446744073709551615h"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
