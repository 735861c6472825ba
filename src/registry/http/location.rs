//! Addresses of requests: `Location` headers are resolved, queries extended.

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

use super::origin::{Carried, Misdirection, Origin, Passage, admit, passage};

/// Bytes that a `Location` may have: addresses of sessions carry state, signed ones a kilobyte or two.
const MAX_LOCATION_BYTES: usize = 16 * 1024;

/// Resolves a `Location` against the URI of the request it answers (RFC 3986 section 5, without dot
/// segments) and checks where it leads. The query is kept: it carries session state.
///
/// Registries behind a TLS proxy often write `http://` for themselves; that stays https.
pub(in crate::registry) fn resolve(own: &Origin, base: &Uri, location: &str) -> Result<Uri, Misdirection> {
    resolve_unless(own, base, location, |_| false)
}

/// Resolves like [`resolve`], but follows the registry to any origin for which `open` returns true, whatever the
/// scheme.
pub(in crate::registry) fn resolve_unless(
    own: &Origin,
    base: &Uri,
    location: &str,
    open: impl Fn(&Origin) -> bool,
) -> Result<Uri, Misdirection> {
    if location.is_empty() || location.len() > MAX_LOCATION_BYTES {
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
    if open(&target) {
        return Ok(uri);
    }
    let from = Origin::of(base).ok_or(Misdirection::Malformed)?;
    if from.is_https() && !target.is_https() && target.host() == from.host() {
        uri = with_origin_of(uri, base)?;
        target = from.clone();
    }
    if passage(Carried::Content, &from, &target) == Passage::Refuse {
        return Err(Misdirection::Downgrade(target));
    }
    admit(own, &target)?;
    Ok(uri)
}

/// Returns an absolute http(s) URI without userinfo.
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

/// Returns the URI of `path_and_query` at `authority`.
pub(in crate::registry) fn absolute(
    https: bool,
    authority: &Authority,
    path_and_query: &str,
) -> Result<Uri, Misdirection> {
    Uri::builder()
        .scheme(if https { Scheme::HTTPS } else { Scheme::HTTP })
        .authority(authority.clone())
        .path_and_query(path_and_query)
        .build()
        .map_err(|_| Misdirection::Malformed)
}

/// Appends `key=value` to the query; the value is escaped.
pub(in crate::registry) fn with_query(uri: &Uri, key: &str, value: &str) -> Result<Uri, Misdirection> {
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
pub(in crate::registry) const QUERY_VALUE: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
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
        ] {
            assert_eq!(resolve(&own, &base, location), Err(expected), "{location}");
        }
    }

    #[test]
    fn no_answer_leads_from_tls_to_plain_http() {
        // The registry has no TLS, but its token service has.
        let own = origin("http://reg.example/");
        let base = uri("https://auth.example/token");
        let target = origin("http://other.example/");
        assert_eq!(resolve(&own, &base, "http://other.example/x"), Err(Misdirection::Downgrade(target)));
        assert_eq!(resolve(&own, &base, "http://auth.example/x").as_ref().map(Uri::scheme_str), Ok(Some("https")));
    }

    #[test]
    fn the_length_of_a_location_is_limited() {
        let (own, base) = (origin("https://reg.example/"), uri("https://reg.example/v2/"));
        let location = |length: usize| format!("/{}", "a".repeat(length - 1));
        assert!(resolve(&own, &base, &location(MAX_LOCATION_BYTES)).is_ok());
        let long = resolve(&own, &base, &location(MAX_LOCATION_BYTES + 1));
        assert_eq!(long, Err(Misdirection::Malformed));
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
