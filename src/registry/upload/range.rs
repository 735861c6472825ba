//! What registries say about a session: its address, and in `Range` the bytes they have.

use http::Uri;

/// Bytes received according to the registry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Count {
    /// So many.
    Bytes(u64),
    /// None or one: `0-0` stands for both.
    AtMostOne,
    /// It does not say, or not in a form that means something.
    #[default]
    Unsaid,
}

/// Where the registry says that a session is.
#[derive(Debug, Default)]
pub(super) struct Whereabouts {
    /// The newest address of the session, if the answer names one.
    pub(super) location: Option<Uri>,
    /// The bytes that the registry counts.
    pub(super) count: Count,
}

impl Count {
    /// Reads `0-` and the offset of the last byte, with or without the unit.
    pub(super) fn parse(range: Option<&str>) -> Self {
        let Some(range) = range else { return Self::Unsaid };
        let range = range.trim();
        let Some((start, end)) = range.strip_prefix("bytes=").unwrap_or(range).split_once('-') else {
            return Self::Unsaid;
        };
        match (start.parse::<u64>(), end.parse::<u64>()) {
            (Ok(0), Ok(0)) => Self::AtMostOne,
            (Ok(0), Ok(end)) => Self::Bytes(end.saturating_add(1)),
            _ => Self::Unsaid,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_in_the_wild() {
        for (text, expected) in [
            ("0-1048575", Count::Bytes(1_048_576)),
            ("bytes=0-9", Count::Bytes(10)),
            ("0-0", Count::AtMostOne),
            ("bytes=0--1", Count::Unsaid),
            ("5-9", Count::Unsaid),
            ("", Count::Unsaid),
            ("x-y", Count::Unsaid),
            ("0-18446744073709551615", Count::Bytes(u64::MAX)),
        ] {
            assert_eq!(Count::parse(Some(text)), expected, "{text}");
        }
        assert_eq!(Count::parse(None), Count::Unsaid);
    }

    proptest! {
        #[test]
        fn ranges_never_panic(text in "\\PC{0,40}") {
            let _ = Count::parse(Some(&text));
        }
    }
}
