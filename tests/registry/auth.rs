//! Token services and what a 401 means, Gitea's way included.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use idpbuilder_oci::credentials::{Credential, Secret};
use idpbuilder_oci::image::Digest;
use idpbuilder_oci::registry::{RegistryError, Target, Violation};

use crate::fixture::{login, registry};
use crate::scripted::{Reply, Request, Scripted, answer, with};

const TOKEN_PATH: &str = "/v2/token";

fn challenge(request: &Request) -> String {
    let host = request.header("host").unwrap_or_default();
    format!("Bearer realm=\"http://{host}{TOKEN_PATH}\",service=\"container_registry\",scope=\"*\"")
}

/// A registry that gives out the tokens `t1`, `t2`, ... and asks `judge` about requests with one.
fn gitea(judge: impl Fn(&Request, &str) -> Reply + Send + Sync + 'static) -> Scripted {
    let issued = AtomicUsize::new(0);
    Scripted::start(move |request| {
        if request.path() == TOKEN_PATH {
            let expected = format!("Basic {}", STANDARD.encode("giteaAdmin:hunter2"));
            if request.header("authorization").is_some_and(|sent| sent != expected) {
                return answer(401, "authGroup.Verify\n");
            }
            let number = issued.fetch_add(1, Ordering::Relaxed) + 1;
            return answer(200, &format!("{{\"token\":\"t{number}\",\"expires_in\":3600}}"));
        }
        match request.header("authorization") {
            None => with(401, "WWW-Authenticate", challenge(request)),
            Some(sent) => match sent.strip_prefix("Bearer ") {
                Some(token) => judge(request, token),
                // As Gitea does: right or wrong, Basic is not for here.
                None => answer(401, "authGroup.Verify\n"),
            },
        }
    })
}

fn tokens_fetched(server: &Scripted) -> usize {
    server.seen().iter().filter(|request| request.path() == TOKEN_PATH).count()
}

#[tokio::test]
async fn one_token_serves_all_requests_of_a_repository() {
    let server = gitea(|_, _| with(200, "Content-Length", "5"));
    let registry = registry(&server.host(), Some(login("giteaAdmin", "hunter2")));
    let digests: Vec<Digest> = (0..8u8).map(|n| Digest::of(&[n])).collect();
    let sizes = join_all(digests.iter().map(|digest| registry.head_blob("team/app", *digest))).await;
    for size in sizes {
        assert_eq!(size.expect("an answer"), Some(5));
    }
    assert_eq!(tokens_fetched(&server), 1);
    let token = server.seen().into_iter().find(|request| request.path() == TOKEN_PATH).expect("fetched");
    for parameter in ["service=container_registry", "scope=repository:team/app:pull,push", "account=giteaAdmin"] {
        assert!(token.target.contains(parameter), "{}", token.target);
    }
    let pings = server.seen().into_iter().filter(|request| request.path() == "/v2/");
    assert!(pings.map(|ping| ping.header("authorization").is_none()).eq([true]));
}

#[tokio::test]
async fn without_a_credential_an_anonymous_token_is_fetched() {
    let server = gitea(|_, _| with(200, "Content-Length", "5"));
    let size = registry(&server.host(), None).head_blob("team/app", Digest::of(b"")).await;
    assert_eq!(size.expect("an answer"), Some(5));
    let token = server.seen().into_iter().find(|request| request.path() == TOKEN_PATH).expect("fetched");
    assert_eq!(token.header("authorization"), None);
}

#[tokio::test]
async fn a_401_without_challenge_means_a_new_token_once() {
    // The first token dies after one use.
    let used = AtomicUsize::new(0);
    let server = gitea(move |_, token| {
        if token == "t1" && used.fetch_add(1, Ordering::Relaxed) > 0 {
            return answer(401, "authGroup.Verify\n");
        }
        with(200, "Content-Length", "5")
    });
    let registry = registry(&server.host(), Some(login("giteaAdmin", "hunter2")));
    for _ in 0..3 {
        assert_eq!(registry.head_blob("team/app", Digest::of(b"")).await.expect("an answer"), Some(5));
    }
    assert_eq!(tokens_fetched(&server), 2);
}

#[tokio::test]
async fn a_good_token_without_the_right_is_denied_at_once() {
    let server = gitea(|_, _| {
        Reply::Answer(
            401,
            vec![("WWW-Authenticate", "Basic realm=\"Gitea Package API\"".into())],
            b"reqPackageAccess\n".to_vec(),
        )
    });
    let registry = registry(&server.host(), Some(login("giteaAdmin", "hunter2")));
    let error =
        registry.get_manifest("team/app", idpbuilder_oci::registry::Target::Tag("v1")).await.expect_err("denied");
    let RegistryError::Denied(refused) = &error else { panic!("{error:?}") };
    assert_eq!(refused.response.text.as_deref(), Some("reqPackageAccess"));
    assert_eq!(tokens_fetched(&server), 1);
}

#[tokio::test]
async fn a_token_that_never_works_ends_in_denied() {
    let server = gitea(|_, _| answer(401, "authGroup.Verify\n"));
    let registry = registry(&server.host(), Some(login("giteaAdmin", "hunter2")));
    let error = registry.head_blob("team/app", Digest::of(b"")).await.expect_err("denied");
    assert!(matches!(error, RegistryError::Denied(_)), "{error:?}");
    // The remembered one is now refused, too: one more is fetched, no more.
    registry.head_blob("team/app", Digest::of(b"")).await.expect_err("denied");
    assert!(tokens_fetched(&server) <= 3, "{:?}", server.log());
}

#[tokio::test]
async fn a_wrong_password_is_told_from_no_password() {
    let server = gitea(|_, _| with(200, "Content-Length", "5"));
    let wrong = registry(&server.host(), Some(login("giteaAdmin", "wr0ng-secret")));
    let error = wrong.head_blob("team/app", Digest::of(b"")).await.expect_err("wrong");
    let RegistryError::Unauthorized { refused, credentials: true } = &error else { panic!("{error:?}") };
    assert_eq!((refused.request.path(), refused.response.text.as_deref()), (TOKEN_PATH, Some("authGroup.Verify")));
    let text = format!("{error} {error:?}");
    assert!(!text.contains("wr0ng-secret") && !text.contains(&STANDARD.encode("giteaAdmin:wr0ng-secret")));
}

#[tokio::test]
async fn a_password_beside_a_refused_access_token_is_shown_once() {
    let either = |password: &str| {
        let secret = |text: &str| Secret::new(text.to_owned());
        let (token, password, place) =
            (secret("deleted"), secret(password), "Secret gitea/gitea-credential".to_owned());
        Some(Credential::TokenOrPassword { username: "giteaAdmin".into(), token, password, place })
    };
    let server = gitea(|_, _| with(200, "Content-Length", "5"));
    let with_password = registry(&server.host(), either("hunter2"));
    let repositories: Vec<String> = (0..8).map(|number| format!("team/app{number}")).collect();
    let sizes = join_all(repositories.iter().map(|name| with_password.head_blob(name, Digest::of(b"")))).await;
    for size in sizes {
        assert_eq!(size.expect("an answer"), Some(5));
    }
    assert!(with_password.shows_password());
    let asked = tokens_fetched(&server);
    assert!(asked <= 2 * repositories.len(), "each scope asks with either once at most: {asked}");
    for name in &repositories {
        with_password.head_blob(name, Digest::of(b"")).await.expect("an answer");
    }
    assert_eq!(tokens_fetched(&server), asked);

    let server = gitea(|_, _| with(200, "Content-Length", "5"));
    let neither = registry(&server.host(), either("wrong"));
    let error = neither.head_blob("team/app", Digest::of(b"")).await.expect_err("refused");
    assert!(matches!(error, RegistryError::Unauthorized { credentials: true, .. }), "{error:?}");
    assert_eq!(tokens_fetched(&server), 2, "the token, then the password");
}

#[tokio::test]
async fn identity_tokens_are_exchanged_and_registry_tokens_sent_as_they_are() {
    let server = Scripted::start(|request| match request.header("authorization") {
        _ if request.path() == TOKEN_PATH => answer(200, "{\"access_token\":\"t1\"}"),
        None => with(401, "WWW-Authenticate", challenge(request)),
        Some("Bearer t1" | "Bearer given") => with(200, "Content-Length", "5"),
        Some(_) => answer(400, "what is this"),
    });
    let identity = Credential::IdentityToken { username: "u".into(), token: Secret::new("refresh me".into()) };
    for credential in [identity, Credential::RegistryToken(Secret::new("given".into()))] {
        let size = registry(&server.host(), Some(credential)).head_blob("team/app", Digest::of(b"")).await;
        assert_eq!(size.expect("an answer"), Some(5));
    }
    let token = server.seen().into_iter().find(|request| request.path() == TOKEN_PATH).expect("fetched");
    let form = String::from_utf8(token.body).expect("text");
    assert_eq!(token.method, "POST");
    assert!(form.contains("grant_type=refresh_token") && form.contains("refresh_token=refresh%20me"), "{form}");
}

#[tokio::test]
async fn a_refused_ping_does_not_end_it() {
    let server = Scripted::start(|request| match request.header("authorization") {
        _ if request.path() == "/v2/" => answer(404, ""),
        Some(sent) if sent.starts_with("Basic ") => with(200, "Content-Length", "5"),
        _ => with(401, "WWW-Authenticate", "Basic realm=x"),
    });
    let registry = registry(&server.host(), Some(login("u", "p")));
    assert_eq!(registry.head_blob("team/app", Digest::of(b"")).await.expect("an answer"), Some(5));
}

#[tokio::test]
async fn both_schemes_offered_bearer_is_taken() {
    let server = Scripted::start(|request| match request.header("authorization") {
        _ if request.path() == TOKEN_PATH => answer(200, "{\"token\":\"t1\"}"),
        Some("Bearer t1") => with(200, "Content-Length", "5"),
        _ => with(401, "WWW-Authenticate", format!("Basic realm=\"a, b\", {}", challenge(request))),
    });
    let registry = registry(&server.host(), Some(login("u", "p")));
    assert_eq!(registry.head_blob("team/app", Digest::of(b"")).await.expect("an answer"), Some(5));
}

#[tokio::test]
async fn a_token_service_without_a_token_breaks_the_protocol() {
    let server = Scripted::start(|request| {
        if request.path() == TOKEN_PATH {
            answer(200, "<html>")
        } else {
            with(401, "WWW-Authenticate", challenge(request))
        }
    });
    let error =
        registry(&server.host(), Some(login("u", "p"))).head_blob("a/b", Digest::of(b"")).await.expect_err("none");
    assert!(matches!(&error, RegistryError::Protocol { violation: Violation::NoToken, .. }), "{error:?}");
}

#[tokio::test]
async fn the_answer_of_a_token_service_is_limited() {
    let long = format!("{{\"token\":\"t1\"}}{}", " ".repeat(1 << 20));
    let server = Scripted::start(move |request| match request.header("authorization") {
        _ if request.path() == TOKEN_PATH => answer(200, &long),
        Some("Bearer t1") => with(200, "Content-Length", "5"),
        _ => with(401, "WWW-Authenticate", challenge(request)),
    });
    let client = registry(&server.host(), Some(login("u", "p")));
    let error = client.head_blob("a/b", Digest::of(b"")).await.expect_err("too long");
    assert!(matches!(&error, RegistryError::Protocol { violation: Violation::TooLong(_), .. }), "{error:?}");
}

#[tokio::test]
async fn what_a_server_says_back_of_a_credential_is_not_told() {
    let server = Scripted::start(|request| match request.header("authorization") {
        None => with(401, "WWW-Authenticate", "Basic realm=\"r\""),
        Some(shown) => {
            answer(403, &format!("{{\"errors\":[{{\"code\":\"DENIED\",\"message\":\"{shown}, correct-horse\"}}]}}"))
        }
    });
    let registry = registry(&server.host(), Some(login("giteaAdmin", "correct-horse")));
    let error = registry.get_manifest("team/app", Target::Tag("v1")).await.expect_err("not permitted");
    let text = format!("{error} {error:?}");
    assert!(text.contains("DENIED: Basic [hidden], [hidden]"), "{text}");
    assert!(!text.contains("correct-horse") && !text.contains(&STANDARD.encode("giteaAdmin:correct-horse")), "{text}");
}

/// The scopes that a token request asks for, one of each parameter.
fn scopes(request: &Request) -> Vec<String> {
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter_map(|pair| pair.strip_prefix("scope=")).map(str::to_owned).collect()
}

#[tokio::test]
async fn each_scope_has_a_parameter_of_its_own_and_another_one_is_asked_for_once() {
    // Quay refuses scopes that are joined; the registry wants more than the client would ask for.
    let server = Scripted::start(|request| {
        if request.path() == TOKEN_PATH {
            let scopes = scopes(request);
            if scopes.iter().any(|scope| scope.contains("%20") || scope.contains('+')) {
                return answer(400, "invalid scope");
            }
            return answer(200, &format!("{{\"token\":\"{}\",\"expires_in\":\"3600\"}}", scopes.len()));
        }
        let host = request.header("host").unwrap_or_default();
        let challenge = |rest: &str| format!("Bearer realm=\"http://{host}{TOKEN_PATH}\",service=\"s\"{rest}");
        match request.header("authorization") {
            None => with(401, "WWW-Authenticate", challenge("")),
            Some("Bearer 2") => with(200, "Content-Length", "5"),
            Some(_) => with(
                401,
                "WWW-Authenticate",
                challenge(",scope=\"repository:team/base:pull repository:team/app:pull\",error=\"insufficient_scope\""),
            ),
        }
    });
    let registry = registry(&server.host(), Some(login("u", "p")));
    for _ in 0..3 {
        assert_eq!(registry.head_blob("team/app", Digest::of(b"")).await.expect("an answer"), Some(5));
    }
    let asked: Vec<Vec<String>> =
        server.seen().iter().filter(|request| request.path() == TOKEN_PATH).map(scopes).collect();
    let ours = "repository:team/app:pull,push".to_owned();
    assert_eq!(asked, [vec![ours.clone()], vec![ours, "repository:team/base:pull".to_owned()]]);
}

#[tokio::test]
async fn a_registry_that_is_never_content_with_the_scope_ends_in_denied() {
    let server = Scripted::start(|request| match request.header("authorization") {
        _ if request.path() == TOKEN_PATH => answer(200, "{\"token\":\"t\"}"),
        _ => with(401, "WWW-Authenticate", format!("{},error=\"insufficient_scope\"", challenge(request))),
    });
    let registry = registry(&server.host(), Some(login("u", "p")));
    let error = registry.get_manifest("team/app", Target::Tag("v1")).await.expect_err("denied");
    assert!(matches!(error, RegistryError::Denied(_)), "{error:?}");
    assert_eq!(tokens_fetched(&server), 2);
}

#[tokio::test]
async fn a_registry_that_asks_in_no_way_that_is_spoken_is_told_as_such() {
    for (challenge, expected) in [
        (Some("Negotiate"), "asks for negotiate, which is not supported; no credential was sent"),
        (Some("Digest realm=\"r\", nonce=\"n\""), "asks for digest, which is not supported; no credential was sent"),
        (Some("NTLM"), "asks for ntlm, which is not supported; no credential was sent"),
        (None, "does not say how it wants to be shown a credential; none was sent"),
    ] {
        let server = Scripted::start(move |_| match challenge {
            Some(challenge) => with(401, "WWW-Authenticate", challenge),
            None => answer(401, "go away"),
        });
        for credential in [Some(login("u", "hunter2")), None] {
            let error = registry(&server.host(), credential).get_manifest("a/b", Target::Tag("v1")).await;
            let error = error.expect_err("nothing to be shown");
            assert!(matches!(error, RegistryError::UnknownScheme { .. }), "{error:?}");
            let text = error.to_string();
            assert!(text.contains(expected) && !text.contains("does not accept"), "{text}");
        }
        assert!(server.seen().iter().all(|request| request.header("authorization").is_none()));
    }
}
