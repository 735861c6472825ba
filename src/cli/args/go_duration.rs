//! Durations as Go writes them, for values that docker reads with Go's `time.ParseDuration`.

/// The number of nanoseconds that Go's type can hold, plus one.
const LIMIT: u64 = 1 << 63;

/// Reads a duration such as `1m30s`, `1.5h` or `-20ms` in nanoseconds; `None` for what Go refuses, among it a number
/// without a unit and more than some 292 years.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (is_negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (part, behind) = part(rest)?;
        total = total.checked_add(part).filter(|total| *total <= LIMIT)?;
        rest = behind;
    }
    if is_negative { 0_i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() }
}

/// Reads one number with its unit in nanoseconds, and returns what follows.
fn part(text: &str) -> Option<(u64, &str)> {
    let (digits, rest) = split(text, |c| c.is_ascii_digit());
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => split(rest, |c| c.is_ascii_digit()),
        None => ("", rest),
    };
    if digits.is_empty() && fraction.is_empty() {
        return None;
    }
    let (unit, rest) = split(rest, |c| c != '.' && !c.is_ascii_digit());
    let unit = unit_of(unit)?;
    let whole = digits.bytes().try_fold(0_u64, |sum, digit| {
        let sum = Some(sum).filter(|sum| *sum <= LIMIT / 10)? * 10 + u64::from(digit - b'0');
        (sum <= LIMIT).then_some(sum)
    })?;
    let nanoseconds = whole.checked_mul(unit).filter(|product| *product <= LIMIT)?;
    let sum = nanoseconds.checked_add(fraction_of(fraction, unit))?;
    (sum <= LIMIT).then_some((sum, rest))
}

/// Returns the longest start of `text` whose characters fit, and the rest.
fn split(text: &str, fits: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !fits(c)).unwrap_or(text.len()))
}

/// Nanoseconds of a unit; the micro sign and the Greek letter are both in use.
fn unit_of(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// The part of `unit` that the digits behind a point are, rounded as Go rounds it: digits that 63 bits do not hold are
/// left out, and the product is one of floating-point numbers.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "Go computes with these very losses"
)]
fn fraction_of(digits: &str, unit: u64) -> u64 {
    let mut value = 0_u64;
    let mut scale = 1_f64;
    for digit in digits.bytes() {
        if value > (LIMIT - 1) / 10 {
            break;
        }
        let next = value * 10 + u64::from(digit - b'0');
        if next > LIMIT {
            break;
        }
        value = next;
        scale *= 10.0;
    }
    if value == 0 { 0 } else { (value as f64 * (unit as f64 / scale)) as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_gos() {
        let rows = include_str!("../../../fixtures/duration.jsonl");
        let mut count = 0;
        for row in rows.lines() {
            let row: serde_json::Value = serde_json::from_str(row).expect("a row");
            let text = row["text"].as_str().expect("a text");
            assert_eq!(parse(text), row["ns"].as_i64(), "{text}");
            assert_eq!(row.get("error").is_some(), parse(text).is_none(), "{text}");
            count += 1;
        }
        assert_eq!(count, 23);
    }

    #[test]
    fn what_is_at_the_limits() {
        for (text, expected) in [
            ("9223372036854775807ns", Some(i64::MAX)),
            ("9223372036854775808ns", None),
            ("-9223372036854775808ns", Some(i64::MIN)),
            ("-9223372036854775809ns", None),
            ("9223372036854775.807us", Some(i64::MAX)),
            ("99999999999999999999s", None),
            ("2562047h47m16.854775807s", Some(i64::MAX)),
            ("2562047h47m16.854775808s", None),
            ("0.1000000000000000000000s", Some(100_000_000)),
            ("0.830103483285477580700h", Some(2_988_372_539_827)),
            ("0.3333333333333333333h", Some(1_200_000_000_000)),
            ("39h9m14.425s", Some(140_954_425_000_000)),
            ("-.5h", Some(-1_800_000_000_000)),
            ("1µs", Some(1_000)),
            ("5.s", Some(5_000_000_000)),
            ("-0", Some(0)),
            ("+0", Some(0)),
            ("00", None),
            (".s", None),
            ("-", None),
            ("+-1s", None),
            (".", None),
            ("1.", None),
            ("1x", None),
            ("s", None),
            ("1s ", None),
            ("1e3s", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn anything_can_be_typed(text in ".{0,40}", number in "[0-9.]{0,60}(ns|us|ms|s|m|h){0,3}") {
            let _ = (parse(&text), parse(&number));
        }
    }
}
