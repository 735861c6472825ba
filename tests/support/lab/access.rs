//! Challenges, tokens, and who may do what.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::profile::{Access, BadToken, Bearer, Denied, Scheme};
use super::request::Reply;

/// The one user of a laboratory, and what is asked for.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user name that is accepted.
    pub user: String,
    /// The password that is accepted.
    pub password: String,
    /// Whether the user may push.
    pub may_push: bool,
    /// Whether the token service is at the other origin.
    pub realm_elsewhere: bool,
    /// How long tokens live, where that is not the profile's own time.
    pub life: Option<Duration>,
}

impl Login {
    /// Returns a login with full rights.
    pub fn new(user: &str, password: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
            may_push: true,
            realm_elsewhere: false,
            life: None,
        }
    }

    /// The `Authorization` of this user.
    pub fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user, self.password)))
    }
}

struct Token {
    scopes: Vec<String>,
    until: Instant,
}

/// Who has got which token.
#[derive(Default)]
pub struct Tokens {
    issued: BTreeMap<String, Token>,
    count: u64,
}

impl Tokens {
    /// All tokens end now.
    pub fn expire(&mut self) {
        for token in self.issued.values_mut() {
            token.until = Instant::now();
        }
    }

    /// How many were issued.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Every token ever issued.
    pub fn all(&self) -> Vec<String> {
        self.issued.keys().cloned().collect()
    }

    /// Answers a request to the token service.
    pub fn issue(&mut self, rules: &Bearer, login: &Login, asked: &Asked<'_>) -> Reply {
        if asked.is_post && rules.post != 200 {
            return Reply::of(rules.post);
        }
        let by_form = asked.is_post && asked.form.contains(&format!("refresh_token={}", login.password));
        match asked.authorization {
            Some(sent) if sent == login.basic() => {}
            None if by_form => {}
            // A token of their own is what registries give to nobody in particular.
            None if !asked.is_post => {}
            _ => return Reply::plain(401, "authGroup.Verify"),
        }
        self.count += 1;
        let seconds = rules.jwt.or(rules.expires_in).unwrap_or(60);
        let life = login.life.unwrap_or(Duration::from_secs(seconds.into()));
        let token = match rules.jwt {
            Some(_) => jwt(self.count, life),
            None => format!("opaque-{:08}", self.count),
        };
        let scopes = if asked.authorization.is_some() || by_form { asked.scopes.clone() } else { Vec::new() };
        self.issued.insert(token.clone(), Token { scopes, until: Instant::now() + life });
        let mut body = serde_json::Map::new();
        for field in rules.fields {
            body.insert((*field).to_owned(), token.clone().into());
        }
        if rules.expires_in.is_some() {
            body.insert("expires_in".to_owned(), life.as_secs().into());
        }
        let body = serde_json::Value::Object(body).to_string();
        Reply::of(200).with("Content-Type", "application/json").body(body.into_bytes())
    }
}

fn jwt(number: u64, life: Duration) -> String {
    let now = jiff::Timestamp::now().as_second();
    let end = now + i64::try_from(life.as_secs()).expect("less than centuries");
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"UserID":{number},"nbf":{now},"exp":{end}}}"#));
    format!("{header}.{claims}.c2lnbmF0dXJl{number:06}")
}

/// A request to the token service.
pub struct Asked<'a> {
    /// Whether the request is a POST with a form.
    pub is_post: bool,
    /// The value of `Authorization`.
    pub authorization: Option<&'a str>,
    /// The scopes of the query, or of the form.
    pub scopes: Vec<String>,
    /// The form of a POST; empty for a GET.
    pub form: &'a str,
}

/// A request that needs a permission.
pub struct Wanted<'a> {
    /// The value of `Authorization`.
    pub authorization: Option<&'a str>,
    /// None for the ping.
    pub repository: Option<&'a str>,
    /// A second repository, which is mounted from.
    pub from: Option<&'a str>,
    /// Whether the request needs the right to push.
    pub pushes: bool,
    /// URL of the token service.
    pub realm: &'a str,
}

/// `None` if it may be done; else the answer that says no.
pub fn refusal(rules: &Access, login: &Login, tokens: &Tokens, wanted: &Wanted<'_>) -> Option<Reply> {
    if rules.open_reads && !wanted.pushes {
        return None;
    }
    let challenge = || challenge(rules, wanted);
    let Some(sent) = wanted.authorization else { return Some(challenge()) };
    let is_basic = sent.starts_with("Basic ");
    if is_basic {
        // Gitea's ping takes no password, right or wrong; other token services answer it with their challenge.
        if wanted.repository.is_none() && matches!(rules.scheme, Scheme::Bearer(_)) {
            return Some(bad_token(rules, challenge));
        }
        let taken = rules.basic_too || matches!(rules.scheme, Scheme::Basic { .. });
        if !taken || sent != login.basic() {
            return Some(bad_token(rules, challenge));
        }
    } else {
        let found = sent.strip_prefix("Bearer ").and_then(|token| tokens.issued.get(token));
        let Some(token) = found.filter(|token| token.until > Instant::now()) else {
            return Some(bad_token(rules, challenge));
        };
        let permits = |repository: &str, action: &str| {
            token.scopes.iter().any(|scope| {
                let mut parts = scope.splitn(3, ':');
                parts.next() == Some("repository")
                    && parts.next() == Some(repository)
                    && parts.next().is_some_and(|actions| actions.split(',').any(|found| found == action))
            })
        };
        if let Scheme::Bearer(Bearer { per_repository: true, .. }) = rules.scheme {
            let action = if wanted.pushes { "push" } else { "pull" };
            if wanted.repository.is_some_and(|repository| !permits(repository, action)) {
                return Some(challenge());
            }
        }
    }
    if wanted.pushes && !login.may_push {
        return Some(match rules.denied {
            Denied::Gitea => {
                Reply::plain(401, "reqPackageAccess").with("WWW-Authenticate", "Basic realm=\"Gitea Package API\"")
            }
            Denied::Forbidden => Reply::error(403, "DENIED", "requested access to the resource is denied"),
        });
    }
    None
}

/// Whether the token also permits to read the repository that is mounted from.
pub fn may_mount(rules: &Access, tokens: &Tokens, wanted: &Wanted<'_>) -> bool {
    let Scheme::Bearer(Bearer { per_repository: true, .. }) = rules.scheme else { return true };
    let Some(from) = wanted.from else { return true };
    let token = wanted.authorization.and_then(|sent| sent.strip_prefix("Bearer "));
    token
        .and_then(|token| tokens.issued.get(token))
        .is_some_and(|token| token.scopes.iter().any(|scope| scope.starts_with(&format!("repository:{from}:"))))
}

fn bad_token(rules: &Access, challenge: impl Fn() -> Reply) -> Reply {
    match rules.bad_token {
        BadToken::Plain(text) => Reply::plain(401, text),
        BadToken::Challenge => challenge(),
        BadToken::Basic(realm) => Reply::error(401, "UNAUTHORIZED", "unauthorized")
            .with("WWW-Authenticate", format!("Basic realm=\"{realm}\"")),
    }
}

fn challenge(rules: &Access, wanted: &Wanted<'_>) -> Reply {
    let value = match rules.scheme {
        Scheme::Basic { realm } => format!("Basic realm=\"{realm}\""),
        Scheme::Bearer(rules) => {
            let mut value = format!("Bearer realm=\"{}\"", wanted.realm);
            // Google's ping is not told the service.
            if let Some(service) = rules.service.or(wanted.repository.map(|_| "service")) {
                value = format!("{value},service=\"{service}\"");
            }
            let actions = if wanted.pushes { "pull,push" } else { "pull" };
            match (rules.ping_scope, wanted.repository) {
                (Some(scope), _) => format!("{value},scope=\"{scope}\""),
                (None, Some(repository)) => format!("{value},scope=\"repository:{repository}:{actions}\""),
                (None, None) => value,
            }
        }
    };
    Reply::error(401, "UNAUTHORIZED", "").with("WWW-Authenticate", value)
}
