//! Texts of others, made fit to be shown: what a registry says must not steer the terminal it is shown on.

/// Characters kept of any text for people.
pub(super) const MAX_TEXT_CHARACTERS: usize = 600;

/// One line without characters that are not there to be seen, cut to a length fit for a message; `None` when nothing
/// is left.
pub(super) fn tidy(text: &str) -> Option<String> {
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

/// The first `most` characters, with a mark in the place of those that are not there to be seen.
pub(super) fn plain(text: &str, most: usize) -> String {
    let seen = |c: char| if c.is_control() || is_format(c) { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().take(most).map(seen).collect()
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

    proptest! {
        #[test]
        fn nothing_steers_a_terminal(text in any::<String>()) {
            let steers = |c: char| c.is_control() || is_format(c);
            prop_assert!(!tidy(&text).unwrap_or_default().contains(steers));
            prop_assert!(!plain(&text, 100).contains(steers));
        }
    }
}
