//! Sizes as people type them.

/// `512MiB`, `512M`, `512mb`, `1g`, `65536`: binary multiples, as docker and kubectl's `Mi` have it.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
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
}
