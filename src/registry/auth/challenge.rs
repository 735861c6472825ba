//! `WWW-Authenticate` (RFC 9110 section 11.6.1): all headers, several challenges in each.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

use crate::text;

/// Challenges read from one answer; a registry has no reason to send more.
const MAX_CHALLENGES: usize = 16;
/// Bytes read of one header.
const MAX_HEADER_BYTES: usize = 8 * 1024;
/// Characters shown of a scheme's name.
const MAX_SCHEME_CHARACTERS: usize = 40;
/// What may stand between the parts of a challenge.
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// What a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) enum Challenge {
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

/// Returns all Bearer and Basic challenges of an answer in their order; other schemes and garbage are skipped.
pub(in crate::registry) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let spoken = read(headers).into_iter().filter_map(|Raw { scheme, parameters }| {
        let get = |name: &str| parameters.iter().rposition(|(key, _)| key == name).map(|at| parameters[at].1.clone());
        match scheme.as_str() {
            "bearer" => {
                let (realm, service, scope, error) = (get("realm")?, get("service"), get("scope"), get("error"));
                Some(Challenge::Bearer { realm, service, scope, error })
            }
            "basic" => Some(Challenge::Basic { realm: get("realm").unwrap_or_default() }),
            _ => None,
        }
    });
    spoken.take(MAX_CHALLENGES).collect()
}

/// Returns the names of all schemes that an answer asks for, in lower case and fit to be shown; a Bearer challenge that
/// names no token service says so.
pub(in crate::registry) fn schemes(headers: &HeaderMap) -> Vec<String> {
    let shown = read(headers).into_iter().map(|Raw { scheme, parameters }| {
        let lacks_realm = scheme == "bearer" && !parameters.iter().any(|(key, _)| key == "realm");
        let scheme = text::plain(&scheme, MAX_SCHEME_CHARACTERS);
        if lacks_realm { format!("{scheme} without a realm") } else { scheme }
    });
    let mut names: Vec<String> = shown.take(MAX_CHALLENGES).collect();
    names.dedup();
    names
}

/// A challenge as it is written: the scheme and the names of its parameters in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Raw {
    scheme: String,
    parameters: Vec<(String, String)>,
}

fn read(headers: &HeaderMap) -> Vec<Raw> {
    let mut found = Vec::new();
    for value in headers.get_all(WWW_AUTHENTICATE) {
        let bytes = value.as_bytes();
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_HEADER_BYTES)]);
        let mut rest: &str = &text;
        while let Some((challenge, after)) = next(rest) {
            found.push(challenge);
            rest = after;
        }
    }
    found
}

/// Returns the next challenge of a header, and what follows it.
///
/// One challenge is read as docker's client reads it: parameters follow each other with one comma between two of them,
/// nothing stands around the `=`, and reading ends at the first that is written otherwise. Of a parameter that stands
/// twice the last one counts. What comes behind that is passed over up to the next challenge, which docker's client does
/// not look for: it reads one for each header.
fn next(text: &str) -> Option<(Raw, &str)> {
    let (scheme, rest) = beginning(text)?;
    let mut challenge = Raw { scheme: scheme.to_ascii_lowercase(), parameters: Vec::new() };
    let mut rest = spaced(rest);
    // The first parameter has no comma in front.
    let mut at = rest;
    while let Some((name, value, after)) = parameter(at) {
        challenge.parameters.push((name.to_ascii_lowercase(), value));
        rest = spaced(after);
        let Some(behind) = rest.strip_prefix(',') else { break };
        at = spaced(behind);
    }
    Some((challenge, rest))
}

/// Returns the scheme of the next challenge, and what follows it: a token that ends the header or has a comma behind
/// it, or a space and no `=`. Everything before that is passed over, quoted strings as a whole.
fn beginning(text: &str) -> Option<(&str, &str)> {
    let mut rest = text;
    loop {
        let found = rest.trim_start_matches([' ', '\t', '\r', '\n', ',']);
        #[cfg(test)]
        crate::work::add(rest.len() - found.len());
        rest = found;
        if rest.is_empty() {
            return None;
        }
        let (word, after) = token(rest);
        let behind = spaced(after);
        if !word.is_empty()
            && (after.is_empty() || after.starts_with(',') || after.len() > behind.len())
            && !behind.starts_with('=')
        {
            return Some((word, after));
        }
        rest = passed_over(after);
    }
}

/// Returns what follows the next comma that is not inside a quoted string.
fn passed_over(text: &str) -> &str {
    let mut quoted = false;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        #[cfg(test)]
        crate::work::count();
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => return &text[at..],
            _ => {}
        }
    }
    ""
}

/// Returns a parameter at the beginning of the text, and what follows it.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let (name, after) = token(text);
    let value = after.strip_prefix('=').filter(|_| !name.is_empty())?;
    let (value, after) = if let Some(quoted) = value.strip_prefix('"') {
        quoted_string(quoted)?
    } else {
        let (value, after) = token(value);
        (value.to_owned(), after)
    };
    (!value.is_empty()).then_some((name, value, after))
}

/// Returns the text behind the spaces at its beginning.
fn spaced(text: &str) -> &str {
    let rest = text.trim_start_matches(SPACES);
    #[cfg(test)]
    crate::work::add(text.len() - rest.len());
    rest
}

fn token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !is_token(c)).unwrap_or(text.len());
    #[cfg(test)]
    crate::work::add(end + 1);
    text.split_at(end)
}

/// Returns the content of a quoted string whose opening quote is gone, and what follows it; nothing where it does not
/// end.
fn quoted_string(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        #[cfg(test)]
        crate::work::count();
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use http::HeaderValue;
    use proptest::prelude::*;
    use serde::Deserialize;

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
        assert_eq!(parse(&["bearer realm=auth"]), [bearer("auth", None, None)]);
    }

    #[derive(Deserialize)]
    struct Row {
        headers: Vec<String>,
        challenges: Vec<Expected>,
    }

    #[derive(Deserialize)]
    struct Expected {
        scheme: String,
        parameters: BTreeMap<String, String>,
    }

    /// Returns what is read of one header: each parameter with the value that counts.
    fn raw(header: &str) -> Vec<(String, BTreeMap<String, String>)> {
        let value = HeaderValue::from_bytes(header.as_bytes()).expect("a header value");
        let found = read(&HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]));
        found.into_iter().map(|raw| (raw.scheme, raw.parameters.into_iter().collect())).collect()
    }

    #[test]
    fn headers_are_read_as_dockers_client_reads_them() {
        let mut rows = 0;
        for line in include_str!("../../../fixtures/www-authenticate.jsonl").lines() {
            let row: Row = serde_json::from_str(line).expect("a row");
            rows += 1;
            // It reads one challenge of each header.
            let first = row.headers.iter().filter_map(|header| raw(header).into_iter().next());
            let expected = row.challenges.into_iter().map(|expected| (expected.scheme, expected.parameters));
            assert_eq!(first.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{line}");
        }
        assert_eq!(rows, 31);
    }

    #[test]
    fn behind_what_is_written_wrongly_the_next_challenge_is_found() {
        let of = |scheme: &str, parameters: &[(&str, &str)]| {
            let owned = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            (scheme.to_owned(), owned.collect::<BTreeMap<_, _>>())
        };
        let (x, y) = (of("bearer", &[("realm", "x")]), of("basic", &[("realm", "y")]));
        for (header, expected) in [
            (r#"Bearer realm="x", Basic realm="y""#, vec![x.clone(), y.clone()]),
            (r#"Bearer realm="x",Basic realm="y",Negotiate"#, vec![x.clone(), y.clone(), of("negotiate", &[])]),
            (r#"Bearer realm="x";service="s, t", Basic realm="y""#, vec![x.clone(), y.clone()]),
            (r#"Bearer realm="x",,service="s", Basic realm="y""#, vec![x.clone(), y.clone()]),
            (r#"Bearer realm = "x", Basic realm="y""#, vec![of("bearer", &[]), y.clone()]),
            (r#"Negotiate dG9rZW4=, Basic realm="y""#, vec![of("negotiate", &[]), y.clone()]),
            (r#"Negotiate, Basic realm="y""#, vec![of("negotiate", &[]), y.clone()]),
            ("NTLM, Negotiate, Basic", vec![of("ntlm", &[]), of("negotiate", &[]), of("basic", &[])]),
            (r#"realm="x", Basic realm="y""#, vec![y.clone()]),
            (r#"Bearer realm="x", Basic realm="y"#, vec![x.clone(), of("basic", &[])]),
            // An address has to be quoted.
            ("Bearer realm=https://t, Basic realm=y", vec![of("bearer", &[("realm", "https")]), y.clone()]),
        ] {
            assert_eq!(raw(header), expected, "{header}");
        }
    }

    #[test]
    fn schemes_are_named() {
        let of = |values: &[&'static str]| {
            schemes(&values.iter().map(|value| (WWW_AUTHENTICATE, HeaderValue::from_static(value))).collect())
        };
        assert_eq!(of(&[]), Vec::<String>::new());
        assert_eq!(of(&["Negotiate, NTLM"]), ["negotiate", "ntlm"]);
        assert_eq!(of(&["Digest realm=\"x\", nonce=\"y\"", "Bearer service=s"]), ["digest", "bearer without a realm"]);
        assert_eq!(of(&["Bearer realm=\"x\", Basic"]), ["bearer", "basic"]);
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
        fn quoted_values_survive(realm in "[ -~]{1,40}", scope in "[ -~]{1,40}") {
            let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let found = parse(&[&format!(r#"Bearer realm="{}",scope="{}""#, quote(&realm), quote(&scope))]);
            prop_assert_eq!(found, [bearer(&realm, None, Some(&scope))]);
        }
    }
}
