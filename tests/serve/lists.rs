//! The base endpoint, the catalog, tags, and paths that lead nowhere.

use serde_json::json;

use crate::support::{Image, Running};

#[test]
fn the_base_says_that_this_is_a_registry() {
    let server = Running::start();
    for path in ["/v2/", "/v2"] {
        let answer = server.get(path);
        assert_eq!(answer.is(200).json(), json!({}));
        assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
    }
    server.call("HEAD", "/v2/", &[], b"").is(200);
}

#[test]
fn what_is_no_endpoint_is_not_found() {
    let server = Running::start();
    for path in ["/", "/v1/", "/v2/app", "/v2/app/x/y", "/metrics"] {
        server.get(path).refused(404, "UNSUPPORTED");
    }
    server.get("/v2/App/tags/list").refused(400, "NAME_INVALID");
    server.get("/v2/a..b/tags/list").refused(400, "NAME_INVALID");
    server.get("/v2/app/blobs/sha256:1").refused(400, "DIGEST_INVALID");
    server.get(&format!("/v2/app/blobs/sha512:{}", "a".repeat(128))).refused(400, "DIGEST_INVALID");
    server.get(&format!("/v2/{}/tags/list", "a".repeat(1100))).refused(414, "NAME_INVALID");
}

#[test]
fn other_methods_are_told_which_ones_there_are() {
    let server = Running::start();
    let digest = idpbuilder_oci::image::Digest::of(b"");
    for (method, path, allowed) in [
        ("POST", "/v2/".to_owned(), "GET, HEAD"),
        ("DELETE", "/v2/_catalog".to_owned(), "GET, HEAD"),
        ("PUT", "/v2/app/tags/list".to_owned(), "GET, HEAD"),
        ("PATCH", "/v2/app/manifests/v1".to_owned(), "GET, HEAD, PUT, DELETE"),
        ("PUT", format!("/v2/app/blobs/{digest}"), "GET, HEAD"),
        ("DELETE", format!("/v2/app/blobs/{digest}"), "GET, HEAD"),
        ("GET", "/v2/app/blobs/uploads/".to_owned(), "POST"),
        ("POST", "/v2/app/blobs/uploads/0".to_owned(), "GET, PATCH, PUT, DELETE"),
        ("DELETE", format!("/v2/app/referrers/{digest}"), "GET, HEAD"),
    ] {
        let answer = server.call(method, &path, &[], b"");
        assert_eq!(answer.refused(405, "UNSUPPORTED").header("allow"), allowed, "{method} {path}");
    }
}

#[test]
fn referrers_are_left_to_the_fallback_tag() {
    let server = Running::start();
    let image = Image::new("x");
    server.push("app", "v1", &image).is(201);
    server.get(&format!("/v2/app/referrers/{}", image.digest())).refused(404, "UNSUPPORTED");
}

#[test]
fn tags_come_in_pages() {
    let server = Running::start();
    let image = Image::new("x");
    server.push("team/app", "v1", &image).is(201);
    for tag in ["v3", "V2", "latest"] {
        server.put_manifest("team/app", tag, &image.manifest).is(201);
    }
    server.put_manifest("team/other", "v9", &image.manifest).is(201);
    let whole = server.get("/v2/team/app/tags/list");
    assert_eq!(whole.is(200).json(), json!({ "name": "team/app", "tags": ["V2", "latest", "v1", "v3"] }));
    assert_eq!(whole.find("link"), None);
    let mut path = "/v2/team/app/tags/list?n=3".to_owned();
    let first = server.get(&path);
    assert_eq!(first.is(200).json()["tags"], json!(["V2", "latest", "v1"]));
    let link = first.header("link");
    path = link.strip_prefix('<').and_then(|rest| rest.strip_suffix(">; rel=\"next\"")).expect(link).to_owned();
    let second = server.get(&path);
    assert_eq!(second.is(200).json()["tags"], json!(["v3"]));
    assert_eq!(second.find("link"), None);
    assert_eq!(server.get("/v2/team/app/tags/list?n=0").is(200).json()["tags"], json!([]));
    server.get("/v2/team/app/tags/list?n=x").refused(400, "PAGINATION_NUMBER_INVALID");
    server.get("/v2/team/none/tags/list").refused(404, "NAME_UNKNOWN");
}

#[test]
fn the_catalog_comes_in_pages() {
    let server = Running::start();
    assert_eq!(server.get("/v2/_catalog").is(200).json(), json!({ "repositories": [] }));
    let image = Image::new("x");
    for repository in ["b", "a/x", "c"] {
        server.push(repository, "v1", &image).is(201);
    }
    assert_eq!(server.get("/v2/_catalog").is(200).json(), json!({ "repositories": ["a/x", "b", "c"] }));
    let page = server.get("/v2/_catalog?n=1&last=a%2Fx");
    assert_eq!(page.is(200).json(), json!({ "repositories": ["b"] }));
    assert_eq!(page.header("link"), "</v2/_catalog?n=1&last=b>; rel=\"next\"");
}

#[test]
fn names_with_our_address_are_ours() {
    let server = Running::start();
    let image = Image::new("x");
    image.save(&server.store, &format!("{}/mine:v1", server.address));
    image.save(&server.store, "registry.example:5000/foreign:v1");
    image.save(&server.store, "plain:v1");
    assert_eq!(server.get("/v2/_catalog").json()["repositories"], json!(["mine", "plain"]));
    server.get("/v2/mine/manifests/v1").is(200);
    server.get("/v2/foreign/manifests/v1").refused(404, "MANIFEST_UNKNOWN");
    let other = [("host", "registry.example:5000")];
    server.call("GET", "/v2/foreign/manifests/v1", &other, b"").is(200);
    server.call("GET", "/v2/mine/manifests/v1", &other, b"").refused(404, "MANIFEST_UNKNOWN");
}
