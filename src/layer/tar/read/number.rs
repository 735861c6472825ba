//! Numbers in headers and pax records: only what Go, Python and GNU tar all take for the same number.

/// Parses a numeric field of a header: octal text, or GNU's base 256 where the top bit is set. NULs alone are zero.
///
/// Go trims NULs before the digits where Python stops at them, Python takes signs and underscores, and GNU tar takes
/// text behind the digits: none of these is a number here.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    match field.split_first()? {
        (mark @ (0x80 | 0xff), rest) => {
            let top = if *mark == 0xff { -1 } else { 0 };
            i64::try_from(rest.iter().fold(top, |value: i128, byte| value << 8 | i128::from(*byte))).ok()
        }
        _ => octal(field).and_then(|value| i64::try_from(value).ok()),
    }
}

/// Octal text: spaces may come before the digits; spaces, or a NUL and anything, may follow.
pub(super) fn octal(field: &[u8]) -> Option<u64> {
    if field.iter().all(|byte| *byte == 0) {
        return Some(0);
    }
    let start = field.iter().position(|byte| *byte != b' ')?;
    let length = field[start..].iter().take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    let (digits, end) = field[start..].split_at(length);
    let ends = match end.first() {
        None | Some(0) => true,
        Some(b' ') => end.iter().all(|byte| matches!(byte, 0 | b' ')),
        Some(_) => false,
    };
    let value =
        digits.iter().try_fold(0_u64, |value, digit| value.checked_mul(8)?.checked_add(u64::from(digit - b'0')));
    value.filter(|_| ends && length > 0)
}

/// Parses a numeric field of a header that cannot be negative.
pub(super) fn count(field: &[u8]) -> Option<u64> {
    number(field).and_then(|value| u64::try_from(value).ok())
}

/// Parses a user or group of a header: Linux has 32 bits for them, and GNU tar refuses more.
pub(super) fn id(field: &[u8]) -> Option<u64> {
    count(field).filter(|id| u32::try_from(*id).is_ok())
}

/// Returns whether a field that only some readers look at is a number to all of them.
pub(super) fn is_number_or_blank(field: &[u8]) -> bool {
    field.iter().all(|byte| *byte == b' ') || number(field).is_some()
}

/// Parses a number of a pax record: digits alone.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    let is_decimal = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let value: u64 = std::str::from_utf8(text).ok().filter(|_| is_decimal)?.parse().ok()?;
    i64::try_from(value).is_ok().then_some(value)
}

/// Returns the whole seconds of a pax record's time, rounded down: digits with a fraction or without, maybe below zero.
pub(super) fn seconds(text: &[u8]) -> Option<i64> {
    let (is_negative, text) = match text.strip_prefix(b"-") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let point = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    let (whole, fraction) = (decimal(&text[..point])?, text.get(point + 1..).unwrap_or_default());
    let whole = i64::try_from(whole).ok()?;
    match (fraction.iter().all(u8::is_ascii_digit), is_negative) {
        (false, _) => None,
        (true, false) => Some(whole),
        (true, true) => Some(-whole - i64::from(fraction.iter().any(|digit| *digit != b'0'))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_numbers_where_all_readers_agree() {
        for (field, value) in [
            (&b"0000644\0"[..], 0o644),
            (b"00000644", 0o644),
            (b"   644 \0", 0o644),
            (b"644     ", 0o644),
            (b"644\0\0 \0 ", 0o644),
            (b"644\0junk", 0o644),
            (b"\0\0\0\0\0\0\0\0", 0),
            (b"\x80\0\0\0\0\0\0\x02\0\0\0\0", 1 << 33),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", -2),
            (&[0xff; 12], -1),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", i64::MAX),
        ] {
            assert_eq!(number(field), Some(value), "{field:?}");
        }
        for field in [
            &b"12x45678"[..],
            b"12 45678",
            b"12 \0 x  ",
            b"12345678",
            b"0o644\0\0\0",
            b"6_4\0\0\0\0\0",
            b"+000644\0",
            b"-000644\0",
            b"\t000644\0",
            b"\x00000644\0",
            b"\0      \0",
            b"        ",
            b"   \0\0\0\0\0",
            b"\x81\0\0\0\0\0\0\0\0\0\0\x01",
            b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xfe\xff\xff\xff\xff\xff\xff\xff",
            b"\x80\0\0\0\x80\0\0\0\0\0\0\0",
            b"\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"",
        ] {
            assert_eq!(number(field), None, "{field:?}");
        }
        assert_eq!(count(&[0xff; 12]), None);
        assert_eq!(octal(&[0xff; 8]), None);
        assert_eq!(octal(b"\x80\0\0\0\0\0\0\x02"), None);
        assert_eq!((id(b"\x80\0\0\0\xff\xff\xff\xff"), id(b"\x80\0\0\x01\0\0\0\0")), (Some(u64::from(u32::MAX)), None));
        assert!(is_number_or_blank(b"        ") && is_number_or_blank(&[0; 8]) && is_number_or_blank(&[0xff; 8]));
        assert!(!is_number_or_blank(b"x       "));
    }

    #[test]
    fn records_are_numbers_where_all_readers_agree() {
        for (text, value) in [("0", 0), ("007", 7), ("9223372036854775807", i64::MAX.unsigned_abs())] {
            assert_eq!(decimal(text.as_bytes()), Some(value), "{text}");
        }
        for text in ["", "+1", "-1", "1_0", " 1", "1 ", "1.0", "0x1", "9223372036854775808", "99999999999999999999"] {
            assert_eq!(decimal(text.as_bytes()), None, "{text}");
        }
        for (text, value) in
            [("1", 1), ("1.9", 1), ("1.", 1), ("-5", -5), ("-5.25", -6), ("-5.0", -5), ("-0.5", -1), ("0.000", 0)]
        {
            assert_eq!(seconds(text.as_bytes()), Some(value), "{text}");
        }
        for text in ["", ".5", "-", "-.5", "1e3", "inf", "nan", "+1", "1.5.5", "1.x", "--1", "9223372036854775808"] {
            assert_eq!(seconds(text.as_bytes()), None, "{text}");
        }
    }
}
