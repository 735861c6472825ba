//! `WWW-Authenticate` (RFC 9110 section 11.6.1): all headers, several challenges in each.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// Challenges read from one answer; a registry has no reason to send more.
const MAX_CHALLENGES: usize = 16;
/// Bytes read of one header.
const MAX_HEADER_BYTES: usize = 8 * 1024;

/// What a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token from `realm` (distribution-spec, token authentication).
    Bearer {
        /// URL of the token service.
        realm: String,
        /// The name the token service knows the registry by.
        service: Option<String>,
        /// What the token must permit.
        scope: Option<String>,
        /// Why the token sent was not enough, as `insufficient_scope`.
        error: Option<String>,
    },
    /// User name and password with each request.
    Basic {
        /// What the password is for.
        realm: String,
    },
}

/// All Bearer and Basic challenges of an answer, in order; other schemes and garbage are passed over.
pub(super) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let mut found = Vec::new();
    for value in headers.get_all(WWW_AUTHENTICATE) {
        let bytes = value.as_bytes();
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_HEADER_BYTES)]);
        for (scheme, parameters) in split(&text) {
            let get = |name: &str| {
                #[cfg(test)]
                crate::work::add(parameters.len());
                parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("bearer") {
                if let Some(realm) = get("realm") {
                    let (service, scope, error) = (get("service"), get("scope"), get("error"));
                    found.push(Challenge::Bearer { realm, service, scope, error });
                }
            } else if scheme.eq_ignore_ascii_case("basic") {
                found.push(Challenge::Basic { realm: get("realm").unwrap_or_default() });
            }
            if found.len() == MAX_CHALLENGES {
                return found;
            }
        }
    }
    found
}

type Parameters = Vec<(String, String)>;

/// Splits a header into schemes with their parameters.
fn split(text: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut rest = text.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let (word, after) = token(rest);
        if word.is_empty() {
            // Not a token: skip to the next comma, where the grammar can start again.
            let comma = rest.find(',').unwrap_or(rest.len());
            #[cfg(test)]
            crate::work::add(comma + 1);
            rest = rest[comma..].trim_start_matches([' ', '\t', ',']);
            continue;
        }
        let after_space = after.trim_start_matches([' ', '\t']);
        if let Some(value) = after_space.strip_prefix('=')
            && let Some((_, parameters)) = found.last_mut()
        {
            let value = value.trim_start_matches([' ', '\t']);
            let (value, after) = if let Some(quoted) = value.strip_prefix('"') {
                quoted_string(quoted)
            } else {
                let end = value.find([',', ' ', '\t']).unwrap_or(value.len());
                #[cfg(test)]
                crate::work::add(end);
                (value[..end].to_owned(), &value[end..])
            };
            parameters.push((word.to_owned(), value));
            rest = after;
        } else {
            found.push((word.to_owned(), Vec::new()));
            // `Negotiate dG9rZW4=`: a token68 would read as a parameter; schemes we know have none.
            rest = after_space.trim_start_matches('=');
        }
        rest = rest.trim_start_matches([' ', '\t', ',']);
    }
    found
}

fn token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(c);
    let end = text.find(|c| !is_token(c)).unwrap_or(text.len());
    #[cfg(test)]
    crate::work::add(end + 1);
    text.split_at(end)
}

/// The content of a quoted string whose opening quote is gone, and what follows it.
fn quoted_string(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        #[cfg(test)]
        crate::work::count();
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn parse(values: &[&str]) -> Vec<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(value.as_bytes()).expect("a header value"));
        }
        challenges(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
            scope: scope.map(Into::into),
            error: None,
        }
    }

    #[test]
    fn registries_in_the_wild() {
        assert_eq!(
            parse(&[r#"Bearer realm="https://gitea.x:8443/v2/token",service="container_registry",scope="*""#]),
            [bearer("https://gitea.x:8443/v2/token", Some("container_registry"), Some("*"))]
        );
        assert_eq!(
            parse(&[r#"Bearer realm="https://auth/t",service="r",scope="repository:a/b:pull,push""#]),
            [bearer("https://auth/t", Some("r"), Some("repository:a/b:pull,push"))]
        );
        assert_eq!(parse(&[r#"Basic realm="Registry Realm""#]), [Challenge::Basic { realm: "Registry Realm".into() }]);
        assert_eq!(parse(&["BASIC"]), [Challenge::Basic { realm: String::new() }]);
        assert_eq!(parse(&["bearer realm=https://auth/t"]), [bearer("https://auth/t", None, None)]);
    }

    #[test]
    fn several_challenges_in_one_header_and_in_several() {
        let expected = [Challenge::Basic { realm: "a, b \"c\"".into() }, bearer("https://t", Some("s"), None)];
        assert_eq!(parse(&[r#"Basic realm="a, b \"c\"", Bearer realm="https://t" , service="s""#]), expected);
        assert_eq!(parse(&[r#"Basic realm="a, b \"c\"""#, r#"Bearer realm="https://t",service="s""#]), expected);
        assert_eq!(
            parse(&[r#"Negotiate dG9rZW4=, Digest realm="x", Bearer realm="https://t""#]),
            [bearer("https://t", None, None)]
        );
    }

    #[test]
    fn the_error_parameter_is_kept() {
        let found = parse(&[r#"Bearer realm="https://t",error="insufficient_scope""#]);
        assert!(
            matches!(&found[..], [Challenge::Bearer { error: Some(e), .. }] if e == "insufficient_scope"),
            "{found:?}"
        );
    }

    #[test]
    fn bearer_without_realm_is_no_challenge() {
        assert_eq!(parse(&[r#"Bearer service="x""#, "", ",,", "=", "\"x\""]), []);
    }

    #[test]
    fn what_is_read_of_challenges_is_limited() {
        assert_eq!(parse(&["Basic realm=x"; 40]).len(), MAX_CHALLENGES);
        assert_eq!(parse(&[&"Basic realm=x, ".repeat(40)]).len(), MAX_CHALLENGES);
        let after = |length: usize| format!("{}, Basic realm=x", "a".repeat(length));
        assert_eq!(parse(&[&after(MAX_HEADER_BYTES - 20)]).len(), 1);
        assert_eq!(parse(&[&after(MAX_HEADER_BYTES)]), []);
    }

    #[test]
    fn twice_the_header_is_twice_the_work() {
        for part in [
            "Bearer a=b, ",
            "Bearer service=\"s\",",
            "a=b,",
            "a=\"b\\\"\",",
            "a=\",",
            "realm=x ",
            "a ",
            "a",
            "=",
            "\",",
            "Negotiate dG9rZW4=, ",
        ] {
            let most = MAX_HEADER_BYTES / part.len() / 2;
            crate::work::grows_with_size(most, |parts| parse(&[&part.repeat(parts)]));
            crate::work::grows_with_size(100, |headers| parse(&vec![part; headers]));
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(0x20u8.., 0..200)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut headers = HeaderMap::new();
                headers.append(WWW_AUTHENTICATE, value);
                prop_assert!(challenges(&headers).len() <= MAX_CHALLENGES);
            }
        }

        #[test]
        fn quoted_values_survive(realm in "[ -~]{0,40}", scope in "[ -~]{0,40}") {
            let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let found = parse(&[&format!(r#"Bearer realm="{}",scope="{}""#, quote(&realm), quote(&scope))]);
            prop_assert_eq!(found, [bearer(&realm, None, Some(&scope))]);
        }
    }
}
