//! A text that is neither displayed nor logged.

use std::fmt;

use zeroize::Zeroizing;

/// A password or token. It cannot be printed, and its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of the text.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns the text, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debugging_shows_neither_text_nor_length() {
        let secrets = [Secret::new("hunter2".into()), Secret::new(String::new())];
        assert_eq!(format!("{secrets:?}"), "[[secret], [secret]]");
        assert_eq!(secrets[0].clone().expose(), "hunter2");
    }
}
