//! Where requests are sent on to, and what goes with them.

use idpbuilder_oci::credentials::{Credential, Secret};
use idpbuilder_oci::image::{Descriptor, Digest, Document, Manifest};
use idpbuilder_oci::registry::{
    LedBy, Limits, Misdirection, Piece, Registry, RegistryConfig, RegistryError, Target, Violation,
};

use crate::fixture::{eager, login, noise, registry, registry_config, upload};
use crate::scripted::{Reply, Scripted, answer, with};

fn document() -> Document {
    let config = Descriptor::of("application/vnd.oci.image.config.v1+json", b"{}");
    Document::from_manifest(Manifest::new(config, Vec::new(), std::collections::BTreeMap::new()))
}

/// Asks for a password wherever none is sent.
fn with_password(then: impl Fn(&crate::scripted::Request) -> Reply + Send + Sync + 'static) -> Scripted {
    Scripted::start(move |request| match request.header("authorization") {
        None => with(401, "WWW-Authenticate", "Basic realm=x"),
        Some(_) => then(request),
    })
}

#[tokio::test]
async fn a_blob_elsewhere_is_fetched_without_the_password() {
    let elsewhere = Scripted::start(|_| answer(200, "hello"));
    let address = format!("http://{}/bucket?signature=1", elsewhere.host());
    let server = with_password(move |_| with(307, "Location", address.clone()));
    let registry = registry(&server.host(), Some(login("u", "hunter2")));
    let blob = Descriptor::of("application/octet-stream", b"hello");
    let mut download = registry.get_blob("team/app", &blob).await.expect("found");
    let mut bytes = Vec::new();
    while let Some(chunk) = download.chunk().await.expect("whole") {
        bytes.extend_from_slice(&chunk);
    }
    assert_eq!(bytes, b"hello");
    let seen = elsewhere.seen();
    assert_eq!((seen.len(), seen[0].target.as_str()), (1, "/bucket?signature=1"));
    assert_eq!(seen[0].header("authorization"), None);
    assert!(server.seen().iter().any(|request| request.header("authorization").is_some()));
}

#[tokio::test]
async fn a_redirected_upload_is_sent_again_with_its_body() {
    let document = document();
    let digest = document.digest();
    let server = Scripted::start(move |request| {
        if request.path().starts_with("/v2/renamed/") {
            with(201, "Docker-Content-Digest", digest.to_string())
        } else {
            with(307, "Location", request.target.replace("/team/", "/renamed/"))
        }
    });
    registry(&server.host(), None).put_manifest("team/app", Target::Tag("v1"), &document).await.expect("stored");
    let last = server.seen().pop().expect("asked");
    assert_eq!((last.method.as_str(), last.body), ("PUT", document.bytes));
    assert_eq!(last.headers.iter().filter(|(name, _)| name == "transfer-encoding").count(), 0);
}

#[tokio::test]
async fn a_secret_in_a_body_follows_no_redirection_to_another_origin() {
    let elsewhere = Scripted::start(|_| answer(200, "{\"token\":\"stolen\"}"));
    let address = format!("http://{}/token", elsewhere.host());
    for status in [307, 308] {
        let address = address.clone();
        let server = Scripted::start(move |request| match request.path() {
            "/token" => with(status, "Location", address.clone()),
            _ => with(
                401,
                "WWW-Authenticate",
                format!("Bearer realm=\"http://{}/token\"", request.header("host").unwrap_or_default()),
            ),
        });
        let token = Secret::new("refresh-me-please".to_owned());
        let identity = Credential::IdentityToken { username: "u".to_owned(), token };
        let client = registry(&server.host(), Some(identity));
        let error = client.get_manifest("a/b", Target::Tag("v1")).await.expect_err("not followed");
        let RegistryError::Protocol { violation: Violation::Location(why), .. } = &error else { panic!("{error:?}") };
        assert!(matches!(why, Misdirection::Secret(_)), "{why:?}");
        assert!(!format!("{error:?}").contains("refresh-me"), "{error:?}");
        assert!(server.seen().iter().any(|request| request.method == "POST"), "{:?}", server.log());
    }
    assert_eq!(elsewhere.log(), Vec::<String>::new());
}

#[tokio::test]
async fn a_secret_in_a_body_follows_a_redirection_within_its_origin() {
    let server = Scripted::start(|request| match (request.path(), request.header("authorization")) {
        ("/token", _) => with(307, "Location", "/moved"),
        ("/moved", _) => answer(200, "{\"token\":\"t\"}"),
        (_, Some("Bearer t")) => with(200, "Content-Length", "5"),
        _ => with(401, "WWW-Authenticate", "Bearer realm=\"/token\""),
    });
    let token = Secret::new("refresh-me-please".to_owned());
    let identity = Credential::IdentityToken { username: "u".to_owned(), token };
    let size = registry(&server.host(), Some(identity)).head_blob("a/b", Digest::of(b"")).await;
    assert_eq!(size.expect("an answer"), Some(5));
    let moved = server.seen().into_iter().find(|request| request.path() == "/moved").expect("followed");
    assert!(String::from_utf8(moved.body).expect("text").contains("refresh_token=refresh-me-please"));
}

#[tokio::test]
async fn the_password_for_a_token_service_follows_no_redirection_to_another_origin() {
    let elsewhere = Scripted::start(|_| answer(200, "{\"token\":\"t\"}"));
    let address = format!("http://{}/token", elsewhere.host());
    let server = Scripted::start(move |request| match (request.path(), request.header("authorization")) {
        ("/token", _) => with(307, "Location", address.clone()),
        (_, Some("Bearer t")) => with(200, "Content-Length", "5"),
        _ => with(401, "WWW-Authenticate", "Bearer realm=\"/token\""),
    });
    let size = registry(&server.host(), Some(login("u", "hunter2"))).head_blob("a/b", Digest::of(b"")).await;
    assert_eq!(size.expect("an answer"), Some(5));
    let asked = server.seen().into_iter().find(|request| request.path() == "/token").expect("asked");
    assert!(asked.header("authorization").is_some_and(|value| value.starts_with("Basic ")));
    assert!(elsewhere.seen().iter().all(|request| request.header("authorization").is_none()));
    assert_eq!(elsewhere.seen().len(), 1);
}

#[tokio::test]
async fn circles_end() {
    let server = Scripted::start(|request| with(302, "Location", request.target.clone()));
    let error = registry(&server.host(), None).get_manifest("a/b", Target::Tag("v1")).await.expect_err("a circle");
    assert!(matches!(&error, RegistryError::Protocol { violation: Violation::Redirections(5), .. }), "{error:?}");
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn an_upload_session_elsewhere_gets_the_bytes_but_not_the_password() {
    let elsewhere = Scripted::start(|request| with(if request.method == "PUT" { 201 } else { 202 }, "X", "y"));
    let address = format!("http://{}/session?_state=s", elsewhere.host());
    let server = with_password(move |_| with(202, "Location", address.clone()));
    for limits in [Limits::default(), Limits::chunks_of(64 << 10)] {
        let config = registry_config(&server.host(), Some(login("u", "hunter2")));
        let registry = Registry::open(RegistryConfig { limits, ..config }).expect("an address");
        upload(&registry, &noise(30, 100_000)).await.expect("sent");
    }
    let seen = elsewhere.seen();
    let methods: Vec<&str> = seen.iter().map(|request| request.method.as_str()).collect();
    assert_eq!(methods, ["PUT", "PATCH", "PATCH", "PUT"]);
    assert!(seen.iter().all(|request| request.header("authorization").is_none()));
    assert_eq!(seen[1].header("content-range"), Some("0-65535"));
    assert_eq!(seen[2].header("content-range"), Some("65536-99999"));
    assert_eq!(seen[3].header("content-length"), Some("0"));
    let digest = Digest::of(&noise(30, 100_000));
    assert_eq!(seen[3].target, format!("/session?_state=s&digest={digest}"));
}

#[tokio::test]
async fn an_upload_without_an_address_breaks_the_protocol() {
    let server = Scripted::start(|_| answer(202, ""));
    let error = upload(&registry(&server.host(), None), b"x").await.expect_err("no Location");
    assert!(matches!(&error, RegistryError::Protocol { violation: Violation::NoLocation, .. }), "{error:?}");
}

#[tokio::test]
async fn a_blob_that_breaks_elsewhere_is_asked_for_at_the_registry_again() {
    let content = noise(31, 5000);
    let (whole, blob) = (content.clone(), Descriptor::of("application/octet-stream", &content));
    let elsewhere = Scripted::start(move |request| match (request.target.as_str(), request.header("range")) {
        ("/bucket?signature=1", None) => Reply::Short(5000, whole[..2000].to_vec()),
        ("/bucket?signature=2", Some("bytes=2000-")) => {
            let range = vec![("Content-Range", "bytes 2000-4999/5000".to_owned())];
            Reply::Answer(206, range, whole[2000..].to_vec())
        }
        // A signature is good once.
        _ => answer(403, "expired"),
    });
    let (host, count) = (elsewhere.host(), std::sync::atomic::AtomicU32::new(1));
    let server = with_password(move |_| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        with(307, "Location", format!("http://{host}/bucket?signature={number}"))
    });
    let config = registry_config(&server.host(), Some(login("u", "hunter2")));
    let registry = Registry::open(RegistryConfig { retry: eager().into(), ..config }).expect("an address");
    let mut download = registry.get_blob("team/app", &blob).await.expect("found");
    let mut bytes = Vec::new();
    while let Some(piece) = download.next().await.expect("goes on") {
        match piece {
            Piece::Bytes(more) => bytes.extend_from_slice(&more),
            Piece::Restart => panic!("nothing was wrong"),
        }
    }
    assert!(bytes == content);
    let targets: Vec<String> = elsewhere.seen().iter().map(|request| request.target.clone()).collect();
    assert_eq!(targets, ["/bucket?signature=1", "/bucket?signature=2"]);
    assert!(elsewhere.seen().iter().all(|request| request.header("authorization").is_none()));
}

/// An address at port 80 of this machine, where nothing may listen, at which the registry thinks it is.
const WITHOUT_PORT: &str = "http://127.0.0.1/v2/team/app/blobs/uploads/1";

#[tokio::test]
async fn a_registry_that_does_not_know_its_port_is_told_with_where_it_led() {
    let listens = std::net::TcpStream::connect("127.0.0.1:80").is_ok();
    assert!(!listens, "this test needs port 80 of this machine to be free");
    let location = Scripted::start(|request| match request.method.as_str() {
        "POST" => with(202, "Location", WITHOUT_PORT),
        "HEAD" => answer(404, ""),
        _ => answer(200, ""),
    });
    let realm = Scripted::start(|_| with(401, "WWW-Authenticate", "Bearer realm=\"http://127.0.0.1/v2/token\""));
    for (server, by) in [(&location, LedBy::Location), (&realm, LedBy::Realm)] {
        let config = RegistryConfig { retry: eager().into(), ..registry_config(&server.host(), None) };
        let client = Registry::open(config).expect("an address");
        let error = upload(&client, &noise(1, 9000)).await.expect_err("nothing there");
        let RegistryError::LostPort { from, to, by: found, source } = &error else { panic!("{error:?}") };
        assert_eq!(
            (from.to_string(), to.to_string()),
            (format!("http://{}", server.host()), "http://127.0.0.1:80".into())
        );
        assert_eq!(*found, by);
        assert!(matches!(**source, RegistryError::Network { .. }), "{source:?}");
    }
    assert!(location.seen().iter().filter(|request| request.method == "POST").count() <= 2, "{:?}", location.log());
}
