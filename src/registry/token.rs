//! Answers of token services (distribution-spec token authentication; RFC 6749 section 5.1).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::credentials::Secret;

/// The largest answer of a token service.
pub(super) const MAX_TOKEN_ANSWER_BYTES: u64 = 1024 * 1024;
/// What a token without any mark of its life is good for.
const DEFAULT_LIFE: Duration = Duration::from_mins(1);
/// Longer than any run.
const MAX_LIFE: Duration = Duration::from_hours(24);

/// A token and how long it is good for, from now.
pub(super) struct Token {
    pub(super) secret: Secret,
    pub(super) life: Duration,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<f64>,
}

/// Reads a token service's answer; `None` when it holds no token. `now` is in Unix seconds.
pub(super) fn read(body: &[u8], now: i64) -> Option<Token> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let token = [answer.token, answer.access_token].into_iter().flatten().find(|token| is_sendable(token))?;
    let life = match answer.expires_in {
        Some(seconds) if seconds > 0.0 => Duration::try_from_secs_f64(seconds).unwrap_or(MAX_LIFE),
        _ => match expiry(&token) {
            Some(expiry) => Duration::from_secs(u64::try_from(expiry.saturating_sub(now)).unwrap_or(0)),
            None => DEFAULT_LIFE,
        },
    };
    Some(Token { secret: Secret::new(token), life: life.min(MAX_LIFE) })
}

fn is_sendable(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// `exp` of a JSON web token (RFC 7519), unverified: it only says when to ask for the next.
fn expiry(token: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    let mut parts = token.split('.');
    let (_, payload, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else { return None };
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and so may an expiry date")]
    Some(claims.exp as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(body: &str) -> Option<(String, u64)> {
        read(body.as_bytes(), 1000).map(|token| (token.secret.expose().to_owned(), token.life.as_secs()))
    }

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn either_name_and_every_mark_of_life() {
        assert_eq!(parts(r#"{"token":"a","expires_in":300}"#), Some(("a".into(), 300)));
        assert_eq!(parts(r#"{"access_token":"a"}"#), Some(("a".into(), 60)));
        assert_eq!(parts(r#"{"token":"","access_token":"a","expires_in":0}"#), Some(("a".into(), 60)));
        let token = jwt(r#"{"exp":4600}"#);
        assert_eq!(parts(&format!(r#"{{"token":"{token}"}}"#)), Some((token.clone(), 3600)));
        assert_eq!(parts(&format!(r#"{{"token":"{token}","expires_in":5}}"#)), Some((token, 5)));
        let old = jwt(r#"{"exp":1}"#);
        assert_eq!(parts(&format!(r#"{{"token":"{old}"}}"#)), Some((old, 0)));
        let odd = jwt(r#"{"exp":1e300}"#);
        assert_eq!(parts(&format!(r#"{{"token":"{odd}"}}"#)), Some((odd, 86400)));
    }

    #[test]
    fn no_token() {
        for body in ["", "{}", "[]", r#"{"token":"a b"}"#, r#"{"token":"a\nb"}"#, "<html>"] {
            assert_eq!(parts(body), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(body in "\\PC{0,80}", claims in "\\PC{0,40}", seconds: f64, now: i64) {
            let _ = read(body.as_bytes(), now);
            let token = jwt(&claims);
            let _ = read(format!(r#"{{"token":"{token}","expires_in":{seconds}}}"#).as_bytes(), now);
            let _ = read(format!(r#"{{"token":"{}"}}"#, jwt(&format!(r#"{{"exp":{seconds}}}"#))).as_bytes(), now);
        }
    }
}
