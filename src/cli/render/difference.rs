//! Differences between images, and bytes of others, as text for a terminal.

use std::fmt::Write as _;

use crate::ops::inspect::{Aspect, Change, Difference};
use crate::text::escaped;

/// Longer values are cut in tables.
const MAX_DETAIL: usize = 60;

/// The place of a difference and what differs there, fit for a terminal.
pub(crate) fn details(found: &Difference) -> (String, String) {
    let cut = |text: &str| -> String {
        let short: String = text.chars().take(MAX_DETAIL).collect();
        if short.len() < text.len() { format!("{short}...") } else { short }
    };
    let told = |aspect: &Aspect| match (aspect.name, found.change) {
        ("content", _) => "content".to_owned(),
        (name, Change::Added) => format!("{name} {}", cut(&aspect.to)),
        (name, Change::Removed) => format!("{name} {}", cut(&aspect.from)),
        (name, Change::Changed) => format!("{name} {} -> {}", cut(&aspect.from), cut(&aspect.to)),
    };
    let details = found.aspects.iter().map(told).collect::<Vec<_>>().join(", ");
    (printable(found.place.as_bytes()), printable(details.as_bytes()))
}

/// Bytes of a name for people: what is not there to be seen and what is not UTF-8 as `\xNN`.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(&escaped(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_for_a_terminal() {
        assert_eq!(printable("naïve".as_bytes()), "naïve");
        assert_eq!(printable(b"a\x1b[31mb\n"), "a\\x1b[31mb\\x0a");
        assert_eq!(printable(b"latin1-\xe9"), "latin1-\\xe9");
    }
}
