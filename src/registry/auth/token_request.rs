//! The request for a token, and its answer.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};

use super::token::{self, MAX_TOKEN_ANSWER_BYTES};
use super::{Authenticator, Realm, scope};
use crate::credentials::Credential;
use crate::registry::answer::refused;
use crate::registry::error::{LedBy, RegistryError, Violation};
use crate::registry::http::body::Payload;
use crate::registry::http::{Call, Transport, location};

/// The name under which token services know us.
const CLIENT_ID: &str = "idpbuilder-oci";

impl Authenticator {
    /// Fetches a token for `scope` from the token service.
    pub(super) async fn fetch(
        &self,
        transport: &Transport,
        realm: &Realm,
        scope: &str,
    ) -> Result<token::Token, RegistryError> {
        let call = self.token_request(realm, scope)?;
        self.fetched(transport, call).await.map_err(|error| error.led_by(LedBy::Realm, &self.own))
    }

    async fn fetched(&self, transport: &Transport, call: Call) -> Result<token::Token, RegistryError> {
        let (method, uri) = (call.method.clone(), call.uri.clone());
        let mut reply = transport.send(call).await?;
        if reply.status != StatusCode::OK {
            return Err(refused(&mut reply, self.has_credential()).await);
        }
        let body = reply.document(MAX_TOKEN_ANSWER_BYTES).await?;
        token::read(&body, jiff::Timestamp::now().as_second())
            .ok_or_else(|| RegistryError::protocol(&method, &uri, Violation::NoToken))
    }

    /// Returns a GET with user name and password, or without them; a POST for an identity token (an `OAuth2` refresh).
    /// A GET has a parameter for each scope, as the specification says and Quay insists; a form has all in one (RFC
    /// 6749 section 3.3).
    fn token_request(&self, realm: &Realm, scope: &str) -> Result<Call, RegistryError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut parameters = Vec::new();
        if let Some(service) = &realm.service {
            parameters.push(("service", service.as_str()));
        }
        if let Some(Credential::IdentityToken { token, .. }) = &self.credential {
            if !scope.is_empty() {
                parameters.push(("scope", scope));
            }
            parameters.extend([
                ("grant_type", "refresh_token"),
                ("client_id", CLIENT_ID),
                ("refresh_token", token.expose()),
            ]);
            let form: Vec<String> = parameters
                .iter()
                .map(|(key, value)| {
                    format!("{key}={}", percent_encoding::utf8_percent_encode(value, location::QUERY_VALUE))
                })
                .collect();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            let payload = Payload::Secret(form.join("&").into());
            return Ok(Call { method: Method::POST, uri: realm.uri.clone(), headers, payload });
        }
        parameters.extend(scope::each(scope).map(|scope| ("scope", scope)));
        if let Some((username, _)) = self.pair() {
            parameters.push(("account", username));
            headers.extend(self.basic().map(|value| (AUTHORIZATION, value)));
        }
        let mut uri = realm.uri.clone();
        for (key, value) in parameters {
            uri = location::with_query(&uri, key, value)
                .map_err(|reason| RegistryError::protocol(&Method::GET, &realm.uri, Violation::Realm(reason)))?;
        }
        Ok(Call { method: Method::GET, uri, headers, payload: Payload::Empty })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Secret;
    use crate::registry::http::origin::Origin;

    fn authenticator(credential: Credential) -> Authenticator {
        let own = Origin::of(&"https://reg.example:8443/v2/".parse().expect("a URI")).expect("absolute");
        Authenticator::new(own, Some(credential))
    }

    #[test]
    fn token_requests() {
        let secret = Secret::new("hunter2".into());
        let auth = authenticator(Credential::Basic { username: "u".into(), secret });
        let realm = Realm { uri: "https://a.example/t?x=1".parse().expect("a URI"), service: Some("a b".into()) };
        let call = auth.token_request(&realm, "repository:a/b:pull,push").expect("a request");
        assert_eq!(call.uri, "https://a.example/t?x=1&service=a%20b&scope=repository:a/b:pull,push&account=u");
        assert!(call.headers[AUTHORIZATION].is_sensitive());
        let whole = auth.token_request(&realm, "").expect("a request");
        assert_eq!(whole.uri, "https://a.example/t?x=1&service=a%20b&account=u");
        let token = Secret::new("r&t".into());
        let auth = authenticator(Credential::IdentityToken { username: "u".into(), token });
        let call = auth.token_request(&realm, "s").expect("a request");
        assert_eq!((&call.method, call.headers.get(AUTHORIZATION)), (&Method::POST, None));
        let Payload::Secret(form) = &call.payload else { panic!("a secret form") };
        let expected = "service=a%20b&scope=s&grant_type=refresh_token&client_id=idpbuilder-oci&refresh_token=r%26t";
        assert_eq!(form, expected);
    }
}
