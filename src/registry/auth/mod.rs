//! Authentication: what the registry wants to see, tokens and their lifetime, and what a 401 means.
//!
//! Some of it follows Gitea: the ping goes without credentials; a 401 without a challenge means that the token is not
//! valid any more; a 401 that names a missing right is Gitea's way to say 403.

pub(super) mod challenge;
pub(super) mod decision;
pub(super) mod scope;
pub(super) mod token;
mod token_request;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use http::header::{HeaderMap, HeaderValue};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::error::{AskedScheme, RegistryError, Violation};
use super::http::error_response::ErrorResponse;
use super::http::origin::{self, Misdirection, Origin};
use super::http::{Transport, location};
use crate::credentials::{Credential, Secret};
use challenge::{Challenge, challenges, schemes};
use decision::{AuthDecision, Refusal401, RefusedRequest, Sendable, SentAuth, decide};
use token::Slot;

/// Gitea's marks of "known, but not permitted", which it sends as 401.
const GITEA_DENIED: [&str; 2] = ["reqPackageAccess", "Gitea Package API"];

/// A token service.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Realm {
    uri: Uri,
    service: Option<String>,
}

/// What the registry wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Scheme {
    /// Nothing, as far as we know.
    Open,
    /// User name and password.
    Basic,
    /// A token.
    Bearer(Realm),
}

/// What becomes of a request whose token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PasswordTurn<'a> {
    /// There is no password, or it was refused as well.
    None,
    /// It is the first that is sent again with the password, which is kept in this place.
    First(&'a str),
    /// Another request was the first; this one is sent again too.
    Made,
}

/// The credential of one registry and what it was exchanged for.
pub(super) struct Authenticator {
    own: Origin,
    credential: Option<Credential>,
    /// Whether the token of a [`Credential::TokenOrPassword`] was refused.
    token_refused: AtomicBool,
    scheme: Mutex<Scheme>,
    slots: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Slot>>>>,
}

impl Authenticator {
    pub(super) fn new(own: Origin, credential: Option<Credential>) -> Self {
        Self {
            own,
            credential,
            token_refused: AtomicBool::new(false),
            scheme: Mutex::new(Scheme::Open),
            slots: Mutex::default(),
        }
    }

    /// Returns whether there is something to show.
    pub(super) fn has_credential(&self) -> bool {
        self.credential.is_some()
    }

    /// Returns whether the password is shown in the place of a token that was refused.
    pub(super) fn shows_password(&self) -> bool {
        self.token_refused.load(Ordering::Acquire)
    }

    /// Turns from a token that was refused to the password of the same place; `already` says that the refused request
    /// carried the password.
    pub(super) fn turn_to_password(&self, already: bool) -> PasswordTurn<'_> {
        match &self.credential {
            Some(Credential::TokenOrPassword { place, .. }) if !already => {
                let before = self.token_refused.swap(true, Ordering::AcqRel);
                if before { PasswordTurn::Made } else { PasswordTurn::First(place) }
            }
            _ => PasswordTurn::None,
        }
    }

    /// Returns the user name, and the password or what stands for one.
    fn pair(&self) -> Option<(&str, &Secret)> {
        match self.credential.as_ref()? {
            Credential::Basic { username, secret } => Some((username, secret)),
            Credential::TokenOrPassword { username, token, password, .. } => {
                Some((username, if self.shows_password() { password } else { token }))
            }
            Credential::IdentityToken { .. } | Credential::RegistryToken(_) => None,
        }
    }

    /// Returns whether the registry has not asked for a credential or a token so far.
    pub(super) fn is_open(&self) -> bool {
        self.scheme() == Scheme::Open
    }

    fn scheme(&self) -> Scheme {
        self.scheme.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes in the challenges of an answer from `base`; answers whether they changed anything.
    ///
    /// Bearer is preferred, and kept once known: some registries ask for Basic only because a token
    /// was refused.
    pub(super) fn learn(&self, base: &Uri, headers: &HeaderMap) -> Result<bool, Violation> {
        let mut scheme = self.scheme.lock().unwrap_or_else(PoisonError::into_inner);
        let before = scheme.clone();
        for challenge in challenges(headers) {
            match challenge {
                Challenge::Bearer { realm, service, .. } => {
                    let uri = self.realm(base, &realm).map_err(Violation::Realm)?;
                    *scheme = Scheme::Bearer(Realm { uri, service });
                    break;
                }
                Challenge::Basic { .. } if *scheme == Scheme::Open => *scheme = Scheme::Basic,
                Challenge::Basic { .. } => {}
            }
        }
        Ok(*scheme != before)
    }

    /// Returns the token service that an answer from `base` names, if credentials may go there.
    fn realm(&self, base: &Uri, realm: &str) -> Result<Uri, Misdirection> {
        let uri = location::resolve(&self.own, base, realm)?;
        let origin = |uri: &Uri| Origin::of(uri).ok_or(Misdirection::Malformed);
        origin::admit_realm(&self.own, &origin(base)?, &origin(&uri)?)?;
        Ok(uri)
    }

    /// Returns the `Authorization` for a request within `scope`. Fetches a token if need be, for one caller at a time.
    pub(super) async fn authorize(
        &self,
        transport: &Transport,
        scope: &str,
    ) -> Result<(Option<HeaderValue>, SentAuth), RegistryError> {
        if let Some(Credential::RegistryToken(token)) = &self.credential {
            return Ok((bearer(token.expose()), SentAuth::GivenToken));
        }
        let realm = match self.scheme() {
            Scheme::Open => return Ok((None, SentAuth::Nothing)),
            Scheme::Basic => {
                let value = self.basic();
                let sent = if value.is_some() { SentAuth::Password } else { SentAuth::Nothing };
                return Ok((value, sent));
            }
            Scheme::Bearer(realm) => realm,
        };
        let slot = self.slot(scope);
        let mut slot = slot.lock().await;
        if let Some((value, generation)) = slot.current(Instant::now()) {
            return Ok((Some(value), SentAuth::Token { generation, fresh: false }));
        }
        let token = Box::pin(self.fetch(transport, &realm, &slot.wanted(scope))).await?;
        let value = bearer(token.secret.expose());
        let generation = slot.keep(value.clone(), token.life, Instant::now());
        Ok((value, SentAuth::Token { generation, fresh: true }))
    }

    /// Takes in the challenges of a 401 and decides what it means for the request that met it.
    pub(super) async fn decide(
        &self,
        request: RefusedRequest,
        scope: &str,
        base: &Uri,
        headers: &HeaderMap,
        refusal: &ErrorResponse,
    ) -> Result<AuthDecision, Violation> {
        let RefusedRequest { sent, fresh_token_refused } = request;
        let challenges = challenges(headers);
        let names_missing_right = refusal.text.as_deref().is_some_and(|text| text.contains(GITEA_DENIED[0]))
            || challenges.iter().any(
                |challenge| matches!(challenge, Challenge::Basic { realm } if GITEA_DENIED.contains(&realm.as_str())),
            );
        let insufficient_scope = challenges.iter().any(|challenge| {
            matches!(challenge, Challenge::Bearer { error: Some(error), .. } if error == "insufficient_scope")
        });
        let asked = challenges.iter().find_map(|challenge| match challenge {
            Challenge::Bearer { scope: Some(scope), .. } => Some(scope.as_str()),
            _ => None,
        });
        let asked = asked.unwrap_or_default();
        let slot = self.slot(scope);
        let mut slot = slot.lock().await;
        let refused_before = fresh_token_refused || slot.is_denied();
        let has_credential = self.has_credential();
        let names_more_scope = match sent {
            SentAuth::Token { generation, .. } => slot.is_short_of(scope, asked, generation),
            _ => false,
        };
        let refusal =
            Refusal401 { names_missing_right, insufficient_scope, names_more_scope, refused_before, has_credential };
        let mut decision = decide(sent, self.sendable(), refusal);
        // The challenge of a denial only says which right is missing, as Gitea does.
        if matches!(decision, AuthDecision::Retry | AuthDecision::Renew)
            || matches!(sent, SentAuth::Nothing | SentAuth::Password) && decision == AuthDecision::Unauthorized
        {
            self.learn(base, headers)?;
            decision = decide(sent, self.sendable(), refusal);
        }
        match (decision, sent) {
            (AuthDecision::DeniedForGood, _) => slot.deny(),
            (AuthDecision::Renew, SentAuth::Token { generation, .. }) => {
                slot.refuse(generation);
                if names_more_scope {
                    slot.widen(asked);
                }
            }
            _ => {}
        }
        Ok(decision)
    }

    /// Returns the most that a request can carry, as far as the registry's wishes are known.
    fn sendable(&self) -> Sendable {
        match (self.scheme(), &self.credential) {
            (_, Some(Credential::RegistryToken(_))) | (Scheme::Bearer(_), _) => Sendable::Token,
            (Scheme::Basic, Some(Credential::Basic { .. } | Credential::TokenOrPassword { .. })) => Sendable::Password,
            (Scheme::Basic | Scheme::Open, _) => Sendable::Nothing,
        }
    }

    /// Returns what a 401 asks for if the credential cannot answer it; `None` if it can, or if the registry asks for
    /// something that the person has not given.
    pub(super) fn unanswerable(&self, headers: &HeaderMap) -> Option<AskedScheme> {
        if let (Scheme::Basic, Some(Credential::IdentityToken { .. })) = (self.scheme(), &self.credential) {
            return Some(AskedScheme::Password);
        }
        challenges(headers).is_empty().then(|| AskedScheme::Other(schemes(headers)))
    }

    fn slot(&self, scope: &str) -> Arc<tokio::sync::Mutex<Slot>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(scope.to_owned()).or_default())
    }

    fn basic(&self) -> Option<HeaderValue> {
        let (username, secret) = self.pair()?;
        let pair = Zeroizing::new(format!("{username}:{}", secret.expose()));
        sensitive(&format!("Basic {}", STANDARD.encode(pair.as_bytes())))
    }
}

fn bearer(token: &str) -> Option<HeaderValue> {
    sensitive(&format!("Bearer {token}"))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http::header::WWW_AUTHENTICATE;

    use super::*;
    use crate::credentials::Secret;

    const BASE: &str = "https://reg.example:8443/v2/";

    fn authenticator(with_credential: bool) -> Authenticator {
        let own = Origin::of(&BASE.parse().expect("a URI")).expect("absolute");
        let secret = Secret::new("hunter2".into());
        Authenticator::new(own, with_credential.then(|| Credential::Basic { username: "u".into(), secret }))
    }

    fn headers(challenges: &[&'static str]) -> HeaderMap {
        challenges.iter().map(|text| (WWW_AUTHENTICATE, HeaderValue::from_static(text))).collect()
    }

    fn learn(auth: &Authenticator, challenges: &[&'static str]) -> Result<bool, Violation> {
        auth.learn(&BASE.parse().expect("a URI"), &headers(challenges))
    }

    async fn decided(auth: &Authenticator, sent: SentAuth, challenges: &[&'static str], body: &str) -> AuthDecision {
        decided_again(auth, RefusedRequest { sent, fresh_token_refused: false }, challenges, body).await
    }

    async fn decided_again(
        auth: &Authenticator,
        request: RefusedRequest,
        challenges: &[&'static str],
        body: &str,
    ) -> AuthDecision {
        let headers = headers(challenges);
        let refusal =
            ErrorResponse::read(StatusCode::UNAUTHORIZED, &headers, body.as_bytes(), jiff::Timestamp::UNIX_EPOCH);
        auth.decide(request, "s", &BASE.parse().expect("a URI"), &headers, &refusal).await.expect("no violation")
    }

    #[test]
    fn bearer_is_preferred_and_kept() {
        let auth = authenticator(true);
        assert_eq!(learn(&auth, &["Basic realm=x", "Bearer realm=\"/v2/token\",service=s"]), Ok(true));
        let uri = "https://reg.example:8443/v2/token".parse().expect("a URI");
        let bearer = Scheme::Bearer(Realm { uri, service: Some("s".into()) });
        assert_eq!(auth.scheme(), bearer);
        assert_eq!(learn(&auth, &["Basic realm=harbor"]), Ok(false));
        assert_eq!(auth.scheme(), bearer);
    }

    #[test]
    fn realms_that_would_leak_the_password_are_refused() {
        let plain = learn(&authenticator(true), &["Bearer realm=\"http://other.example/token\""]);
        assert!(matches!(plain, Err(Violation::Realm(_))), "{plain:?}");
        assert_eq!(learn(&authenticator(true), &["Bearer realm=\"https://auth.example/token\""]), Ok(true));
    }

    #[test]
    fn without_tls_no_other_host_without_tls_gets_the_password() {
        let base: Uri = "http://reg.example/v2/".parse().expect("a URI");
        let learn = |realm: &'static str| {
            let own = Origin::of(&base).expect("absolute");
            Authenticator::new(own, None).learn(&base, &headers(&[realm]))
        };
        let unprotected = learn("Bearer realm=\"http://other.example/token\"");
        assert!(matches!(unprotected, Err(Violation::Realm(Misdirection::Unprotected { .. }))), "{unprotected:?}");
        for realm in ["http://reg.example:81/token", "https://other.example/token"] {
            let text: &'static str = format!("Bearer realm=\"{realm}\"").leak();
            assert_eq!(learn(text), Ok(true), "{realm}");
        }
    }

    #[tokio::test]
    async fn what_a_401_means() {
        use AuthDecision::{Denied, DeniedForGood, Renew, Retry, Unauthorized};
        let token = |fresh| SentAuth::Token { generation: 1, fresh };
        let bearer = ["Bearer realm=\"https://reg.example:8443/t\""];
        let lacking = ["Bearer realm=\"https://reg.example:8443/t\",error=\"insufficient_scope\""];
        for (sent, challenges, body, expected) in [
            (SentAuth::Nothing, &bearer[..], "", Retry),
            (SentAuth::Nothing, &[], "", Unauthorized),
            (SentAuth::Password, &bearer, "", Retry),
            (token(false), &[], "authGroup.Verify", Renew),
            (token(true), &[], "authGroup.Verify", Renew),
            (token(true), &lacking, "", Denied),
            (token(false), &lacking, "", Renew),
            (SentAuth::GivenToken, &bearer, "", Unauthorized),
            (token(false), &[], "reqPackageAccess\n", Denied),
            (SentAuth::Password, &[], "reqPackageAccess\n", Denied),
        ] {
            let decision = decided(&authenticator(true), sent, challenges, body).await;
            assert_eq!(decision, expected, "{sent:?} {challenges:?} {body}");
        }
        let again = RefusedRequest { sent: token(true), fresh_token_refused: true };
        for with_credential in [true, false] {
            let decision = decided_again(&authenticator(with_credential), again, &bearer, "").await;
            assert_eq!(decision, DeniedForGood);
        }
    }

    #[tokio::test]
    async fn a_challenge_with_another_scope_is_asked_for_once() {
        let more =
            ["Bearer realm=\"https://reg.example:8443/t\",scope=\"s repository:b:pull\",error=\"insufficient_scope\""];
        let auth = authenticator(true);
        let (first, second) =
            (SentAuth::Token { generation: 0, fresh: true }, SentAuth::Token { generation: 1, fresh: true });
        assert_eq!(decided(&auth, first, &more, "").await, AuthDecision::Renew);
        assert_eq!(auth.slot("s").lock().await.wanted("s"), "s repository:b:pull");
        assert_eq!(decided(&auth, second, &more, "").await, AuthDecision::Denied);
    }

    #[test]
    fn what_nothing_can_be_shown_to() {
        let asked = |auth: &Authenticator, challenges: &[&'static str]| {
            learn(auth, challenges).expect("no violation");
            auth.unanswerable(&headers(challenges)).map(|asked| asked.to_string())
        };
        for (challenges, expected) in [
            (&["Negotiate"][..], Some("asks for negotiate, which is not supported; no credential was sent")),
            (&["NTLM, Negotiate"], Some("asks for ntlm, negotiate, which is not supported; no credential was sent")),
            (
                &["Digest realm=\"r\", nonce=\"n\""],
                Some("asks for digest, which is not supported; no credential was sent"),
            ),
            (
                &["Bearer service=s"],
                Some("asks for bearer without a realm, which is not supported; no credential was sent"),
            ),
            (&[], Some("does not say how it wants to be shown a credential; none was sent")),
            (&["Negotiate", "Basic realm=\"r\""], None),
            (&["Bearer realm=\"https://reg.example:8443/t\""], None),
        ] {
            for with_credential in [true, false] {
                let asked = asked(&authenticator(with_credential), challenges);
                assert_eq!(asked.as_deref(), expected, "{challenges:?}");
            }
        }
        let own = Origin::of(&BASE.parse().expect("a URI")).expect("absolute");
        let token = Credential::IdentityToken { username: "u".into(), token: Secret::new("t".into()) };
        let identity = Authenticator::new(own, Some(token));
        let expected = "asks for a user name and a password; the token was not sent";
        assert_eq!(asked(&identity, &["Basic realm=\"r\""]).as_deref(), Some(expected));
    }

    #[tokio::test]
    async fn a_request_that_carried_less_than_can_be_sent_now_is_sent_again() {
        let basic = ["Basic realm=\"r\""];
        let bearer = ["Bearer realm=\"https://reg.example:8443/t\""];
        for challenge in [basic, bearer] {
            let auth = authenticator(true);
            // Two requests went out before either of them was answered.
            for _ in 0..2 {
                let decision = decided(&auth, SentAuth::Nothing, &challenge, "").await;
                assert_eq!(decision, AuthDecision::Retry, "{challenge:?}");
            }
        }
        let auth = authenticator(true);
        assert_eq!(decided(&auth, SentAuth::Password, &bearer, "").await, AuthDecision::Retry);
        assert_eq!(
            decided(&auth, SentAuth::Password, &basic, "").await,
            AuthDecision::Retry,
            "a token may be sent now"
        );
        let auth = authenticator(true);
        assert_eq!(decided(&auth, SentAuth::Nothing, &basic, "").await, AuthDecision::Retry);
        assert_eq!(decided(&auth, SentAuth::Password, &basic, "").await, AuthDecision::Unauthorized, "it was sent");
    }
}
