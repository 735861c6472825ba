//! The address under which trust is stored.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustls::pki_types::ServerName;

use crate::image::{host_and_port, shown};
use crate::text::without_user_info;

/// The port of https.
const DEFAULT_PORT: u16 = 443;

/// The text is no `host` or `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a registry address")]
pub struct InvalidHost(String);

/// `host:port` in the one form that directories are named by: lower case, with its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryHost {
    host: String,
    port: u16,
}

impl RegistryHost {
    /// Returns the host without its port; IPv6 addresses keep their brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the directories below `root` that are this host's: `host:port`, and for the port of https also `host`,
    /// as references are written without it.
    pub fn directories(&self, root: &Path) -> Vec<PathBuf> {
        let mut directories = vec![root.join(self.to_string())];
        if self.port == DEFAULT_PORT {
            directories.push(root.join(&self.host));
        }
        directories
    }

    /// Returns the name that a certificate has to be valid for.
    pub(super) fn server_name(&self) -> Option<ServerName<'static>> {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        ServerName::try_from(bare.to_owned()).ok()
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl FromStr for RegistryHost {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let invalid = || InvalidHost(shown(&without_user_info(text)).chars().take(100).collect());
        // A registry with plain HTTP has no certificate.
        if text.trim().get(..7).is_some_and(|start| start.eq_ignore_ascii_case("http://")) {
            return Err(invalid());
        }
        let (host, port) = host_and_port(text).ok_or_else(invalid)?;
        let address = Self { host, port };
        if address.server_name().is_none() {
            return Err(invalid());
        }
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_form_for_every_way_to_write_an_address() {
        for (text, expected) in [
            ("Gitea.cnoe.localtest.me:8443", "gitea.cnoe.localtest.me:8443"),
            ("https://registry.example/", "registry.example:443"),
            ("HTTPS://registry.example/v2/", "registry.example:443"),
            ("[0:0::1]:443", "[::1]:443"),
            ("localhost:5000", "localhost:5000"),
            ("127.0.0.1", "127.0.0.1:443"),
            ("[::1]:5000", "[::1]:5000"),
            ("[::1]", "[::1]:443"),
        ] {
            assert_eq!(text.parse::<RegistryHost>().expect(text).to_string(), expected);
        }
        for text in ["", "..", "../x", "a/b", "a:0", "a:99999", "a b", "http://a", "a:b", ".", "/"] {
            assert!(text.parse::<RegistryHost>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_port_of_https_may_be_left_out_of_a_directory() {
        let directories = |text: &str| text.parse::<RegistryHost>().expect(text).directories(Path::new("/c"));
        assert_eq!(directories("a.example"), [Path::new("/c/a.example:443"), Path::new("/c/a.example")]);
        assert_eq!(directories("a.example:5000"), [Path::new("/c/a.example:5000")]);
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_never_leaves_the_directory(text in "\\PC{0,80}") {
            if let Ok(host) = text.parse::<RegistryHost>() {
                for directory in host.directories(Path::new("/root")) {
                    prop_assert_eq!(directory.parent(), Some(Path::new("/root")));
                }
            }
        }
    }
}
