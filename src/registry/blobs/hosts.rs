//! Hosts that blobs may come from although a registry must not lead there by itself.
//!
//! A registry may keep its blobs at a storage without TLS or at an internal address, and redirect downloads there. The
//! person can permit that for named hosts: blobs are checked by their digests, and no credential goes there.

use http::uri::Authority;

use crate::registry::http::origin::Origin;
use crate::text;

/// Characters shown of what is no host.
const MAX_SHOWN: usize = 200;

/// Hosts that the person named; none unless they did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlobHosts(Vec<(String, Option<u16>)>);

impl BlobHosts {
    /// Reads `host` and `host:port`, one each.
    ///
    /// # Errors
    /// The first text that is neither, fit to be shown: without what may be a password.
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        let read = |text: &String| {
            let shown = || text::plain(&text::without_user_info(text), MAX_SHOWN);
            let authority: Authority = text.parse().map_err(|_| shown())?;
            let name = authority.host().to_ascii_lowercase();
            let is_bare = authority.as_str().eq_ignore_ascii_case(&name);
            let has_port = authority.as_str().rsplit(']').next().is_some_and(|end| end.contains(':'));
            let has_user = authority.as_str().contains('@');
            if name.is_empty() || has_user || !is_bare && (!has_port || authority.port_u16().is_none()) {
                return Err(shown());
            }
            Ok((name, authority.port_u16()))
        };
        texts.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Returns whether none was named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether that origin is one of them. Without a port it is the scheme's own.
    pub(in crate::registry) fn has(&self, origin: &Origin) -> bool {
        let at = |port: Option<u16>| port.map_or_else(|| origin.has_default_port(), |port| port == origin.port());
        self.0.iter().any(|(host, port)| host == origin.host() && at(*port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(texts: &[&str]) -> Result<BlobHosts, String> {
        BlobHosts::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn only_named_hosts_and_ports_are_among_them() {
        let hosts = hosts(&["storage.example:9000", "CDN.example", "[fd00::1]:80"]).expect("hosts");
        for (origin, expected) in [
            ("http://storage.example:9000/", true),
            ("https://STORAGE.example:9000/", true),
            ("http://storage.example/", false),
            ("http://storage.example:9001/", false),
            ("http://cdn.example/", true),
            ("https://cdn.example/", true),
            ("http://cdn.example:443/", false),
            ("http://a.cdn.example/", false),
            ("http://[fd00::1]/", true),
        ] {
            let found = Origin::of(&origin.parse().expect(origin)).expect(origin);
            assert_eq!(hosts.has(&found), expected, "{origin}");
        }
        assert!(BlobHosts::default().is_empty());
    }

    #[test]
    fn what_is_no_host_is_named() {
        for text in ["", "http://storage.example", "storage.example/path", "storage.example:port", "a b", "h:"] {
            assert_eq!(hosts(&["a.example", text]), Err(text.to_owned()), "{text}");
        }
        assert_eq!(hosts(&["user:hunter2@a.example"]), Err("[hidden]@a.example".to_owned()));
    }
}
