//! Blobs on their way in: every shape of upload, and what happens when one breaks off.

use std::io::Write;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use idpbuilder_oci::image::Digest;
use idpbuilder_oci::serve::Limits;
use serde_json::json;

use crate::support::{Answer, PATIENCE, Running, Setup, noise};

fn open(server: &Running) -> String {
    let answer = server.call("POST", "/v2/app/blobs/uploads/", &[], b"");
    assert_eq!(answer.is(202).header("range"), "0-0");
    let location = answer.header("location").to_owned();
    assert_eq!(location, format!("/v2/app/blobs/uploads/{}", answer.header("docker-upload-uuid")));
    location
}

fn patch(server: &Running, location: &str, range: &str, body: &[u8]) -> Answer {
    let headers = [("content-range", range)];
    server.call("PATCH", location, if range.is_empty() { &[] } else { &headers }, body)
}

/// Asks for the upload's offset until it is `expected`.
fn wait_for_offset(server: &Running, location: &str, expected: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = server.get(location);
        if status.is(204).header("range") == expected {
            return;
        }
        assert!(Instant::now() < deadline, "still at {}", status.header("range"));
        std::thread::yield_now();
    }
}

fn is_stored(server: &Running, content: &[u8]) {
    let digest = Digest::of(content);
    assert!(server.get(&format!("/v2/app/blobs/{digest}")).is(200).body == content);
}

fn temporary_files(server: &Running) -> usize {
    std::fs::read_dir(server.store.root().join(".tmp")).expect("listed").count()
}

/// Bytes of uploads that are on the disk.
fn stored_so_far(server: &Running) -> u64 {
    let files = std::fs::read_dir(server.store.root().join(".tmp")).expect("listed");
    files.map(|file| file.expect("an entry").metadata().map_or(0, |metadata| metadata.len())).sum()
}

#[test]
fn at_once() {
    let server = Running::start();
    let content = noise(1, 100_000);
    let digest = Digest::of(&content);
    let path = format!("/v2/app/blobs/uploads/?digest={digest}");
    let answer = server.call("POST", &path, &[("content-type", "application/octet-stream")], &content);
    assert_eq!(answer.is(201).header("location"), format!("/v2/app/blobs/{digest}"));
    assert_eq!(answer.header("docker-content-digest"), digest.to_string());
    is_stored(&server, &content);
    let wrong = server.call("POST", &path, &[], b"other");
    let detail = json!({ "expected": digest, "found": Digest::of(b"other") });
    assert_eq!(wrong.refused(400, "DIGEST_INVALID").json()["errors"][0]["detail"], detail);
    server.call("POST", "/v2/app/blobs/uploads/?digest=md5:1", &[], b"x").refused(400, "DIGEST_INVALID");
    assert_eq!(temporary_files(&server), 0);
}

#[test]
fn one_put_after_the_post() {
    let server = Running::start();
    let content = noise(2, 700_000);
    let location = open(&server);
    let path = format!("{location}?digest={}", Digest::of(&content));
    server.call("PUT", &path, &[], &content).is(201);
    is_stored(&server, &content);
    server.get(&location).refused(404, "BLOB_UPLOAD_UNKNOWN");
    server.call("PUT", &path, &[], b"").refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn a_stream_of_unknown_length() {
    let server = Running::start();
    let content = noise(3, 300_000);
    let location = open(&server);
    let mut connection = server.connect();
    connection.send_head("PATCH", &location, &[("transfer-encoding", "chunked")], None);
    for piece in content.chunks(70_000) {
        connection.stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).expect("sent");
        connection.stream.write_all(piece).expect("sent");
        connection.stream.write_all(b"\r\n").expect("sent");
    }
    connection.stream.write_all(b"0\r\n\r\n").expect("sent");
    assert_eq!(connection.answer("PATCH").is(202).header("range"), "0-299999");
    server.call("PUT", &format!("{location}?digest={}", Digest::of(&content)), &[], b"").is(201);
    is_stored(&server, &content);
}

#[test]
fn in_chunks_with_the_last_one_in_the_put() {
    let server = Running::start();
    let content = noise(4, 250_000);
    let location = open(&server);
    assert_eq!(server.get(&location).is(204).header("range"), "0-0");
    let first = patch(&server, &location, "0-99999", &content[..100_000]);
    assert_eq!(first.is(202).header("range"), "0-99999");
    assert_eq!(first.header("location"), location);
    patch(&server, &location, "bytes 100000-199999/*", &content[100_000..200_000]).is(202);
    assert_eq!(server.get(&location).is(204).header("range"), "0-199999");
    let path = format!("{location}?digest={}", Digest::of(&content));
    let headers = [("content-range", "200000-249999")];
    server.call("PUT", &path, &headers, &content[200_000..]).is(201);
    is_stored(&server, &content);
}

#[test]
fn chunks_that_do_not_fit_change_nothing() {
    let server = Running::start();
    let content = noise(5, 1000);
    let location = open(&server);
    patch(&server, &location, "0-499", &content[..500]).is(202);
    for start in [0, 499, 501] {
        let answer = patch(&server, &location, &format!("{start}-{}", start + 499), &content[500..]);
        assert_eq!(answer.refused(416, "RANGE_INVALID").header("range"), "0-499");
        assert_eq!(answer.header("location"), location);
    }
    for nonsense in ["x", "500", "500-499", "-1", "0-18446744073709551615"] {
        patch(&server, &location, nonsense, &content[500..]).refused(400, "BLOB_UPLOAD_INVALID");
    }
    patch(&server, &location, "500-900", &content[500..]).refused(400, "SIZE_INVALID");
    assert_eq!(server.get(&location).header("range"), "0-499");
    patch(&server, &location, "500-999", &content[500..]).is(202);
    server.call("PUT", &format!("{location}?digest={}", Digest::of(&content)), &[], b"").is(201);
    is_stored(&server, &content);
}

#[test]
fn a_streamed_chunk_is_held_to_its_range() {
    let server = Running::start();
    let location = open(&server);
    let send = |range: &str, body: &str| {
        let mut connection = server.connect();
        let headers = [("transfer-encoding", "chunked"), ("content-range", range)];
        connection.send_head("PATCH", &location, &headers, None);
        let framed = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        connection.stream.write_all(framed.as_bytes()).expect("sent");
        connection.answer("PATCH")
    };
    assert_eq!(send("0-4", "0123456789").refused(400, "SIZE_INVALID").header("range"), "0-4");
    assert_eq!(send("5-9", "567").refused(400, "SIZE_INVALID").header("range"), "0-7");
    send("8-9", "89").is(202);
    server.call("PUT", &format!("{location}?digest={}", Digest::of(b"0123456789")), &[], b"").is(201);
}

#[test]
fn finishing_needs_the_right_digest() {
    let server = Running::start();
    let location = open(&server);
    patch(&server, &location, "", b"content").is(202);
    server.call("PUT", &location, &[], b"").refused(400, "DIGEST_INVALID");
    server.call("PUT", &format!("{location}?digest=nonsense"), &[], b"").refused(400, "DIGEST_INVALID");
    assert_eq!(server.get(&location).is(204).header("range"), "0-6");
    let wrong = format!("{location}?digest={}", Digest::of(b"other"));
    server.call("PUT", &wrong, &[], b"").refused(400, "DIGEST_INVALID");
    server.get(&location).refused(404, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(temporary_files(&server), 0);
}

#[test]
fn a_torn_upload_goes_on_where_it_broke() {
    let server = Running::start();
    let content = noise(6, 2_000_000);
    let location = open(&server);
    let mut connection = server.connect();
    connection.send_head("PATCH", &location, &[("content-range", "0-1999999")], Some(content.len()));
    connection.stream.write_all(&content[..1_234_567]).expect("sent");
    connection.stream.shutdown(Shutdown::Write).expect("torn");
    wait_for_offset(&server, &location, "0-1234566");
    patch(&server, &location, "1234567-1999999", &content[1_234_567..]).is(202);
    server.call("PUT", &format!("{location}?digest={}", Digest::of(&content)), &[], b"").is(201);
    is_stored(&server, &content);
    let lines = server.log_when(|lines| lines.iter().any(|line| line.received == 1_234_567));
    assert!(lines.iter().all(|line| line.fault.is_none()), "{lines:#?}");
}

#[test]
fn a_torn_put_goes_on_too() {
    let server = Running::start();
    let content = noise(7, 600_000);
    let location = open(&server);
    let path = format!("{location}?digest={}", Digest::of(&content));
    let mut connection = server.connect();
    connection.send_head("PUT", &path, &[], Some(content.len()));
    connection.stream.write_all(&content[..400_000]).expect("sent");
    connection.stream.shutdown(Shutdown::Write).expect("torn");
    wait_for_offset(&server, &location, "0-399999");
    server.call("PUT", &path, &[("content-range", "400000-599999")], &content[400_000..]).is(201);
    is_stored(&server, &content);
}

#[test]
fn a_new_request_takes_over_from_one_that_hangs() {
    let server = Running::start();
    let content = noise(8, 600_000);
    let location = open(&server);
    let mut hanging = server.connect();
    hanging.send_head("PATCH", &location, &[("content-range", "0-599999")], Some(content.len()));
    hanging.stream.write_all(&content[..300_000]).expect("sent");
    let deadline = Instant::now() + PATIENCE;
    while stored_so_far(&server) == 0 {
        assert!(Instant::now() < deadline, "the request is not taken up");
        std::thread::yield_now();
    }
    // The connection stays open, as one does whose other end has lost its network.
    let mut refused = patch(&server, &location, "300000-599999", &content[300_000..]);
    let mut offset = 300_000;
    while refused.status == 416 {
        // Bytes were still on their way when the hanging request was stopped.
        assert!(Instant::now() < deadline);
        let range = refused.header("range");
        offset = if range == "0-0" { 0 } else { range[2..].parse::<usize>().expect("a number") + 1 };
        refused = patch(&server, &location, &format!("{offset}-599999"), &content[offset..]);
    }
    refused.is(202);
    assert!(offset <= 300_000);
    server.call("PUT", &format!("{location}?digest={}", Digest::of(&content)), &[], b"").is(201);
    is_stored(&server, &content);
    hanging.answer("PATCH").refused(400, "BLOB_UPLOAD_INVALID");
}

#[test]
fn a_body_that_stalls_is_given_up_and_kept() {
    let limits = Limits { idle: Duration::from_millis(50), ..Limits::default() };
    let server = Running::start_with(Setup { limits, ..Setup::default() });
    let location = open(&server);
    let mut connection = server.connect();
    connection.send_head("PATCH", &location, &[], Some(10));
    connection.stream.write_all(b"01234").expect("sent");
    assert_eq!(connection.answer("PATCH").refused(408, "BLOB_UPLOAD_INVALID").header("range"), "0-4");
    patch(&server, &location, "5-9", b"56789").is(202);
    server.call("PUT", &format!("{location}?digest={}", Digest::of(b"0123456789")), &[], b"").is(201);
}

#[test]
fn cancelling_leaves_nothing() {
    let server = Running::start();
    let location = open(&server);
    patch(&server, &location, "", b"content").is(202);
    assert_eq!(temporary_files(&server), 1);
    server.call("DELETE", &location, &[], b"").is(204);
    assert_eq!(temporary_files(&server), 0);
    for (method, path) in [("GET", &location), ("DELETE", &location), ("PATCH", &location)] {
        server.call(method, path, &[], b"").refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
}

#[test]
fn a_session_belongs_to_its_repository() {
    let server = Running::start();
    let location = open(&server);
    let other = location.replace("/app/", "/other/");
    server.get(&other).refused(404, "BLOB_UPLOAD_UNKNOWN");
    server.call("PATCH", &other, &[], b"x").refused(404, "BLOB_UPLOAD_UNKNOWN");
    server.get("/v2/app/blobs/uploads/none").refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn what_the_store_has_is_mounted() {
    let server = Running::start();
    let digest = server.push_blob("one", b"content");
    for query in [format!("mount={digest}&from=one"), format!("mount={digest}")] {
        let answer = server.call("POST", &format!("/v2/two/blobs/uploads/?{query}"), &[], b"");
        assert_eq!(answer.is(201).header("location"), format!("/v2/two/blobs/{digest}"));
        assert_eq!(answer.header("docker-content-digest"), digest.to_string());
    }
    let missing = Digest::of(b"missing");
    let answer = server.call("POST", &format!("/v2/two/blobs/uploads/?mount={missing}&from=one"), &[], b"");
    let location = answer.is(202).header("location").to_owned();
    server.call("PUT", &format!("{location}?digest={missing}"), &[], b"missing").is(201);
    let path = format!("/v2/two/blobs/uploads/?mount={}&digest={}", Digest::of(b"new"), Digest::of(b"new"));
    server.call("POST", &path, &[], b"new").is(201);
    server.call("POST", "/v2/two/blobs/uploads/?mount=x&from=one", &[], b"").refused(400, "DIGEST_INVALID");
}

#[test]
fn sessions_are_limited() {
    let limits = Limits { sessions: 2, ..Limits::default() };
    let server = Running::start_with(Setup { limits, ..Setup::default() });
    let first = open(&server);
    open(&server);
    let refused = server.call("POST", "/v2/app/blobs/uploads/", &[], b"");
    assert_eq!(refused.refused(429, "TOOMANYREQUESTS").header("retry-after"), "5");
    assert_eq!(temporary_files(&server), 2);
    // What was idle for long enough makes room.
    let hasty = Limits { sessions: 1, session_spared: Duration::ZERO, ..Limits::default() };
    let other = Running::start_with(Setup { limits: hasty, ..Setup::default() });
    let abandoned = open(&other);
    open(&other);
    other.get(&abandoned).refused(404, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(temporary_files(&other), 1);
    // What needs no session still goes.
    server.push_blob("app", b"small");
    server.call("DELETE", &first, &[], b"").is(204);
    open(&server);
}

#[test]
fn expectations_are_met() {
    let server = Running::start();
    let location = open(&server);
    let mut connection = server.connect();
    connection.send_head("PATCH", &location, &[("expect", "100-continue")], Some(4));
    assert_eq!(connection.answer("HEAD").status, 100);
    connection.stream.write_all(b"body").expect("sent");
    assert_eq!(connection.answer("PATCH").is(202).header("range"), "0-3");
}
