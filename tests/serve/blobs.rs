//! Blobs, whole and in part.

use idpbuilder_oci::image::Digest;

use crate::support::{Running, noise};

#[test]
fn a_blob_comes_back_as_it_went() {
    let server = Running::start();
    let content = noise(1, 1_000_003);
    let digest = server.push_blob("app", &content);
    let path = format!("/v2/app/blobs/{digest}");
    let get = server.get(&path);
    assert!(get.is(200).body == content);
    for answer in [&get, &server.call("HEAD", &path, &[], b"")] {
        assert_eq!(answer.is(200).header("content-length"), "1000003");
        assert_eq!(answer.header("docker-content-digest"), digest.to_string());
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert_eq!(answer.header("accept-ranges"), "bytes");
        assert_eq!(answer.header("etag"), format!("\"{digest}\""));
    }
    let empty = server.push_blob("app", b"");
    assert!(server.get(&format!("/v2/app/blobs/{empty}")).is(200).body.is_empty());
}

#[test]
fn an_unknown_blob_is_not_found() {
    let server = Running::start();
    let path = format!("/v2/app/blobs/{}", Digest::of(b"nothing"));
    server.get(&path).refused(404, "BLOB_UNKNOWN");
    server.call("HEAD", &path, &[], b"").is(404);
    server.call("DELETE", &path, &[], b"").refused(405, "UNSUPPORTED");
}

#[test]
fn parts_of_a_blob() {
    let server = Running::start();
    let content = noise(2, 300_000);
    let digest = server.push_blob("app", &content);
    let path = format!("/v2/app/blobs/{digest}");
    for (range, start, end) in [
        ("bytes=0-0", 0, 1),
        ("bytes=1000-", 1000, 300_000),
        ("bytes=-5", 299_995, 300_000),
        ("bytes=7-400000", 7, 300_000),
    ] {
        let part = server.call("GET", &path, &[("range", range)], b"");
        assert!(part.is(206).body == content[start..end], "{range}");
        assert_eq!(part.header("content-range"), format!("bytes {start}-{}/300000", end - 1));
        assert_eq!(part.header("docker-content-digest"), digest.to_string());
    }
    let outside = server.call("GET", &path, &[("range", "bytes=300000-")], b"");
    assert_eq!(outside.refused(416, "RANGE_INVALID").header("content-range"), "bytes */300000");
    for ignored in ["bytes=5-1", "bytes=0-1,3-4", "lines=1-2", "x"] {
        assert!(server.call("GET", &path, &[("range", ignored)], b"").is(200).body == content, "{ignored}");
    }
    let tag = format!("\"{digest}\"");
    server.call("GET", &path, &[("range", "bytes=0-0"), ("if-range", &tag)], b"").is(206);
    server.call("GET", &path, &[("range", "bytes=0-0"), ("if-range", "\"other\"")], b"").is(200);
    server.call("HEAD", &path, &[("range", "bytes=0-0")], b"").is(200);
}

#[test]
fn one_connection_serves_many_requests() {
    let server = Running::start();
    let content = noise(3, 200_000);
    let digest = server.push_blob("app", &content);
    let mut connection = server.connect();
    for _ in 0..3 {
        connection.send("GET", &format!("/v2/app/blobs/{digest}"), &[], b"");
        assert!(connection.answer("GET").is(200).body == content);
        connection.send("GET", "/v2/app/manifests/none", &[], b"");
        connection.answer("GET").is(404);
    }
}
