//! Makes texts of other programs safe to show: a registry's answer or a file name must not control the terminal.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

/// Characters kept of any text for people.
pub(crate) const MAX_TEXT_CHARACTERS: usize = 600;

/// Returns a text without the numbers that the standard library puts behind the system's reasons, ` (os error 111)`:
/// they say nothing to a person.
pub(crate) fn without_numbers(text: &str) -> Cow<'_, str> {
    const MARK: &str = " (os error ";
    if !text.contains(MARK) {
        return Cow::Borrowed(text);
    }
    let mut words = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(MARK) {
        let after = &rest[at + MARK.len()..];
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let is_number = digits > 0 && after[digits..].starts_with(')');
        let end = at + MARK.len() + if is_number { digits + 1 } else { 0 };
        words.push_str(if is_number { &rest[..at] } else { &rest[..end] });
        rest = &rest[end..];
    }
    words.push_str(rest);
    Cow::Owned(words)
}

/// Returns a number with its noun in the form that fits: `1 entry`, `2 entries`.
pub(crate) fn counted(count: impl TryInto<u64>, noun: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    if count == 1 {
        return format!("1 {noun}");
    }
    let stem = noun.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u']));
    match stem {
        Some(stem) => format!("{count} {stem}ies"),
        None if noun.ends_with(['s', 'x']) || noun.ends_with("ch") || noun.ends_with("sh") => {
            format!("{count} {noun}es")
        }
        None => format!("{count} {noun}s"),
    }
}

/// Returns a number of bytes in the largest binary unit of which there is one, with two decimals: `57.22 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1 << 10 {
        return format!("{bytes} B");
    }
    let thousands = bytes.ilog2() / 10;
    let hundredths = (u128::from(bytes) * 100 + (1 << (10 * thousands - 1))) >> (10 * thousands);
    format!("{}.{:02} {}", hundredths / 100, hundredths % 100, UNITS[thousands as usize - 1])
}

/// Returns a time in words, in the two largest of its units: `1 hour 30 minutes`; below a second, `500 ms`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds == 0 {
        return match time.subsec_millis() {
            0 => "less than a millisecond".to_owned(),
            millis => format!("{millis} ms"),
        };
    }
    let parts = [(seconds / 86_400, "day"), (seconds / 3600 % 24, "hour"), (seconds / 60 % 60, "minute")];
    let parts = parts.into_iter().chain([(seconds % 60, "second")]);
    let largest = parts.skip_while(|(count, _)| *count == 0).take(2).filter(|(count, _)| *count > 0);
    largest.map(|(count, unit)| counted(count, unit)).collect::<Vec<_>>().join(" ")
}

/// Returns an address without the text before its last `@`, which may hold a password. No valid address has one.
pub(crate) fn without_user_info(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((_, rest)) => format!("[hidden]@{rest}"),
        None => address.to_owned(),
    }
}

/// Returns one line without unprintable characters, cut to a length fit for a message; `None` when nothing is left.
pub(crate) fn tidy(text: &str) -> Option<String> {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        let mut seen = word.chars().filter(|c| !is_format(*c)).peekable();
        if seen.peek().is_none() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(seen);
        if line.chars().count() > MAX_TEXT_CHARACTERS {
            line = line.chars().take(MAX_TEXT_CHARACTERS).collect();
            line.push('…');
            break;
        }
    }
    (!line.is_empty()).then_some(line)
}

/// Returns the items of a list, the first 16 of many; `none` where there is nothing in it.
pub(crate) fn listed(items: &[String], none: &str) -> String {
    const MOST: usize = 16;
    if items.is_empty() {
        return none.to_owned();
    }
    let first = items.iter().take(MOST).map(|item| escaped(item)).collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(MOST) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// Returns the first `most` characters, with a mark in place of unprintable ones.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let seen = |c: char| if is_unseen(c) { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().take(most).map(seen).collect()
}

/// Returns one line in which unprintable characters and line breaks are written as `\xNN`.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    escape(text, is_unseen)
}

/// Returns several lines in which unprintable characters are written as `\xNN`; line breaks stay.
pub(crate) fn escaped_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c != '\n' && is_unseen(c))
}

/// Several lines of data for a person, in which tabs stay too.
pub(crate) fn escaped_data(text: &str) -> Cow<'_, str> {
    escape(text, |c| !matches!(c, '\n' | '\t') && is_unseen(c))
}

/// Returns equivalent JSON in which unprintable characters are written as `\uNNNN`. Apart from line breaks between
/// tokens, JSON has such characters only in strings.
pub(crate) fn escaped_json(json: String) -> String {
    let steers = |c: char| c != '\n' && is_unseen(c);
    if !json.contains(steers) {
        return json;
    }
    let mut plain = String::with_capacity(json.len() + 8);
    for c in json.chars() {
        if steers(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(plain, "\\u{unit:04x}");
            }
        } else {
            plain.push(c);
        }
    }
    plain
}

fn escape(text: &str, steers: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&steers) {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if steers(c) {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(plain, "\\x{byte:02x}");
            }
        } else {
            plain.push(c);
        }
    }
    plain.into()
}

fn is_unseen(c: char) -> bool {
    c.is_control() || is_format(c)
}

/// General category Cf, with the two separators (Zl, Zp): what changes the order or the look of its neighbours, and
/// has no look of its own.
fn is_format(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_in_their_two_largest_units() {
        for (millis, expected) in [
            (0, "less than a millisecond"),
            (1, "1 ms"),
            (999, "999 ms"),
            (1000, "1 second"),
            (1999, "1 second"),
            (2000, "2 seconds"),
            (60_000, "1 minute"),
            (90_000, "1 minute 30 seconds"),
            (3_600_000, "1 hour"),
            (3_601_000, "1 hour"),
            (5_400_000, "1 hour 30 minutes"),
            (2 * 86_400_000 + 3_600_000, "2 days 1 hour"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), expected, "{millis}");
        }
    }

    #[test]
    fn numbers_have_nouns_that_fit() {
        for (count, noun, expected) in [
            (0_u64, "layer", "0 layers"),
            (1, "layer", "1 layer"),
            (2, "layer", "2 layers"),
            (1, "entry", "1 entry"),
            (3, "entry", "3 entries"),
            (2, "directory", "2 directories"),
            (2, "index", "2 indexes"),
            (2, "key", "2 keys"),
            (5, "patch", "5 patches"),
        ] {
            assert_eq!(counted(count, noun), expected);
        }
        assert_eq!(counted(2_usize, "file"), "2 files");
    }

    #[test]
    fn sizes_are_in_binary_units_with_two_decimals() {
        for (bytes, expected) in [
            (0, "0 B"),
            (132, "132 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1536, "1.50 KiB"),
            (60_000_000, "57.22 MiB"),
            (1 << 30, "1.00 GiB"),
            (u64::MAX, "16.00 EiB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn texts_are_one_line_of_what_can_be_seen() {
        for (text, expected) in [
            ("a\u{1b}[31m\r\n b", Some("a [31m b")),
            ("\u{202e}evil \u{9b}31m\u{2066}x\u{2069}", Some("evil 31mx")),
            ("no\u{200b}break\u{feff} \u{e0041}", Some("nobreak")),
            ("grün 日本 🙂", Some("grün 日本 🙂")),
            ("\u{202e}\u{200b} \n", None),
            ("", None),
        ] {
            assert_eq!(tidy(text).as_deref(), expected, "{text:?}");
        }
        assert_eq!(tidy(&"x y ".repeat(10_000)).map(|text| text.chars().count()), Some(MAX_TEXT_CHARACTERS + 1));
        assert_eq!(tidy(&"x".repeat(10_000)).map(|text| text.chars().count()), Some(MAX_TEXT_CHARACTERS + 1));
    }

    #[test]
    fn what_cannot_be_seen_is_marked() {
        assert_eq!(plain("/a\u{202e}b\u{1b}c d", 6), "/a\u{fffd}b\u{fffd}c");
    }

    #[test]
    fn what_cannot_be_seen_is_told() {
        let name = "x\u{1b}]0;owned\u{7}\nerror: \u{202e}\u{9b}grün";
        assert_eq!(escaped(name), "x\\x1b]0;owned\\x07\\x0aerror: \\xe2\\x80\\xae\\xc2\\x9bgrün");
        assert_eq!(escaped_lines("a\r\nb\tc"), "a\\x0d\nb\\x09c");
        assert!(matches!(escaped("as it is: 日本"), Cow::Borrowed(_)));
    }

    #[test]
    fn the_systems_numbers_are_left_out() {
        for (text, expected) in [
            ("Connection refused (os error 111)", "Connection refused"),
            ("a: No such file (os error 2): b (os error 13)!", "a: No such file: b!"),
            ("a (os error x) (os error 1", "a (os error x) (os error 1"),
            ("a (os error )", "a (os error )"),
            ("", ""),
        ] {
            assert_eq!(without_numbers(text), expected);
        }
    }

    proptest! {
        #[test]
        fn nothing_steers_a_terminal(text in any::<String>()) {
            let steers = is_unseen;
            prop_assert!(!escaped(&text).contains(steers));
            prop_assert!(!escaped_data(&text).replace(['\n', '\t'], "").contains(steers));
            let json = escaped_json(serde_json::to_string_pretty(&[&text]).expect("a string"));
            prop_assert!(!json.replace('\n', "").contains(steers));
            prop_assert_eq!(&serde_json::from_str::<[String; 1]>(&json).expect("still JSON")[0], &text);
            prop_assert!(!escaped_lines(&text).replace('\n', "").contains(steers));
            prop_assert!(!tidy(&text).unwrap_or_default().contains(steers));
            prop_assert!(!plain(&text, 100).contains(steers));
        }
    }
}
