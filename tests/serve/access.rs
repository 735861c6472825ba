//! Who may enter, what may be written, and how much of everything there is.

use std::io::Write;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use idpbuilder_oci::image::Digest;
use idpbuilder_oci::serve::{Limits, ServeTls};

use crate::support::{Image, PASSWORD, Running, Setup, USER};

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[test]
fn without_the_password_nothing_is_told() {
    let server = Running::start_with(Setup { password: true, ..Setup::default() });
    let digest = Digest::of(b"");
    for (method, path) in [
        ("GET", "/v2/".to_owned()),
        ("GET", "/".to_owned()),
        ("GET", "/v2/_catalog".to_owned()),
        ("GET", format!("/v2/app/blobs/{digest}")),
        ("POST", "/v2/app/blobs/uploads/".to_owned()),
        ("DELETE", "/v2/app/manifests/v1".to_owned()),
    ] {
        let answer = server.call(method, &path, &[], b"");
        assert_eq!(answer.refused(401, "UNAUTHORIZED").header("www-authenticate"), "Basic realm=\"idpbuilder\"");
    }
    for wrong in [
        basic(USER, "wrong"),
        basic("bob", PASSWORD),
        basic("", ""),
        format!("Bearer {}", STANDARD.encode(PASSWORD)),
        "Basic !".to_owned(),
        "nonsense".to_owned(),
    ] {
        server.call("GET", "/v2/", &[("authorization", &wrong)], b"").refused(401, "UNAUTHORIZED");
    }
    let right = basic(USER, PASSWORD);
    for _ in 0..3 {
        server.call("GET", "/v2/", &[("authorization", &right)], b"").is(200);
    }
    let lines = server.log_when(|lines| lines.iter().filter(|line| line.status == Some(200)).count() == 3);
    for line in lines {
        assert_eq!(line.user.is_some(), line.status == Some(200), "{line:?}");
        assert!(!format!("{line:?}").contains(PASSWORD));
    }
}

#[test]
fn read_only_reads() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = idpbuilder_oci::store::ImageStore::open(&directory.path().join("images")).expect("a store");
    let image = Image::new("x");
    image.save(&store, "app:v1");
    let server = Running::over(directory, store, Setup { read_only: true, ..Setup::default() });
    server.get("/v2/app/manifests/v1").is(200);
    server.get(&format!("/v2/app/blobs/{}", Digest::of(&image.blobs[1]))).is(200);
    for (method, path) in [
        ("POST", "/v2/app/blobs/uploads/".to_owned()),
        ("POST", format!("/v2/app/blobs/uploads/?mount={}&from=app", Digest::of(&image.blobs[1]))),
        ("PUT", "/v2/app/manifests/v2".to_owned()),
        ("DELETE", "/v2/app/manifests/v1".to_owned()),
        ("PATCH", "/v2/app/blobs/uploads/0".to_owned()),
    ] {
        let answer = server.call(method, &path, &[], &image.manifest.bytes);
        assert_eq!(answer.refused(405, "UNSUPPORTED").header("allow"), "GET, HEAD");
    }
    assert_eq!(server.store.entries().expect("entries").len(), 1);
    // It holds no lease, so others may tidy up beside it.
    server.store.prune().expect("pruned");
}

#[test]
fn heads_are_limited() {
    let server = Running::start();
    let long = "x".repeat(100_000);
    let mut connection = server.connect();
    connection.send_head("GET", "/v2/", &[("x-long", &long)], None);
    assert!([400, 431].contains(&connection.answer("HEAD").status));
    let mut connection = server.connect();
    let many: Vec<(&str, &str)> = vec![("x-a", "1"); 500];
    connection.send_head("GET", "/v2/", &many, None);
    assert!([400, 431].contains(&connection.answer("HEAD").status));
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let limits = Limits { head_time: Duration::from_millis(50), ..Limits::default() };
    let server = Running::start_with(Setup { limits: limits.clone(), ..Setup::default() });
    let mut connection = server.connect();
    connection.stream.write_all(b"GET /v2/ HTTP/1.1\r\nx: ").expect("sent");
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut connection.stream, &mut rest).expect("closed in time");
    assert!(!rest.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&rest));
    let tls = ServeTls::SelfSigned { names: Vec::new() };
    let server = Running::start_with(Setup { tls, limits, ..Setup::default() });
    assert!(server.connect().is_closed(), "a handshake that never starts");
}

#[test]
fn connections_are_limited() {
    let limits = Limits { connections: 1, idle: Duration::from_millis(200), ..Limits::default() };
    let server = Running::start_with(Setup { limits, ..Setup::default() });
    let mut first = server.connect();
    first.send_head("POST", &format!("/v2/app/blobs/uploads/?digest={}", Digest::of(b"x")), &[], Some(1));
    server.is_receiving();
    let mut second = server.connect();
    second.send("GET", "/v2/", &[], b"");
    first.answer("POST").is(408);
    drop(first);
    second.answer("GET").is(200);
    // Beside the first, the second would have been answered while the first was waited for.
    let lines = server.log_when(|lines| lines.len() == 2);
    assert_eq!(lines.iter().map(|line| line.status).collect::<Vec<_>>(), [Some(408), Some(200)]);
}

#[test]
fn idle_clients_make_room() {
    for tls in [ServeTls::Off, ServeTls::SelfSigned { names: Vec::new() }] {
        let limits = Limits { connections: 2, ..Limits::default() };
        let plain = tls == ServeTls::Off;
        let server = Running::start_with(Setup { tls, limits, ..Setup::default() });
        // Neither of them sends a byte; the second waits for an answer that it has got.
        let mut first = server.connect();
        let mut second = server.connect();
        second.send("GET", "/v2/", &[], b"");
        second.answer("GET").is(if plain { 200 } else { 400 });
        let mut idle: Vec<_> = (0..6).map(|_| server.connect()).collect();
        server.get("/v2/").is(if plain { 200 } else { 400 });
        assert!(first.is_closed() && second.is_closed());
        // Those that came later made room for the request, or have a place.
        idle.truncate(4);
        assert!(idle.iter_mut().all(crate::support::Connection::is_closed));
    }
}

#[test]
fn a_request_keeps_its_place() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let server = Running::start_with(Setup { limits, ..Setup::default() });
    let mut busy = server.connect();
    busy.send_head("POST", &format!("/v2/app/blobs/uploads/?digest={}", Digest::of(b"x")), &[], Some(1));
    server.is_receiving();
    for _ in 0..4 {
        // Each is idle afterwards, and makes room for the next.
        let mut connection = server.connect();
        connection.send("GET", "/v2/", &[], b"");
        connection.answer("GET").is(200);
        std::mem::forget(connection);
    }
    busy.stream.write_all(b"x").expect("sent");
    busy.answer("POST").is(201);
}

#[test]
fn a_body_that_trickles_is_given_up() {
    let limits = Limits { idle: Duration::from_millis(100), least: u64::MAX, ..Limits::default() };
    let server = Running::start_with(Setup { limits, ..Setup::default() });
    let location = server.call("POST", "/v2/app/blobs/uploads/", &[], b"").is(202).header("location").to_owned();
    let mut connection = server.connect();
    connection.send_head("PATCH", &location, &[], Some(1 << 40));
    let mut stream = connection.stream.try_clone().expect("cloned");
    let trickling = std::thread::spawn(move || while stream.write_all(b"x").is_ok() {});
    connection.answer("PATCH").refused(408, "BLOB_UPLOAD_INVALID");
    drop(connection);
    drop(server);
    trickling.join().expect("ended");
}

#[test]
fn large_manifests_take_turns_and_have_a_time() {
    let limits = Limits { documents: 0, document_time: Duration::from_millis(100), ..Limits::default() };
    let server = Running::start_with(Setup { limits, ..Setup::default() });
    let small = Image::new("x");
    server.push("app", "v1", &small).is(201);
    let note = |length: usize| std::collections::BTreeMap::from([("note".to_owned(), "x".repeat(length))]);
    let mut manifest = small.manifest.manifest().expect("a manifest").clone();
    manifest.annotations = Some(note(100 << 10));
    let large = idpbuilder_oci::image::Document::from_manifest(manifest);
    server.put_manifest("app", "large", &large).refused(429, "TOOMANYREQUESTS");
    let mut slow = server.connect();
    slow.send_head("PUT", "/v2/app/manifests/v2", &[], Some(100));
    slow.stream.write_all(b"{").expect("sent");
    slow.answer("PUT").refused(408, "MANIFEST_INVALID");
    let again = server.again();
    again.put_manifest("app", "large", &large).is(201);
    let get = again.get("/v2/app/manifests/large");
    assert!(get.is(200).body == large.bytes);
    assert_eq!(get.header("content-type"), large.descriptor.media_type);
    again.call("HEAD", "/v2/app/manifests/large", &[], b"").is(200);
    server.get("/v2/app/manifests/large").refused(429, "TOOMANYREQUESTS");
    server.get("/v2/app/manifests/v1").is(200);
}

#[test]
fn plain_http_where_tls_is_spoken_is_told_so() {
    let tls = ServeTls::SelfSigned { names: Vec::new() };
    let server = Running::start_with(Setup { tls, ..Setup::default() });
    let answer = server.get("/v2/");
    assert_eq!(answer.is(400).body, b"this port speaks HTTPS");
}

#[test]
fn what_is_no_http_does_no_harm() {
    let server = Running::start();
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"GET /v2/\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"PUT /v2/app/manifests/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"GET /v2/\xff\xfe HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET http://elsewhere.example/v2/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    ] {
        let mut connection = server.connect();
        connection.stream.write_all(nonsense).expect("sent");
        connection.stream.shutdown(std::net::Shutdown::Write).expect("closed");
        let mut answer = Vec::new();
        let _ = std::io::Read::read_to_end(&mut connection.stream, &mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 5"), "{}", String::from_utf8_lossy(&answer));
    }
    server.get("/v2/").is(200);
    assert!(server.log_when(|lines| !lines.is_empty()).iter().all(|line| line.fault.is_none()));
}

#[test]
fn an_early_refusal_reaches_a_client_that_is_still_sending() {
    let server = Running::start_with(Setup { password: true, ..Setup::default() });
    let body = vec![0; 8 << 20];
    let mut connection = server.connect();
    connection.send("PUT", "/v2/app/manifests/v1", &[], &body);
    connection.answer("PUT").refused(401, "UNAUTHORIZED");
}
