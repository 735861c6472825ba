//! Sends a request with the credential or token that the registry wants, and sends it again where a 401 shows that this
//! helps.

use ::http::header::{AUTHORIZATION, HeaderMap};
use ::http::{Method, StatusCode, Uri};

use super::Registry;
use super::answer::{self, error_response};
use super::auth::PasswordTurn;
use super::auth::decision::{AuthDecision, RefusedRequest, SentAuth};
use super::error::{LedBy, Refused, RegistryError};
use super::http::body::Payload;
use super::http::origin::{self, Carried};
use super::http::{Call, Reply, location};
use crate::progress::Event;

/// Times one request is sent: without, with a remembered, and with two new tokens.
pub(super) const MAX_AUTHORIZATIONS: usize = 4;

/// What a token must permit.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access {
    Pull,
    Push,
}

impl Registry {
    pub(super) fn uri(&self, path: &str) -> Result<Uri, RegistryError> {
        location::absolute(self.own.is_https(), &self.authority, &format!("/v2/{path}"))
            .map_err(|_| RegistryError::Address(self.host.clone()))
    }

    /// Sends a request to `repository` with what the registry wants to see.
    pub(super) async fn call(&self, access: Access, repository: &str, call: Call) -> Result<Reply, RegistryError> {
        // A future is moved before it starts, which costs less the smaller it is. So this future is boxed, and so are
        // its rare branches.
        Box::pin(self.call_within(&scope(access, repository), call)).await
    }

    /// Sends a request with what the registry wants to see, again if a 401 says that this helps.
    pub(super) async fn call_within(&self, scope: &str, call: Call) -> Result<Reply, RegistryError> {
        self.authorized(scope, call).await.map_err(|error| error.led_by(LedBy::Location, &self.own))
    }

    async fn authorized(&self, scope: &str, call: Call) -> Result<Reply, RegistryError> {
        // With TLS the ping also shows which protocol other requests will use, before many connections are made.
        if self.auth.has_credential() || self.own.is_https() {
            // A registry that refuses the ping may still answer other requests.
            let greet = || {
                Box::pin(async {
                    match self.ping().await {
                        Err(error) if error.error_response().is_some() => Ok(()),
                        other => other,
                    }
                })
            };
            self.greeted.get_or_try_init(greet).await?;
        }
        // Another origin, which a Location led to, must not see the registry's credentials.
        let is_own = |uri: &Uri| origin::carries(Carried::Header, &self.own, uri);
        let mut sent = 0;
        let mut fresh_token_refused = false;
        loop {
            let mut headers = call.headers.clone();
            let mut carried = SentAuth::Nothing;
            let password = self.auth.shows_password();
            if is_own(&call.uri) {
                let (value, what) = match self.auth.authorize(&self.transport, scope).await {
                    Err(RegistryError::Unauthorized { credentials: true, .. }) if self.turn_to_password(password) => {
                        continue;
                    }
                    authorized => authorized?,
                };
                headers.extend(value.map(|value| (AUTHORIZATION, value)));
                carried = what;
            }
            let (method, uri, payload) = (call.method.clone(), call.uri.clone(), call.payload.clone());
            let mut reply = self.reach(Call { method, uri, headers, payload }).await?;
            sent += 1;
            if reply.status != StatusCode::UNAUTHORIZED || !is_own(&reply.uri) {
                return Ok(reply);
            }
            let response = error_response(&mut reply).await;
            let decision = self
                .auth
                .decide(
                    RefusedRequest { sent: carried, fresh_token_refused },
                    scope,
                    &reply.uri,
                    &reply.headers,
                    &response,
                )
                .await
                .map_err(|violation| RegistryError::Protocol { request: reply.facts(), violation })?;
            fresh_token_refused |= carried.is_fresh_token();
            let credentials = carried != SentAuth::Nothing && self.auth.has_credential();
            match decision {
                AuthDecision::Retry | AuthDecision::Renew if sent < MAX_AUTHORIZATIONS => {
                    if let Payload::Part(part) = &call.payload {
                        let error = RegistryError::refused(reply.facts(), response, credentials);
                        self.sent_for_nothing(part, &error, sent);
                    }
                }
                AuthDecision::Denied | AuthDecision::DeniedForGood if credentials => {
                    return Err(RegistryError::Denied(Box::new(Refused { request: reply.facts(), response })));
                }
                AuthDecision::Unauthorized if carried == SentAuth::Password && self.turn_to_password(password) => {}
                _ if carried == SentAuth::Nothing
                    && let Some(asked) = self.auth.unanswerable(&reply.headers) =>
                {
                    let refused = Box::new(Refused { request: reply.facts(), response });
                    return Err(RegistryError::UnknownScheme { refused, asked });
                }
                _ => return Err(RegistryError::refused(reply.facts(), response, credentials)),
            }
        }
    }

    /// Returns whether a request is sent again with the password, because the registry refused the token of the same
    /// credential. Warns once.
    fn turn_to_password(&self, already: bool) -> bool {
        let turn = self.auth.turn_to_password(already);
        if let PasswordTurn::First(place) = turn {
            self.retry_context.progress.emit(Event::Warning(&format!(
                "{} does not accept the token of {place}; the password there is used instead",
                self.host
            )));
        }
        turn != PasswordTurn::None
    }

    /// Returns whether the registry refused the token of a credential, so that its password is sent instead.
    pub fn shows_password(&self) -> bool {
        self.auth.shows_password()
    }

    pub(super) async fn refused(&self, reply: &mut Reply) -> RegistryError {
        // Other origins got nothing of the credential.
        let is_own = origin::carries(Carried::Header, &self.own, &reply.uri);
        let error = answer::refused(reply, is_own && self.auth.has_credential()).await;
        error.led_by(LedBy::Location, &self.own)
    }
}

pub(super) fn empty(method: Method, uri: Uri) -> Call {
    Call { method, uri, headers: HeaderMap::new(), payload: Payload::Empty }
}

pub(super) fn scope(access: Access, repository: &str) -> String {
    if repository.is_empty() {
        return String::new();
    }
    let actions = match access {
        Access::Pull => "pull",
        Access::Push => "pull,push",
    };
    format!("repository:{repository}:{actions}")
}
