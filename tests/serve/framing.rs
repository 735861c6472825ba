//! Requests that two servers could read in two ways, byte for byte: refused, and the connection is closed.

use std::io::{Read, Write};

use idpbuilder_oci::image::Digest;

use crate::support::{Running, Setup};

/// Sends `request` and answers all that comes back until the server closes the connection.
#[track_caller]
fn raw(server: &Running, request: &[u8]) -> String {
    let mut connection = server.connect();
    connection.stream.write_all(request).expect("sent");
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match connection.stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the connection stays open ({error}) after {:?}", String::from_utf8_lossy(&answer)),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let server = Running::start();
    // A second request, which must not be answered: only one of two readers would see it.
    let second = "GET /v2/_catalog HTTP/1.1\r\nhost: a\r\n\r\n";
    for (status, head) in [
        (400, "GET /v2/ HTTP/1.1\r\n"),
        (400, "GET /v2/ HTTP/1.1\r\nhost: a\r\nhost: b\r\n"),
        (400, "GET /v2/ HTTP/1.1\r\nhost: a\r\nHost: a\r\n"),
        (400, "GET /v2/ HTTP/1.1\r\nhost: a b\r\n"),
        (400, "GET http://user@a/v2/ HTTP/1.1\r\nhost: a\r\n"),
        (501, "PUT /v2/app/manifests/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n"),
        (
            501,
            "PUT /v2/app/manifests/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n",
        ),
        (501, "PUT /v2/app/manifests/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity, chunked\r\n"),
        (400, "PUT /v2/app/manifests/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n"),
        (
            400,
            "PUT /v2/app/manifests/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        ),
        // Refused by the HTTP library.
        (400, "PUT /v2/app/manifests/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n"),
        (400, "PUT /v2/app/manifests/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n"),
        (400, "PUT /v2/app/manifests/x HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n"),
        (400, "PUT /v2/app/manifests/x HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n"),
        (400, "PUT /v2/app/manifests/x HTTP/1.1\r\nhost: a\r\ncontent-length: 1, 1\r\n"),
        (400, "PUT /v2/app/manifests/x HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n"),
        (400, "PUT /v2/app/manifests/x HTTP/1.1\r\nhost: a\r\ncontent-length: 0x1\r\n"),
        (400, "GET /v2/ HTTP/1.1\r\nhost: a\r\nx: 1\r\n 2\r\n"),
        (400, "GET /v2/ HTTP/1.1\r\nhost: a\r\nx: 1\r2\r\n"),
        (400, "GET /v2/ HTTP/1.1\r\nhost : a\r\n"),
        (400, "GET /v2/ HTTP/1.1\r\nhost: a\r\nx: \0\r\n"),
        (400, "GET  /v2/ HTTP/1.1\r\nhost: a\r\n"),
        (417, "PUT /v2/app/manifests/x HTTP/1.1\r\nhost: a\r\nexpect: tea\r\ncontent-length: 0\r\n"),
        (415, "PUT /v2/app/manifests/x HTTP/1.1\r\nhost: a\r\ncontent-encoding: gzip\r\ncontent-length: 0\r\n"),
    ] {
        let answer = raw(&server, format!("{head}\r\n{second}").as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head:?} was answered by {answer:?}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{head:?} was answered by {answer:?}");
        assert!(!answer.contains("repositories"), "{head:?} was answered by {answer:?}");
    }
}

#[test]
fn a_length_beside_chunks_ends_the_connection() {
    let server = Running::start();
    let digest = Digest::of(b"hello");
    // The library reads the chunks (RFC 9112 section 6.3 allows it), and closes behind them.
    for lengths in
        ["content-length: 40\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 4"]
    {
        let request = format!(
            "POST /v2/app/blobs/uploads/?digest={digest} HTTP/1.1\r\nhost: a\r\n{lengths}\r\n\r\n5\r\nhello\r\n0\r\n\r\n\
             GET /v2/_catalog HTTP/1.1\r\nhost: a\r\n\r\n"
        );
        let answer = raw(&server, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 201 ") && !answer.contains("repositories"), "{answer}");
    }
}

#[test]
fn a_target_with_an_address_counts_before_the_host() {
    let server = Running::start();
    let image = crate::support::Image::new("x");
    image.save(&server.store, "named.example:5000/app:v1");
    for (target, host, status) in [
        ("http://named.example:5000/v2/app/manifests/v1", "other", 200),
        ("http://other/v2/app/manifests/v1", "named.example:5000", 404),
        ("/v2/app/manifests/v1", "named.example:5000", 200),
    ] {
        let answer =
            raw(&server, format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target} {host}: {answer}");
    }
    let old = raw(&server, b"GET /v2/ HTTP/1.0\r\n\r\n");
    assert!(old.starts_with("HTTP/1.0 200 "), "{old}");
}

#[test]
fn damaged_chunks_store_nothing() {
    let server = Running::start();
    let digest = Digest::of(b"hello");
    for chunks in
        ["5\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", "-5\r\nhello\r\n0\r\n\r\n", "5\r\nhelloXX0\r\n\r\n"]
    {
        let head = format!(
            "POST /v2/app/blobs/uploads/?digest={digest} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        );
        let answer = raw(&server, format!("{head}{chunks}").as_bytes());
        if !answer.starts_with("HTTP/1.1 400 ") {
            // White space behind a chunk's size is no other length to any reader.
            assert!(chunks.starts_with("5 ") && answer.starts_with("HTTP/1.1 201 "), "{chunks:?}: {answer}");
        }
    }
}

#[test]
fn a_refusal_comes_before_the_password_is_looked_at() {
    let server = Running::start_with(Setup { password: true, ..Setup::default() });
    let answer =
        raw(&server, b"GET /v2/ HTTP/1.1\r\nhost: a\r\nauthorization: Basic YTpi\r\nauthorization: Basic YTpj\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}
