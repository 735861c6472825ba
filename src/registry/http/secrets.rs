//! What a request showed of a credential, to be hidden where a server says it back to us.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};
use zeroize::Zeroizing;

use super::Call;
use super::body::Payload;

/// What stands where something may not be shown.
pub(super) const HIDDEN: &str = "[hidden]";
/// Shorter ones are words, which texts have for reasons of their own: hiding them there would give them away.
const SHORTEST: usize = 8;

/// The secrets of one request: what its headers carry, the password in it, and the token of a form.
#[derive(Default)]
pub(super) struct Secrets(Vec<Zeroizing<String>>);

impl Secrets {
    pub(super) fn of(call: &Call) -> Self {
        let mut found = Vec::new();
        for value in [AUTHORIZATION, PROXY_AUTHORIZATION].iter().filter_map(|name| call.headers.get(name)) {
            let Some((scheme, shown)) = value.to_str().ok().and_then(|text| text.split_once(' ')) else { continue };
            found.push(shown.to_owned());
            if scheme == "Basic"
                && let Ok(pair) = STANDARD.decode(shown).map(Zeroizing::new)
                && let Some((_, password)) = std::str::from_utf8(&pair).ok().and_then(|pair| pair.split_once(':'))
            {
                found.push(password.to_owned());
            }
        }
        if let Payload::Secret(body) = &call.payload
            && let Ok(form) = std::str::from_utf8(body)
            && let Some((_, token)) = form.rsplit_once("refresh_token=")
        {
            found.push(percent_encoding::percent_decode_str(token).decode_utf8_lossy().into_owned());
        }
        // JSON may have a slash escaped.
        let escaped: Vec<String> =
            found.iter().filter(|text| text.contains('/')).map(|text| text.replace('/', "\\/")).collect();
        found.extend(escaped);
        found.retain(|text| text.len() >= SHORTEST);
        Self(found.into_iter().map(Zeroizing::new).collect())
    }

    /// Returns the text without them.
    pub(super) fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), HIDDEN))
    }
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;
    use http::{HeaderMap, Method};

    use super::*;

    fn secrets(authorization: Option<&str>, payload: Payload) -> Secrets {
        let value = authorization.map(|value| HeaderValue::from_str(value).expect("a header"));
        let headers: HeaderMap = value.into_iter().map(|value| (AUTHORIZATION, value)).collect();
        Secrets::of(&Call {
            method: Method::POST,
            uri: "https://r.example/t".parse().expect("a URI"),
            headers,
            payload,
        })
    }

    #[test]
    fn what_was_shown_is_not_said_back() {
        let basic = format!("Basic {}", STANDARD.encode("me:SECRET?>pw"));
        let pair = STANDARD.encode("me:SECRET?>pw");
        let escaped = pair.replace('/', "\\/");
        for (authorization, said) in [
            (Some(basic.as_str()), format!("you sent {basic}")),
            (Some(basic.as_str()), format!("you sent {escaped}")),
            (Some(basic.as_str()), "the password SECRET?>pw is wrong".to_owned()),
            (Some("Bearer tok/en/of/it"), "tok/en/of/it has ended, as has tok\\/en\\/of\\/it".to_owned()),
        ] {
            let heard = secrets(authorization, Payload::Empty).hide(&said);
            for secret in [pair.as_str(), escaped.as_str(), "SECRET", "tok"] {
                assert!(!heard.contains(secret), "{said}: {heard}");
            }
        }
        let form = Payload::Secret("service=x&grant_type=refresh_token&refresh_token=a%26bcdefg".into());
        assert_eq!(secrets(None, form).hide("a&bcdefg is no token"), "[hidden] is no token");
    }

    #[test]
    fn all_else_is() {
        assert_eq!(secrets(None, Payload::Empty).hide("no"), "no");
        let short = format!("Basic {}", STANDARD.encode("me:wrong"));
        assert_eq!(secrets(Some(&short), Payload::Empty).hide("the password is wrong"), "the password is wrong");
    }
}
