//! Where a request may go: origins, `Location` resolution, and what a registry may send us to.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

/// Scheme, host and port: what credentials are bound to (RFC 6454).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    https: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an absolute http or https URI.
    pub fn of(uri: &Uri) -> Option<Self> {
        let https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = uri.host()?.to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        Some(Self { https, host, port })
    }

    /// Whether the scheme is https.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The host without its port; IPv6 addresses keep their brackets.
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", if self.https { "https" } else { "http" }, self.host, self.port)
    }
}

/// Why a `Location` or realm is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misdirection {
    /// Not a URI reference, or not http(s).
    #[error("the address is not valid")]
    Malformed,
    /// From TLS to plain http.
    #[error("it leads from https to plain http at {0}")]
    Downgrade(Origin),
    /// To an address inside this machine or network that is not the registry's own.
    #[error("it leads to the internal address {0}")]
    Internal(Origin),
    /// To another host, without TLS, on the word of an answer that came without TLS.
    #[error("{from}, asked without TLS, leads to another host without TLS, {to}")]
    Unprotected {
        /// Who said so.
        from: Origin,
        /// Where it leads.
        to: Origin,
    },
}

/// Names that mean this machine even without DNS: idpbuilder's domain and `localhost`.
pub fn is_loopback_name(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    ["localhost", "localtest.me"]
        .iter()
        .any(|name| host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// Whether the host is this machine, by name or by address.
pub(super) fn is_loopback(host: &str) -> bool {
    is_loopback_name(host) || literal(host).is_some_and(|address| address.is_loopback())
}

fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether the host (without port, IPv6 in brackets) names this machine or an address that the internet
/// does not route.
pub fn is_internal(host: &str) -> bool {
    let v4 = |address: std::net::Ipv4Addr| {
        address.is_loopback()
            || address.is_private()
            || address.is_link_local()
            || address.is_unspecified()
            || address.octets()[0] == 100 && (64..128).contains(&address.octets()[1])
    };
    is_loopback_name(host)
        || match literal(host) {
            Some(IpAddr::V4(address)) => v4(address),
            Some(IpAddr::V6(address)) => {
                address.to_ipv4_mapped().is_some_and(v4)
                    || address.is_loopback()
                    || address.is_unspecified()
                    || address.is_unique_local()
                    || address.is_unicast_link_local()
            }
            None => false,
        }
}

/// Fails when a registry at `own` must not send us to `target`.
///
/// The registry's own host may name any of its ports; a registry that is internal itself may name
/// internal addresses.
pub(super) fn admit(own: &Origin, target: &Origin) -> Result<(), Misdirection> {
    if own.https && !target.https {
        return Err(Misdirection::Downgrade(target.clone()));
    }
    if is_internal(&target.host) && target.host != own.host && !is_internal(&own.host) {
        return Err(Misdirection::Internal(target.clone()));
    }
    Ok(())
}

/// Fails when credentials for the registry at `own` must not go to the token service at `realm`, as an answer from
/// `from` asks for.
///
/// Over TLS the registry itself has said so. Without TLS, whoever is on the way may have: but they could as well ask
/// for the password at the registry's own address. So what must not happen is that it goes where others can read it
/// who could not before: to another host without TLS, unless both are this machine.
pub(super) fn admit_realm(own: &Origin, from: &Origin, realm: &Origin) -> Result<(), Misdirection> {
    admit(own, realm)?;
    let vouched = own.https && from.https;
    let here = is_loopback(&own.host) && is_loopback(&realm.host);
    if vouched || realm.https || realm.host == own.host || here {
        return Ok(());
    }
    Err(Misdirection::Unprotected { from: from.clone(), to: realm.clone() })
}

/// Resolves a `Location` against the URI of the request it answers (RFC 3986 section 5, without dot
/// segments) and checks where it leads. The query is kept: it carries session state.
///
/// Registries behind a TLS proxy often write `http://` for themselves; that stays https.
pub(super) fn resolve(own: &Origin, base: &Uri, location: &str) -> Result<Uri, Misdirection> {
    if location.is_empty() || location.len() > 16 * 1024 {
        return Err(Misdirection::Malformed);
    }
    let location = location.split('#').next().unwrap_or_default();
    let mut parts = base.clone().into_parts();
    if let Some(rest) = location.strip_prefix("//") {
        let scheme = base.scheme_str().ok_or(Misdirection::Malformed)?;
        parts = parse(&format!("{scheme}://{rest}"))?.into_parts();
    } else if location.starts_with('/') {
        parts.path_and_query = Some(location.parse().map_err(|_| Misdirection::Malformed)?);
    } else if location.split(['/', '?']).next().is_some_and(|first| first.contains(':')) {
        parts = parse(location)?.into_parts();
    } else {
        let path = base.path();
        let joined = if location.starts_with('?') {
            format!("{path}{location}")
        } else {
            format!("{}/{location}", path.rsplit_once('/').map_or("", |(directory, _)| directory))
        };
        parts.path_and_query = Some(joined.parse().map_err(|_| Misdirection::Malformed)?);
    }
    let mut uri = Uri::from_parts(parts).map_err(|_| Misdirection::Malformed)?;
    let mut target = Origin::of(&uri).ok_or(Misdirection::Malformed)?;
    let from = Origin::of(base).ok_or(Misdirection::Malformed)?;
    if from.https && !target.https && target.host == from.host {
        uri = with_origin_of(uri, base)?;
        target = from;
    }
    admit(own, &target)?;
    Ok(uri)
}

/// An absolute http(s) URI without userinfo.
fn parse(text: &str) -> Result<Uri, Misdirection> {
    let uri: Uri = text.parse().map_err(|_| Misdirection::Malformed)?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(Misdirection::Malformed);
    }
    Ok(uri)
}

fn with_origin_of(uri: Uri, base: &Uri) -> Result<Uri, Misdirection> {
    let mut parts = uri.into_parts();
    parts.scheme = base.scheme().cloned();
    parts.authority = base.authority().cloned();
    Uri::from_parts(parts).map_err(|_| Misdirection::Malformed)
}

/// The URI of `path_and_query` at `authority`.
pub(super) fn absolute(https: bool, authority: &Authority, path_and_query: &str) -> Result<Uri, Misdirection> {
    Uri::builder()
        .scheme(if https { Scheme::HTTPS } else { Scheme::HTTP })
        .authority(authority.clone())
        .path_and_query(path_and_query)
        .build()
        .map_err(|_| Misdirection::Malformed)
}

/// Appends `key=value` to the query; the value is escaped.
pub(super) fn with_query(uri: &Uri, key: &str, value: &str) -> Result<Uri, Misdirection> {
    let mut parts = uri.clone().into_parts();
    let mut text = parts.path_and_query.as_ref().map_or("/", PathAndQuery::as_str).to_owned();
    match uri.query() {
        None => text.push('?'),
        Some(_) if text.ends_with(['?', '&']) => {}
        Some(_) => text.push('&'),
    }
    text.push_str(key);
    text.push('=');
    text.extend(percent_encoding::utf8_percent_encode(value, QUERY_VALUE));
    parts.path_and_query = Some(text.parse().map_err(|_| Misdirection::Malformed)?);
    Uri::from_parts(parts).map_err(|_| Misdirection::Malformed)
}

/// Everything but unreserved characters and those that scopes, digests and names are written with.
pub(super) const QUERY_VALUE: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'/')
    .remove(b',')
    .remove(b'*');

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().expect(text)
    }

    fn origin(text: &str) -> Origin {
        Origin::of(&uri(text)).expect(text)
    }

    #[test]
    fn locations_resolve_against_the_request() {
        let base = uri("https://reg.example:8443/v2/a/b/blobs/uploads/?x=1");
        let own = origin("https://reg.example:8443/");
        for (location, expected) in [
            ("/v2/a/b/blobs/uploads/1", "https://reg.example:8443/v2/a/b/blobs/uploads/1"),
            ("/v2/u?_state=a%2Fb&c=d", "https://reg.example:8443/v2/u?_state=a%2Fb&c=d"),
            ("https://reg.example:8443/u?_state=1", "https://reg.example:8443/u?_state=1"),
            ("//reg.example/u", "https://reg.example/u"),
            ("1234?s=t", "https://reg.example:8443/v2/a/b/blobs/uploads/1234?s=t"),
            ("?s=t", "https://reg.example:8443/v2/a/b/blobs/uploads/?s=t"),
            ("https://cdn.example/blob?sig=1", "https://cdn.example/blob?sig=1"),
            ("http://reg.example/u?_state=1", "https://reg.example:8443/u?_state=1"),
        ] {
            assert_eq!(
                resolve(&own, &base, location).map(|uri| uri.to_string()).as_deref(),
                Ok(expected),
                "{location}"
            );
        }
    }

    #[test]
    fn locations_that_lead_astray_are_refused() {
        let own = origin("https://reg.example/");
        let base = uri("https://reg.example/v2/");
        for (location, expected) in [
            ("", Misdirection::Malformed),
            ("ftp://reg.example/", Misdirection::Malformed),
            ("https://user:secret@reg.example/", Misdirection::Malformed),
            ("https://[::1", Misdirection::Malformed),
            ("http://other.example/", Misdirection::Downgrade(origin("http://other.example/"))),
            ("https://127.0.0.1/", Misdirection::Internal(origin("https://127.0.0.1/"))),
            ("https://[::ffff:10.0.0.1]/", Misdirection::Internal(origin("https://[::ffff:10.0.0.1]/"))),
            ("https://169.254.169.254/x", Misdirection::Internal(origin("https://169.254.169.254/"))),
            ("https://app.localhost/x", Misdirection::Internal(origin("https://app.localhost/"))),
        ] {
            assert_eq!(resolve(&own, &base, location), Err(expected), "{location}");
        }
    }

    #[test]
    fn an_internal_registry_may_name_itself_and_its_neighbours() {
        for (own, target) in [
            ("https://gitea.cnoe.localtest.me:8443/", "https://gitea.cnoe.localtest.me:9443/"),
            ("https://gitea.cnoe.localtest.me:8443/", "https://127.0.0.1/"),
            ("http://127.0.0.1:5000/", "http://127.0.0.1:5001/"),
            ("https://10.0.0.1/", "https://10.0.0.2/"),
        ] {
            assert_eq!(admit(&origin(own), &origin(target)), Ok(()), "{own} {target}");
        }
    }

    #[test]
    fn credentials_go_to_no_other_host_without_tls() {
        let tls = "https://reg.example/";
        let plain = "http://reg.example:5000/";
        let here = "http://127.0.0.1:5000/";
        for (own, from, realm, admitted) in [
            (tls, tls, "https://auth.example/", true),
            (tls, tls, "http://auth.example/", false),
            (tls, tls, "https://127.0.0.1/", false),
            // The registry led the question elsewhere, and that is no more than the registry's own word.
            (tls, "https://cdn.example/", "https://auth.example/", true),
            (plain, plain, "http://reg.example:5001/", true),
            (plain, plain, "https://reg.example/", true),
            (plain, plain, "https://auth.example/", true),
            (plain, plain, "http://auth.example/", false),
            (plain, plain, "http://127.0.0.1:5001/", false),
            (plain, "https://cdn.example/", "http://auth.example/", false),
            ("http://10.0.0.1/", "http://10.0.0.1/", "http://10.0.0.2/", false),
            ("http://10.0.0.1/", "http://10.0.0.1/", "http://127.0.0.1/", false),
            // A forwarded port of Gitea, which knows itself by its name outside.
            (here, here, "https://gitea.cnoe.localtest.me:8443/", true),
            (here, here, "http://localhost:5001/", true),
            (here, here, "http://[::1]:5001/", true),
            (here, here, "https://auth.example/", true),
            (here, here, "http://auth.example/", false),
            (here, here, "http://10.0.0.2/", false),
        ] {
            let found = admit_realm(&origin(own), &origin(from), &origin(realm));
            assert_eq!(found.is_ok(), admitted, "{own} {from} {realm}: {found:?}");
        }
    }

    #[test]
    fn loopback_names() {
        for name in ["localhost", "LOCALHOST.", "a.localhost", "localtest.me", "gitea.cnoe.localtest.me"] {
            assert!(is_loopback_name(name), "{name}");
        }
        for name in ["notlocalhost", "localtest.me.evil.example", "mylocaltest.me", ""] {
            assert!(!is_loopback_name(name), "{name}");
        }
    }

    #[test]
    fn queries_are_extended() {
        for (text, expected) in [
            ("http://h/u", "http://h/u?digest=sha256:ab"),
            ("http://h/u?_state=1", "http://h/u?_state=1&digest=sha256:ab"),
            ("http://h/u?", "http://h/u?digest=sha256:ab"),
        ] {
            assert_eq!(with_query(&uri(text), "digest", "sha256:ab").expect(text), expected);
        }
        assert_eq!(with_query(&uri("http://h/"), "k", "a b&c").expect("ok"), "http://h/?k=a%20b%26c");
    }

    #[test]
    fn default_ports_make_no_difference() {
        assert_eq!(origin("https://A.example/"), origin("https://a.example:443/"));
        assert_ne!(origin("https://a.example/"), origin("https://a.example:8443/"));
        assert_ne!(origin("http://a.example/"), origin("https://a.example/"));
    }

    proptest! {
        #[test]
        fn resolving_never_panics_and_never_downgrades(location in "\\PC{0,200}") {
            let base = uri("https://reg.example/v2/x");
            if let Ok(uri) = resolve(&origin("https://reg.example/"), &base, &location) {
                prop_assert_eq!(uri.scheme_str(), Some("https"));
            }
        }
    }
}
