//! `Range` of downloads (RFC 9110, section 14.2) and `Content-Range` of upload chunks
//! (distribution-spec, "Pushing a blob in chunks").

/// The part of a blob that a client requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The whole blob: there is no range, an unknown form of range, or several at once.
    Whole,
    /// `length` bytes from `start`; at least one.
    Part { start: u64, length: u64 },
    /// A range that lies outside of the blob.
    Nothing,
}

/// Reads a `Range` header against a blob of `size` bytes.
pub(super) fn wanted(header: &str, size: u64) -> Wanted {
    let Some((unit, range)) = header.split_once('=') else { return Wanted::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") || range.contains(',') {
        return Wanted::Whole;
    }
    let Some((first, last)) = range.split_once('-') else { return Wanted::Whole };
    match (first.trim(), last.trim()) {
        ("", "") => Wanted::Whole,
        ("", suffix) => match number(suffix) {
            None => Wanted::Whole,
            Some(length) if length == 0 || size == 0 => Wanted::Nothing,
            Some(length) => {
                let length = length.min(size);
                Wanted::Part { start: size - length, length }
            }
        },
        (first, last) => {
            let (Some(start), Some(end)) = (number(first), if last.is_empty() { Some(u64::MAX) } else { number(last) })
            else {
                return Wanted::Whole;
            };
            if end < start {
                return Wanted::Whole;
            }
            if start >= size {
                return Wanted::Nothing;
            }
            Wanted::Part { start, length: end.min(size - 1) - start + 1 }
        }
    }
}

/// The position of a chunk: its first byte's offset and its length in bytes, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) start: u64,
    pub(super) length: u64,
}

/// Reads `start-end`, also as `bytes start-end/total`; `None` for anything else.
pub(super) fn chunk(header: &str) -> Option<Chunk> {
    let text = header.trim();
    let text = text.strip_prefix("bytes").map_or(text, |rest| rest.trim_start_matches([' ', '=']));
    let (range, total) = text.split_once('/').map_or((text, None), |(range, total)| (range, Some(total)));
    if total.is_some_and(|total| total != "*" && number(total).is_none()) {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let (start, end) = (number(start)?, number(end)?);
    let length = end.checked_sub(start)?.checked_add(1)?;
    Some(Chunk { start, length })
}

/// Parses a number of digits only, without sign or space, of at most 64 bits.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges() {
        let part = |start, length| Wanted::Part { start, length };
        for (header, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-4", part(2, 3)),
            ("Bytes = 2 - 4", part(2, 3)),
            ("bytes=2-", part(2, 8)),
            ("bytes=2-999", part(2, 8)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-999", part(0, 10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=4-2", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=x-y", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("bytes 0-1", Wanted::Whole),
            ("", Wanted::Whole),
        ] {
            assert_eq!(wanted(header, 10), expected, "{header}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Nothing);
        assert_eq!(wanted("bytes=-1", 0), Wanted::Nothing);
    }

    #[test]
    fn chunks() {
        for (header, start, length) in
            [("0-9", 0, 10), ("5-5", 5, 1), ("bytes 5-9/10", 5, 5), ("bytes=5-9", 5, 5), ("0-1/*", 0, 2)]
        {
            assert_eq!(chunk(header), Some(Chunk { start, length }), "{header}");
        }
        for header in ["", "5", "5-", "-5", "9-5", "a-b", "0-1/x", "0-18446744073709551615", "bytes */5", "+1-2"] {
            assert_eq!(chunk(header), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn parts_lie_inside(header in "(bytes=)?.{0,40}", size: u64) {
            if let Wanted::Part { start, length } = wanted(&header, size) {
                prop_assert!(length > 0 && start.checked_add(length).is_some_and(|end| end <= size));
            }
            let _ = chunk(&header);
        }

        #[test]
        fn numeric_ranges(first: u64, last: u64, size: u64) {
            if let Wanted::Part { start, length } = wanted(&format!("bytes={first}-{last}"), size) {
                prop_assert!(start == first && start + length <= size);
            }
            if let Some(found) = chunk(&format!("{first}-{last}")) {
                prop_assert_eq!(found.start + (found.length - 1), last);
            }
        }
    }
}
