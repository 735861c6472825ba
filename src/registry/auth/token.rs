//! Answers of token services (distribution-spec token authentication; RFC 6749 section 5.1), and tokens for as long as
//! they are good.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::HeaderValue;
use serde::Deserialize;
use tokio::time::Instant;

use super::scope;
use crate::credentials::Secret;

/// The largest answer of a token service.
pub(in crate::registry) const MAX_TOKEN_ANSWER_BYTES: u64 = 1024 * 1024;
/// What a token without any mark of its life is good for.
const DEFAULT_LIFE: Duration = Duration::from_mins(1);
/// Longer than any run.
const MAX_LIFE: Duration = Duration::from_hours(24);

/// Tokens are renewed this long before their end, so that a request does not outlive its token; short-lived ones
/// after three quarters of their life.
const LEEWAY: Duration = Duration::from_secs(10);

/// A token and how long it is good for, from now.
pub(in crate::registry) struct Token {
    pub(in crate::registry) secret: Secret,
    pub(in crate::registry) life: Duration,
}

/// The place of the token for one scope. Kept in memory, for one command. The caller says what time it is.
#[derive(Default)]
pub(in crate::registry) struct Slot {
    /// As a header, and until when it is used.
    token: Option<(HeaderValue, Instant)>,
    /// Counts tokens, so that a refused one is dropped only once.
    generation: u64,
    /// Whether the registry refused token after token: a new one is refused as well.
    denied: bool,
    /// What the registry asked for beyond the scope, once it did, and the last token that was asked for without it.
    more: Option<(String, u64)>,
}

impl Slot {
    /// Returns the token and its number, unless its end is near.
    pub(in crate::registry) fn current(&self, now: Instant) -> Option<(HeaderValue, u64)> {
        let (value, until) = self.token.as_ref()?;
        (*until > now).then(|| (value.clone(), self.generation))
    }

    /// Puts a token that is good for `life` in place of the one before; answers its number.
    pub(in crate::registry) fn keep(&mut self, value: Option<HeaderValue>, life: Duration, now: Instant) -> u64 {
        self.generation += 1;
        let until = now + life.saturating_sub(LEEWAY.min(life / 4));
        self.token = value.map(|value| (value, until));
        self.generation
    }

    /// Returns the scope with what the registry asked for beyond it.
    pub(in crate::registry) fn wanted(&self, scope: &str) -> String {
        scope::union(scope, self.more.as_ref().map_or("", |(more, _)| more))
    }

    /// Returns whether the token of that number was asked for `scope` alone, where a challenge asks for `challenged` as
    /// well.
    pub(in crate::registry) fn is_short_of(&self, scope: &str, challenged: &str, generation: u64) -> bool {
        let alone = self.more.as_ref().is_none_or(|(_, last)| generation <= *last);
        alone && scope::union(scope, challenged) != scope::union(scope, "")
    }

    /// Adds the scope of a challenge to what later tokens are requested for. Only the first such challenge counts.
    pub(in crate::registry) fn widen(&mut self, challenged: &str) {
        self.more.get_or_insert_with(|| (challenged.to_owned(), self.generation));
    }

    /// Marks the scope as denied.
    pub(in crate::registry) fn deny(&mut self) {
        self.denied = true;
    }

    /// Returns whether the registry refused token after token for the scope.
    pub(in crate::registry) fn is_denied(&self) -> bool {
        self.denied
    }

    /// Drops the token of that number; a later one stays.
    pub(in crate::registry) fn refuse(&mut self, generation: u64) {
        if self.generation == generation {
            self.token = None;
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    /// A number of seconds, which some write as text.
    #[serde(default)]
    expires_in: serde_json::Value,
}

/// Returns the seconds of `expires_in`; none where it is neither a number nor the text of one.
fn seconds(value: &serde_json::Value) -> Option<f64> {
    let seconds = match value {
        serde_json::Value::String(text) => text.trim().parse().ok()?,
        value => value.as_f64()?,
    };
    seconds.is_finite().then_some(seconds)
}

/// Reads a token service's answer; `None` when it holds no token. `now` is in Unix seconds.
pub(in crate::registry) fn read(body: &[u8], now: i64) -> Option<Token> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let token = [answer.token, answer.access_token].into_iter().flatten().find(|token| is_sendable(token))?;
    let life = match seconds(&answer.expires_in) {
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

/// Returns the `exp` of a JSON web token (RFC 7519). It is not verified, because it only says when to fetch the next
/// token.
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
    fn a_token_is_renewed_before_its_end() {
        let begun = Instant::now();
        let at = |seconds: f64| begun + Duration::from_secs_f64(seconds);
        for (life, last_use) in [(300, 290.0), (60, 50.0), (40, 30.0), (20, 15.0), (4, 3.0)] {
            let mut slot = Slot::default();
            let number = slot.keep(Some(HeaderValue::from_static("Bearer a")), Duration::from_secs(life), begun);
            assert_eq!(slot.current(begun), Some((HeaderValue::from_static("Bearer a"), number)), "{life}");
            assert!(slot.current(at(last_use - 0.1)).is_some(), "{life}");
            assert!(slot.current(at(last_use)).is_none(), "{life}");
        }
        let mut slot = Slot::default();
        assert!(slot.current(begun).is_none());
        slot.keep(Some(HeaderValue::from_static("Bearer a")), Duration::ZERO, begun);
        assert!(slot.current(begun).is_none(), "one that is over already is for one request");
    }

    #[test]
    fn a_refused_token_goes_and_a_later_one_stays() {
        let now = Instant::now();
        let mut slot = Slot::default();
        let keep = |slot: &mut Slot, text| slot.keep(Some(HeaderValue::from_static(text)), MAX_LIFE, now);
        let first = keep(&mut slot, "Bearer a");
        let second = keep(&mut slot, "Bearer b");
        slot.refuse(first);
        assert_eq!(slot.current(now), Some((HeaderValue::from_static("Bearer b"), second)));
        slot.refuse(second);
        assert!(slot.current(now).is_none());
    }

    #[test]
    fn the_life_of_a_token_as_number_or_text() {
        let life = |expires_in: &str| {
            let body = format!(r#"{{"token":"t","expires_in":{expires_in}}}"#);
            read(body.as_bytes(), 0).map(|token| token.life.as_secs())
        };
        for (expires_in, expected) in [
            ("300", 300),
            ("300.5", 300),
            ("\"300\"", 300),
            ("\" 3599 \"", 3599),
            ("1e3", 1000),
            ("\"86400000\"", 86_400),
            // An answer without a lifetime leaves the usual minute.
            ("0", 60),
            ("-5", 60),
            ("\"-5\"", 60),
            ("\"\"", 60),
            ("\"soon\"", 60),
            ("\"inf\"", 60),
            ("\"NaN\"", 60),
            ("null", 60),
            ("true", 60),
            ("[300]", 60),
            ("{}", 60),
        ] {
            assert_eq!(life(expires_in), Some(expected), "{expires_in}");
        }
    }

    #[test]
    fn a_scope_is_widened_once() {
        let now = Instant::now();
        let mut slot = Slot::default();
        let first = slot.keep(Some(HeaderValue::from_static("Bearer a")), MAX_LIFE, now);
        assert_eq!(slot.wanted("s"), "s");
        assert!(slot.is_short_of("s", "m", first) && !slot.is_short_of("s", "s", first));
        slot.widen("m");
        assert_eq!(slot.wanted("s"), "s m");
        // A request that was under way with the first token.
        assert!(slot.is_short_of("s", "m", first));
        let second = slot.keep(Some(HeaderValue::from_static("Bearer b")), MAX_LIFE, now);
        assert!(!slot.is_short_of("s", "m", second) && !slot.is_short_of("s", "n", second));
        slot.widen("n");
        assert_eq!(slot.wanted("s"), "s m");
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
