//! What a registry, or a proxy before it, says when it refuses: JSON envelope, plain text, HTML or nothing.

use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER, SERVER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use oci_client::errors::{OciEnvelope, OciErrorCode};

use crate::text::{plain, tidy};

/// Bytes read of an error's body.
pub(in crate::registry) const MAX_BODY_BYTES: usize = 64 * 1024;
/// Characters shown of a code.
const MAX_CODE_CHARACTERS: usize = 100;
/// Errors kept of one envelope.
const MAX_ERRORS: usize = 16;
/// Waiting longer than this is not waiting.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// One error of the distribution-spec's envelope.
#[derive(Debug, PartialEq, Eq)]
pub struct OciFault {
    /// The code, `BLOB_UNKNOWN` and others.
    pub code: OciErrorCode,
    /// Text of the registry; may be empty.
    pub message: String,
}

impl OciFault {
    /// Returns the code as it was sent, as far as it can be shown.
    pub fn code_text(&self) -> String {
        match serde_json::to_value(&self.code) {
            Ok(serde_json::Value::String(code)) if !code.is_empty() => plain(&code, MAX_CODE_CHARACTERS),
            _ => "UNKNOWN".to_owned(),
        }
    }
}

/// An answer that refuses.
#[derive(Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    /// The status.
    pub status: StatusCode,
    /// The envelope's errors; empty when the body was none.
    pub errors: Vec<OciFault>,
    /// What the body says otherwise: its text, or the title and text of its HTML.
    pub text: Option<String>,
    /// Whether something before the registry answered: HTML, without the header of the distribution API, and not
    /// Gitea's own page.
    pub by_proxy: bool,
    /// Whether Gitea or Forgejo answered: the body is one of its own pages, or the refusal is in its own terms.
    pub by_gitea: bool,
    /// Whether the registry says that its storage has no room left: 507, or the system's reason in the body.
    pub storage_full: bool,
    /// The `Server` header.
    pub server: Option<String>,
    /// How long to wait before asking again.
    pub retry_after: Option<Duration>,
}

impl ErrorResponse {
    /// Reads an answer. `body` is its beginning, cut at [`MAX_BODY_BYTES`].
    pub(in crate::registry) fn read(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        now: jiff::Timestamp,
    ) -> Self {
        let body = &body[..body.len().min(MAX_BODY_BYTES)];
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let is_html = header(CONTENT_TYPE).is_some_and(|kind| kind.to_ascii_lowercase().contains("html"))
            || looks_like_html(body);
        let raw = String::from_utf8_lossy(body);
        let by_gitea = is_html && is_giteas_page(&raw) || is_giteas_refusal(headers, &raw);
        let mut storage_full = status == StatusCode::INSUFFICIENT_STORAGE || says_storage_is_full(status, &raw);
        let mut errors = Vec::new();
        let mut text = None;
        if let Ok(envelope) = serde_json::from_slice::<OciEnvelope>(body) {
            storage_full |= status.is_server_error() && envelope.errors.iter().any(|error| is_no_space(&error.detail));
            let faults = envelope.errors.into_iter().take(MAX_ERRORS);
            errors = faults.map(|e| OciFault { code: e.code, message: tidy(&e.message).unwrap_or_default() }).collect();
        }
        if errors.is_empty() {
            text = if is_html { html_text(&raw) } else { json_message(body).or_else(|| tidy(&raw)) };
        }
        Self {
            status,
            errors,
            text,
            by_proxy: is_html && !by_gitea && !headers.contains_key("docker-distribution-api-version"),
            by_gitea,
            storage_full,
            server: header(SERVER).and_then(tidy),
            retry_after: header(RETRY_AFTER).and_then(|value| retry_after(value, now)),
        }
    }

    /// Returns whether the answer had nothing to read.
    pub fn is_mute(&self) -> bool {
        self.errors.is_empty() && self.text.is_none()
    }

    /// Returns whether it is what servers with TLS say to who speaks without: Go's, nginx's and Apache's name it.
    pub fn asks_for_tls(&self) -> bool {
        let names = |text: &str| ["https", "ssl", "tls"].iter().any(|name| text.to_ascii_lowercase().contains(name));
        self.status == StatusCode::BAD_REQUEST && self.errors.is_empty() && self.text.as_deref().is_some_and(names)
    }

    /// Returns whether the envelope names `code`.
    pub fn names(&self, code: &OciErrorCode) -> bool {
        self.errors.iter().any(|error| error.code == *code)
    }
}

impl std::fmt::Display for ErrorResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.status.as_u16())?;
        if let Some(reason) = self.status.canonical_reason() {
            write!(f, " {reason}")?;
        }
        for error in &self.errors {
            write!(f, "; {}", error.code_text())?;
            if !error.message.is_empty() {
                write!(f, ": {}", error.message)?;
            }
        }
        // Pages of proxies often say nothing but the status again.
        let status = self.status.to_string();
        if let Some(text) = self.text.as_deref().filter(|text| *text != status) {
            write!(f, ": {text}")?;
        }
        if self.storage_full {
            write!(f, " (its storage is full)")?;
        }
        if self.by_proxy {
            match &self.server {
                Some(server) => write!(f, " (answered by a proxy, {server}, not by the registry)")?,
                None => write!(f, " (answered by a proxy, not by the registry)")?,
            }
        }
        Ok(())
    }
}

/// Returns whether a refusal is in terms that only Gitea and Forgejo have: the names of its middleware, and its
/// challenges.
fn is_giteas_refusal(headers: &HeaderMap, body: &str) -> bool {
    const TEXTS: [&str; 3] = ["reqPackageAccess", "authGroup.Verify", "Failed to authenticate user"];
    TEXTS.iter().any(|text| body.contains(text)) || is_giteas_challenge(headers)
}

/// Returns whether a challenge is in terms that only Gitea and Forgejo have.
pub(in crate::registry) fn is_giteas_challenge(headers: &HeaderMap) -> bool {
    const CHALLENGES: [&str; 3] =
        ["\"Gitea Package API\"", "\"Gitea Container Registry\"", "service=\"container_registry\",scope=\"*\""];
    let challenges = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    challenges.into_iter().any(|challenge| CHALLENGES.iter().any(|name| challenge.contains(name)))
}

/// Returns the `Retry-After` in seconds or as a date (RFC 9110 section 10.2.3).
fn retry_after(value: &str, now: jiff::Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    }
    let time = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(Duration::try_from(time.duration_since(now)).unwrap_or_default().min(MAX_RETRY_AFTER))
}

/// Returns the message of JSON that is no envelope: an `OAuth2` server's, Gitea's, a gateway's.
fn json_message(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let object = value.as_object()?;
    ["message", "error_description", "details", "detail", "error"]
        .iter()
        .filter_map(|key| object.get(*key)?.as_str())
        .find_map(tidy)
}

fn looks_like_html(body: &[u8]) -> bool {
    let start = body.trim_ascii_start();
    let start = String::from_utf8_lossy(&start[..start.len().min(16)]).to_ascii_lowercase();
    start.starts_with("<!doctype") || start.starts_with("<html") || start.starts_with("<head")
}

/// Returns whether the text of a failure gives the system's reason for a full storage: ENOSPC and EDQUOT in words, and
/// what S3 and `MinIO` call it.
fn says_storage_is_full(status: StatusCode, text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    status.is_server_error()
        && ["no space left on device", "disk quota exceeded", "storagefull"].iter().any(|reason| text.contains(reason))
}

/// Returns whether the detail of an error is distribution's for ENOSPC or EDQUOT, which it gives as Linux's numbers.
fn is_no_space(detail: &serde_json::Value) -> bool {
    let number = detail.get("Enclosed").and_then(|enclosed| enclosed.get("Err")).and_then(serde_json::Value::as_u64);
    matches!(number, Some(28 | 122))
}

/// Returns whether Gitea or Forgejo rendered an HTML page. Its titles end in the name of the instance, which begins
/// with the program's unless it was changed; its themes are named after it. A proxy's title may have the host's name in
/// it, which is often `gitea` too.
fn is_giteas_page(html: &str) -> bool {
    let title = title(html).unwrap_or_default().to_ascii_lowercase();
    let html = html.to_ascii_lowercase();
    ["gitea", "forgejo"]
        .iter()
        .any(|name| title.contains(&format!(" - {name}")) || html.contains(&format!("data-theme=\"{name}-")))
}

/// Returns the title of an HTML page.
fn title(html: &str) -> Option<String> {
    let lower = html.to_ascii_lowercase();
    let at = lower.find("<title")?;
    let start = at + lower[at..].find('>')? + 1;
    let end = start + lower[start..].find("</title")?;
    tidy(&html[start..end])
}

/// Returns the title, or else the text, of an HTML page.
fn html_text(html: &str) -> Option<String> {
    title(html).or_else(|| tidy(&without_tags(html)))
}

fn without_tags(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        text.push(' ');
        let tag = &rest[at..];
        let name: String = tag[1..].chars().take_while(char::is_ascii_alphabetic).collect();
        let end = match name.to_ascii_lowercase().as_str() {
            element @ ("script" | "style") => tag.to_ascii_lowercase().find(&format!("</{element}")),
            _ => tag.find('>').map(|at| at + 1),
        };
        // A script that is never closed hides the rest, as it does in a browser.
        rest = match end {
            Some(0) | None => "",
            Some(end) => &tag[end..],
        };
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::text::MAX_TEXT_CHARACTERS;

    fn read(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> ErrorResponse {
        let headers =
            headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
        let now = "2030-01-01T00:00:00Z".parse().expect("a time");
        ErrorResponse::read(StatusCode::from_u16(status).expect("a status"), &headers.collect(), body.as_bytes(), now)
    }

    #[test]
    fn envelopes_keep_code_and_message() {
        let refusal = read(
            404,
            &[("docker-distribution-api-version", "registry/2.0")],
            r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry","detail":{"a":1}},{"code":"ODD"}]}"#,
        );
        assert!(refusal.names(&OciErrorCode::BlobUnknown));
        assert_eq!(refusal.to_string(), "404 Not Found; BLOB_UNKNOWN: blob unknown to registry; ODD");
    }

    #[test]
    fn only_who_says_so_asks_for_tls() {
        for (status, body, expected) in [
            (400, "Client sent an HTTP request to an HTTPS server.\n", true),
            (400, "<html><title>400 The plain HTTP request was sent to HTTPS port</title>", true),
            (400, "<html><body>You're speaking plain HTTP to an SSL-enabled server port.</body>", true),
            (400, r#"{"errors":[{"code":"UNKNOWN","message":"use https"}]}"#, false),
            (400, r#"{"errors":[{"code":"#, false),
            (400, "", false),
            (403, "https only", false),
        ] {
            assert_eq!(read(status, &[], body).asks_for_tls(), expected, "{status} {body}");
        }
    }

    #[test]
    fn no_part_of_an_envelope_steers_a_terminal() {
        let body = serde_json::json!({"errors": [
            {"code": "DEN\u{1b}[31mIED\nerror: x", "message": "\u{1b}]0;pwn\u{7} \u{202e}evil \u{9b}31m"},
            {"code": "C".repeat(60_000)},
        ]});
        let text = read(403, &[], &body.to_string()).to_string();
        let long = "C".repeat(MAX_CODE_CHARACTERS);
        let expected = format!("403 Forbidden; DEN\u{fffd}[31mIED\u{fffd}error: x: ]0;pwn evil 31m; {long}");
        assert_eq!(text, expected);
    }

    #[test]
    fn html_without_the_registrys_header_is_a_proxys() {
        let page = "<html>\r\n<head><title>413 Request Entity Too Large</title></head><body><h1>x</h1></body></html>";
        let refusal = read(413, &[("content-type", "text/html"), ("server", "nginx")], page);
        assert!(refusal.by_proxy);
        assert_eq!(
            refusal.to_string(),
            "413 Payload Too Large: 413 Request Entity Too Large (answered by a proxy, nginx, not by the registry)"
        );
        let own = read(502, &[("docker-distribution-api-version", "registry/2.0")], "<html><p>bad <b>gateway</b></p>");
        assert!(!own.by_proxy);
        assert_eq!(own.text.as_deref(), Some("bad gateway"));
    }

    #[test]
    fn who_rendered_a_page() {
        let page = |attributes: &str, title: &str| {
            format!("<!DOCTYPE html><html{attributes}><head><title>{title}</title></head><body></body></html>")
        };
        for (attributes, title, gitea) in [
            ("", "Internal Server Error - Gitea: Git with a cup of tea", true),
            ("", "Page Not Found - Forgejo: Beyond coding. We Forge.", true),
            (" lang=\"en-US\" data-theme=\"gitea-auto\"", "Internal Server Error - Our code", true),
            (" data-theme=\"forgejo-dark\"", "500", true),
            ("", "500 Internal Server Error", false),
            ("", "gitea.example.com | 502: Bad gateway", false),
            (" data-theme=\"light\"", "Our code", false),
        ] {
            let refusal = read(500, &[("content-type", "text/html"), ("server", "nginx")], &page(attributes, title));
            assert_eq!((refusal.by_gitea, refusal.by_proxy), (gitea, !gitea), "{title}");
            assert_eq!(refusal.to_string().contains("answered by a proxy"), !gitea, "{title}");
        }
    }

    #[test]
    fn a_full_storage_is_told_by_status_or_by_the_systems_reason() {
        let envelope = |detail: &str| {
            format!(r#"{{"errors":[{{"code":"UNKNOWN","message":"unknown error","detail":{detail}}}]}}"#)
        };
        let driver = |number: u32| {
            envelope(&format!(
                r#"{{"DriverName":"filesystem","Enclosed":{{"Op":"write","Path":"/x","Err":{number}}}}}"#
            ))
        };
        for (status, body, expected) in [
            (507, String::new(), true),
            // distribution's PATCH and POST on a full disk; Harbor passes both on.
            (500, envelope(r#""write /var/lib/registry/docker/x/data: no space left on device""#), true),
            (500, driver(28), true),
            (500, driver(122), true),
            (503, envelope(r#""s3aws: XMinioStorageFull: Storage backend has reached its limit""#), true),
            (500, "write /data/x: disk quota exceeded".to_owned(), true),
            (500, driver(13), false),
            (500, envelope("null"), false),
            (500, String::new(), false),
            // Words of a name that was sent.
            (404, "no space left on device".to_owned(), false),
        ] {
            let refusal = read(status, &[], &body);
            assert_eq!(refusal.storage_full, expected, "{status} {body}");
            assert_eq!(refusal.to_string().ends_with("(its storage is full)"), expected, "{refusal}");
        }
    }

    #[test]
    fn scripts_and_styles_are_no_text() {
        let refusal = read(500, &[], "<html><script>var a = '<b>';</script><style>b{}</style><p>down</p>");
        assert_eq!(refusal.text.as_deref(), Some("down"));
        assert_eq!(read(500, &[], "<html><script>never closed").text, None);
    }

    #[test]
    fn what_is_kept_of_an_envelope_is_limited() {
        let errors = vec![serde_json::json!({"code": "DENIED", "message": "no"}); 100];
        let refusal = read(403, &[], &serde_json::json!({ "errors": errors }).to_string());
        assert_eq!(refusal.errors.len(), MAX_ERRORS);
        let long = " ".repeat(MAX_BODY_BYTES) + r#"{"errors":[{"code":"DENIED","message":"no"}]}"#;
        assert!(read(403, &[], &long).is_mute(), "what comes late is not read");
    }

    #[test]
    fn gitea_is_known_by_its_own_terms() {
        let bearer = r#"Bearer realm="https://g.example/v2/token",service="container_registry",scope="*""#;
        for (headers, body, expected) in [
            (&[][..], "reqPackageAccess", true),
            (&[], "authGroup.Verify\n", true),
            (&[("www-authenticate", r#"Basic realm="Gitea Package API""#)], "", true),
            (&[("www-authenticate", bearer)], r#"{"errors":[{"code":"UNAUTHORIZED","message":""}]}"#, true),
            (&[("www-authenticate", r#"Bearer realm="https://a/token",service="r.example""#)], "", false),
            (&[("www-authenticate", r#"Basic realm="harbor""#)], "unauthorized", false),
            (&[], r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#, false),
            (&[], "", false),
        ] {
            assert_eq!(read(401, headers, body).by_gitea, expected, "{headers:?} {body}");
        }
    }

    #[test]
    fn plain_text_and_empty_bodies() {
        assert_eq!(read(401, &[], "authGroup.Verify\n").to_string(), "401 Unauthorized: authGroup.Verify");
        let empty = read(500, &[], "");
        assert!(empty.is_mute());
        assert_eq!(empty.to_string(), "500 Internal Server Error");
        assert_eq!(read(400, &[], "a\u{1b}[31m\r\n b").text.as_deref(), Some("a [31m b"));
        let long = read(400, &[], &"x y ".repeat(10_000));
        assert!(long.text.is_some_and(|text| text.chars().count() == MAX_TEXT_CHARACTERS + 1));
    }

    #[test]
    fn other_json_yields_its_message() {
        for body in [
            r#"{"error":"invalid_grant","error_description":"the token is no good"}"#,
            r#"{"message":"the token is no good"}"#,
            r#"{"errors":[],"details":"the token is no good"}"#,
        ] {
            assert_eq!(read(400, &[], body).text.as_deref(), Some("the token is no good"), "{body}");
        }
    }

    #[test]
    fn retry_after_in_both_forms() {
        let wait = |value| read(429, &[("retry-after", value)], "").retry_after;
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Tue, 01 Jan 2030 00:01:00 GMT"), Some(Duration::from_mins(1)));
        assert_eq!(wait("Mon, 31 Dec 2029 23:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("99999999999"), Some(MAX_RETRY_AFTER));
        assert_eq!(wait("soon"), None);
    }

    proptest! {
        #[test]
        fn reading_never_panics(
            status in 100u16..600, kind in "[ -~]{0,20}", retry in "\\PC{0,30}", body in proptest::collection::vec(any::<u8>(), 0..300)
        ) {
            let mut headers = HeaderMap::new();
            for (name, value) in [(CONTENT_TYPE, kind), (RETRY_AFTER, retry)] {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    headers.insert(name, value);
                }
            }
            let status = StatusCode::from_u16(status).expect("in range");
            let _ = ErrorResponse::read(status, &headers, &body, jiff::Timestamp::UNIX_EPOCH).to_string();
        }

        #[test]
        fn html_never_panics(body in "(<[a-zé/]{0,8}>?|title|</title|ß|[<> ]){0,30}") {
            let _ = html_text(&body);
        }
    }
}
