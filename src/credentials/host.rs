//! The canonical form of a registry's address, under which credentials are stored.

use std::fmt;
use std::str::FromStr;

use crate::image::host_and_port;
use crate::text::without_user_info;

/// The port of addresses without one.
const DEFAULT_PORT: u16 = 443;
/// The longest address, in bytes; a host name has at most 253.
const MAX_BYTES: usize = 512;
/// The name under which credentials for Docker Hub are stored.
const HUB: &str = "docker.io";

/// The text is no address of a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the address of a registry")]
pub struct InvalidHostKey(String);

/// A registry, however its address is written: `host`, `host:port`, a URL, with `/v1/`, `/v2/` or a slash
/// behind it, in any case. Shown as `host:port`, and as `host` where the port is 443.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostKey {
    host: String,
    port: u16,
}

impl HostKey {
    /// Returns the host without its port, lower case; IPv6 addresses keep their brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            DEFAULT_PORT => f.write_str(&self.host),
            port => write!(f, "{}:{port}", self.host),
        }
    }
}

impl FromStr for HostKey {
    type Err = InvalidHostKey;

    fn from_str(text: &str) -> Result<Self, InvalidHostKey> {
        // The message leaves out a user name and password before the host.
        let invalid = || {
            let shown = without_user_info(text);
            InvalidHostKey(shown.chars().filter(|letter| !letter.is_control()).take(100).collect())
        };
        let text = text.trim();
        if text.len() > MAX_BYTES {
            return Err(invalid());
        }
        let (host, port) = host_and_port(text).ok_or_else(invalid)?;
        let hub = port == DEFAULT_PORT && is_hub(&host);
        Ok(Self { host: if hub { HUB.to_owned() } else { host }, port })
    }
}

/// Returns whether a host name, lower case, is one of Docker Hub's.
pub(super) fn is_hub(host: &str) -> bool {
    matches!(host, "docker.io" | "index.docker.io" | "registry-1.docker.io")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_form_for_every_way_to_write_an_address() {
        for (texts, expected) in [
            (
                &["R.example", "r.example:443", "https://r.example", "HTTPS://R.EXAMPLE:443/v2/", " r.example/\n"][..],
                "r.example",
            ),
            (
                &["r.example:8443", "https://r.example:8443/v1/", "r.example:8443/v2", "R.example:8443///"],
                "r.example:8443",
            ),
            (&["http://r.example/", "r.example:80"], "r.example:80"),
            (&["https://index.docker.io/v1/", "docker.io", "registry-1.docker.io:443"], "docker.io"),
            (&["[::1]", "https://[::1]:443/"], "[::1]"),
            (&["[::1]:5000"], "[::1]:5000"),
            (&["localhost"], "localhost"),
        ] {
            for text in texts {
                assert_eq!(text.parse::<HostKey>().map(|key| key.to_string()).as_deref(), Ok(expected), "{text:?}");
            }
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}.example", "a".repeat(MAX_BYTES));
        for text in ["", "/", "..", "a b", "a/team", "u:p@a", "a:0", "a:99999", "a:b", "ftp://a", "a\0", "a\nb", &long]
        {
            assert!(text.parse::<HostKey>().is_err(), "{text:?}");
        }
        let error = "a\u{1b}[31m b".parse::<HostKey>().expect_err("refused");
        assert_eq!(error.to_string(), "`a[31m b` is not the address of a registry");
        for text in [
            "u:hunter2@a",
            "https://u:hunter2@a/",
            "u:hunter2/@a b",
            &format!("hunter2{} @a b", "x".repeat(300)),
            "hunter2@x@a",
            "ftp://u:hunter2@a",
            "u:hunter2\n@a",
            " https://u:hunter2@a:0/v2/",
        ] {
            let error = text.parse::<HostKey>().expect_err("refused");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn the_form_is_stable(text in "\\PC{0,40}", host in "[a-zA-Z0-9.-]{1,20}", port: u16) {
            for text in [text, format!("{host}:{port}"), format!("HTTP://{host}/v2/")] {
                if let Ok(key) = text.parse::<HostKey>() {
                    prop_assert_eq!(key.to_string().parse(), Ok(key));
                }
            }
        }
    }
}
