//! Manifests: stored as they came, by tag and by digest.

use std::collections::BTreeMap;

use idpbuilder_oci::image::{Descriptor, Digest, Document, Index, Manifest, media_type};
use idpbuilder_oci::ops::list::{Filter, list};
use idpbuilder_oci::ops::remove::remove;
use serde_json::json;

use crate::support::{Image, Running};

fn index_of(children: &[&Image]) -> Document {
    let manifests = children.iter().map(|child| child.manifest.descriptor.clone()).collect();
    let bytes = serde_json::to_vec(&Index { manifests, ..Index::default() }).expect("serialises");
    Document::parse(Some(media_type::IMAGE_INDEX), bytes).expect("an index")
}

#[test]
fn bytes_are_kept_exactly() {
    let server = Running::start();
    let image = Image::new("x");
    for blob in &image.blobs {
        server.push_blob("app", blob);
    }
    // The same manifest, written as no serialiser of ours would.
    let spaced = serde_json::to_vec_pretty(&image.manifest.manifest()).expect("serialises");
    let digest = Digest::of(&spaced);
    let put = server.call("PUT", "/v2/app/manifests/v1", &[("content-type", media_type::IMAGE_MANIFEST)], &spaced);
    assert_eq!(put.is(201).header("docker-content-digest"), digest.to_string());
    assert_eq!(put.header("location"), "/v2/app/manifests/v1");
    for reference in ["v1".to_owned(), digest.to_string()] {
        let path = format!("/v2/app/manifests/{reference}");
        let get = server.get(&path);
        assert_eq!(get.is(200).body, spaced);
        let head = server.call("HEAD", &path, &[], b"");
        for answer in [get, head] {
            assert_eq!(answer.is(200).header("content-type"), media_type::IMAGE_MANIFEST);
            assert_eq!(answer.header("docker-content-digest"), digest.to_string());
            assert_eq!(answer.header("content-length"), spaced.len().to_string());
        }
    }
    let entries = server.store.entries().expect("entries");
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].name.as_deref(), Some("app:v1"));
    assert_eq!(entries[0].descriptor.digest, digest);
    assert!(entries[0].created.as_deref().is_some_and(|time| time.ends_with('Z')));
}

#[test]
fn a_tag_moves() {
    let server = Running::start();
    let (old, new) = (Image::new("old"), Image::new("new"));
    server.push("app", "v1", &old).is(201);
    server.push("app", "v1", &new).is(201);
    assert_eq!(server.get("/v2/app/manifests/v1").header("docker-content-digest"), new.digest().to_string());
    assert_eq!(server.get("/v2/app/tags/list").json()["tags"], json!(["v1"]));
}

/// Whether the manifest is served by its digest in `app`, also after a restart.
#[track_caller]
fn served(server: &Running, image: &Image) -> bool {
    let path = format!("/v2/app/manifests/{}", image.digest());
    let answer = server.get(&path);
    let again = server.again();
    assert_eq!(again.get(&path).status, answer.status, "a restart changes it");
    if answer.status == 404 {
        answer.refused(404, "MANIFEST_UNKNOWN");
        return false;
    }
    assert_eq!(answer.is(200).body, image.manifest.bytes);
    true
}

#[test]
fn a_manifest_is_kept_by_its_digest_until_it_is_deleted() {
    let server = Running::start();
    let (old, new) = (Image::new("old"), Image::new("new"));
    server.push("app", "v1", &old).is(201);
    server.push("app", "v1", &new).is(201);
    assert!(served(&server, &old) && served(&server, &new));
    // Back and forth makes no further entries.
    for image in [&old, &new, &old, &new] {
        server.put_manifest("app", "v1", &image.manifest).is(201);
    }
    assert_eq!(server.store.entries().expect("entries").len(), 2);
    // A command of this machine gives the name to another image.
    Image::new("built").save(&server.store, "app:v1");
    assert!(served(&server, &old) && served(&server, &new));
    let gone = format!("/v2/app/manifests/{}", old.digest());
    server.call("DELETE", &gone, &[], b"").is(202);
    server.call("DELETE", &gone, &[], b"").refused(404, "MANIFEST_UNKNOWN");
    assert!(!served(&server, &old) && served(&server, &new));
    server.get(&format!("/v2/other/manifests/{}", new.digest())).refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn the_same_digest_is_kept_in_each_repository_by_itself() {
    let server = Running::start();
    let image = Image::new("x");
    let digest = image.digest().to_string();
    for repository in ["app", "other"] {
        server.push(repository, &digest, &image).is(201);
        server.push(repository, &digest, &image).is(201);
    }
    assert_eq!(server.store.entries().expect("entries").len(), 2);
    assert_eq!(server.get("/v2/_catalog").json()["repositories"], json!(["app", "other"]));
    assert_eq!(server.get("/v2/app/tags/list").is(200).json()["tags"], json!([]));
    server.call("DELETE", &format!("/v2/other/manifests/{digest}"), &[], b"").is(202);
    assert!(served(&server, &image));
    server.get(&format!("/v2/other/manifests/{digest}")).refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn pruning_ends_what_is_kept_by_digest_alone() {
    let mut server = Running::start();
    let (old, new) = (Image::new("old"), Image::new("new"));
    server.push("app", "v1", &old).is(201);
    server.push("app", "v1", &new).is(201);
    server.stop();
    let pruned = server.store.prune().expect("pruned");
    assert_eq!((pruned.manifests, pruned.blobs), (1, 3), "manifest, configuration and layer");
    let again = server.again();
    again.get(&format!("/v2/app/manifests/{}", old.digest())).refused(404, "MANIFEST_UNKNOWN");
    again.get(&format!("/v2/app/manifests/{}", new.digest())).is(200);
    // Its tag still counts as pushed: moved, the manifest is kept.
    again.push("app", "v1", &old).is(201);
    again.get(&format!("/v2/app/manifests/{}", new.digest())).is(200);
}

#[test]
fn lists_have_a_line_for_what_is_kept_only_where_no_other_shows_it() {
    let server = Running::start();
    let (old, new, child) = (Image::new("old"), Image::new("new"), Image::new("child"));
    server.push("app", "v1", &old).is(201);
    server.push("app", "v1", &new).is(201);
    server.push("app", &child.digest().to_string(), &child).is(201);
    server.put_manifest("app", "all", &index_of(&[&child])).is(201);
    let lines = || {
        let listing = list(&server.store, &Filter::default()).expect("listed");
        let mut lines: Vec<_> =
            listing.listed.into_iter().map(|line| (line.repository, line.tag, line.digest)).collect();
        lines.sort();
        lines
    };
    let app = || Some("app".to_owned());
    let index = index_of(&[&child]).digest();
    let expected = [
        (app(), None, old.digest()),
        (app(), Some("all".to_owned()), index),
        (app(), Some("v1".to_owned()), new.digest()),
    ];
    assert_eq!(lines(), expected);
    // Without the tag, the index is kept, and still shows its child.
    server.call("DELETE", "/v2/app/manifests/all", &[], b"").is(202);
    let mut expected =
        [(app(), None, old.digest()), (app(), None, index), (app(), Some("v1".to_owned()), new.digest())];
    expected.sort();
    assert_eq!(lines(), expected);
    let by_name = server.store.resolve(&format!("app@{}", old.digest())).expect("found");
    assert_eq!(by_name.entries.len(), 1);
    assert_eq!(remove(&server.store, &old.digest().to_string(), false).expect("removed").len(), 1);
    assert!(!served(&server, &old));
}

#[test]
fn what_is_missing_is_named() {
    let server = Running::start();
    let image = Image::new("x");
    let answer = server.put_manifest("app", "v1", &image.manifest);
    let errors = answer.refused(404, "MANIFEST_BLOB_UNKNOWN").json();
    let named: Vec<_> = image.blobs.iter().map(|blob| json!({ "digest": Digest::of(blob) })).collect();
    let details: Vec<_> = errors["errors"].as_array().expect("errors").iter().map(|e| e["detail"].clone()).collect();
    assert_eq!(details, named);
    server.push_blob("app", &image.blobs[0]);
    let answer = server.put_manifest("app", "v1", &image.manifest);
    assert_eq!(answer.refused(404, "MANIFEST_BLOB_UNKNOWN").json()["errors"][0]["detail"], named[1]);
    let index = server.put_manifest("app", "all", &index_of(&[&image]));
    assert_eq!(
        index.refused(404, "MANIFEST_BLOB_UNKNOWN").json()["errors"][0]["detail"],
        json!({ "digest": image.digest() })
    );
    assert!(server.store.entries().expect("entries").is_empty());
}

#[test]
fn documents_that_are_wrong_are_refused() {
    let server = Running::start();
    let image = Image::new("x");
    server.push("app", "v1", &image).is(201);
    let put = |reference: &str, kind: &str, body: &[u8]| {
        server.call("PUT", &format!("/v2/app/manifests/{reference}"), &[("content-type", kind)], body)
    };
    put("v2", media_type::IMAGE_MANIFEST, b"<html>").refused(400, "MANIFEST_INVALID");
    put("v2", "text/plain", b"{}").refused(400, "MANIFEST_INVALID");
    put("v2", "application/json", br#"{"schemaVersion":1,"fsLayers":[]}"#).refused(400, "MANIFEST_INVALID");
    put("v2", media_type::IMAGE_INDEX, &image.manifest.bytes).refused(400, "MANIFEST_INVALID");
    put(".hidden", media_type::IMAGE_MANIFEST, &image.manifest.bytes).refused(400, "MANIFEST_INVALID");
    let other = Digest::of(b"other").to_string();
    let answer = put(&other, media_type::IMAGE_MANIFEST, &image.manifest.bytes);
    assert_eq!(
        answer.refused(400, "DIGEST_INVALID").json()["errors"][0]["detail"],
        json!({ "expected": other, "found": image.digest() })
    );
    let mut lying = image.manifest.manifest().expect("a manifest").clone();
    lying.layers[0].size += 1;
    let lying = Document::from_manifest(lying);
    server.put_manifest("app", "v2", &lying).refused(400, "SIZE_INVALID");
    server.get("/v2/app/manifests/v2").refused(404, "MANIFEST_UNKNOWN");
    server.get("/v2/app/manifests/.hidden").refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn what_other_readers_would_take_differently_is_not_stored() {
    let server = Running::start();
    let put = |reference: &str, kind: &str, body: &str| {
        let path = format!("/v2/app/manifests/{reference}");
        server.call("PUT", &path, &[("content-type", kind)], body.as_bytes())
    };
    let blob = |kind: &str, content: &str| {
        let digest = server.push_blob("app", content.as_bytes());
        format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{}}}"#, content.len())
    };
    let config = |fields: &str| {
        let rootfs = r#"{"type":"layers","diff_ids":[]}"#;
        blob(media_type::IMAGE_CONFIG, &format!(r#"{{"architecture":"a","os":"b","rootfs":{rootfs}{fields}}}"#))
    };
    let manifest =
        |config: &str, fields: &str| format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]{fields}}}"#);
    let (plain, other) = (config(""), config(r#","author":"x""#));
    let two_kinds = r#","manifests":[]"#;
    for (body, reason) in [
        (manifest(&plain, &format!(r#","Config":{other}"#)), "`Config` differs from the field `config`"),
        (manifest(&plain, &format!(r#","config":{other}"#)), "`config`"),
        (manifest(&plain, two_kinds), "an image manifest and of an index"),
        (manifest(&config(r#","config":{"Cmd":["a"],"cmd":["b"]}"#), ""), "`cmd` differs from the field `Cmd`"),
        (manifest(&config(r#","os":"c""#), ""), "the key `os` occurs twice"),
    ] {
        // By digest as by tag: nothing stands between the two.
        for reference in ["v1".to_owned(), Digest::of(body.as_bytes()).to_string()] {
            let answer = put(&reference, media_type::IMAGE_MANIFEST, &body);
            let answer = answer.refused(400, "MANIFEST_INVALID").json().to_string();
            assert!(answer.contains(reason), "{answer}");
            server.get(&format!("/v2/app/manifests/{reference}")).refused(404, "MANIFEST_UNKNOWN");
        }
        // Nor is it stored as the child of an index, sent as a blob that nothing has read.
        let child = blob(media_type::IMAGE_MANIFEST, &body);
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{child}]}}"#);
        let answer = put("v1", media_type::IMAGE_INDEX, &index);
        let answer = answer.refused(400, "MANIFEST_INVALID").json().to_string();
        assert!(answer.contains(reason), "{answer}");
    }
    put("v1", media_type::IMAGE_MANIFEST, &manifest(&plain, "")).is(201);
}

#[test]
fn manifests_beyond_the_limit_are_refused() {
    let server = Running::start();
    let config = Descriptor::of(media_type::IMAGE_CONFIG, b"{}");
    let note = BTreeMap::from([("note".to_owned(), "x".repeat(4 << 20))]);
    let large = Document::from_manifest(Manifest::new(config, Vec::new(), note));
    server.put_manifest("app", "v1", &large).refused(413, "SIZE_INVALID");
    // Without a length to judge by, the bytes decide.
    let mut connection = server.connect();
    connection.send_head("PUT", "/v2/app/manifests/v1", &[("transfer-encoding", "chunked")], None);
    let mut body = format!("{:x}\r\n", large.bytes.len()).into_bytes();
    body.extend_from_slice(&large.bytes);
    let _ = std::io::Write::write_all(&mut connection.stream, &body);
    connection.answer("PUT").refused(413, "SIZE_INVALID");
}

#[test]
fn children_come_by_digest_and_belong_to_their_index() {
    let server = Running::start();
    let (one, two) = (Image::new("one"), Image::new("two"));
    for image in [&one, &two] {
        let digest = image.digest().to_string();
        let put = server.push("app", &digest, image);
        assert_eq!(put.is(201).header("location"), format!("/v2/app/manifests/{digest}"));
        server.get(&format!("/v2/app/manifests/{digest}")).is(200);
        server.get(&format!("/v2/other/manifests/{digest}")).refused(404, "MANIFEST_UNKNOWN");
    }
    let entries = server.store.entries().expect("entries");
    assert!(entries.len() == 2 && entries.iter().all(|entry| entry.name.is_none()), "a digest is no name");
    let index = index_of(&[&one, &two]);
    server.put_manifest("app", "v1", &index).is(201);
    let get = server.get("/v2/app/manifests/v1");
    assert_eq!(get.is(200).header("content-type"), media_type::IMAGE_INDEX);
    assert_eq!(get.body, index.bytes);

    // A server that was pushed no child by digest finds them through the index alone.
    let second = Running::start();
    for image in [&one, &two] {
        for blob in &image.blobs {
            second.push_blob("app", blob);
        }
        image.save(&second.store, "staging:v1");
    }
    second.put_manifest("app", "v1", &index).is(201);
    let child = format!("/v2/app/manifests/{}", one.digest());
    assert_eq!(second.get(&child).is(200).body, one.manifest.bytes);
    second.call("DELETE", &child, &[], b"").refused(405, "UNSUPPORTED");
    second.get(&format!("/v2/app/manifests/{}", Digest::of(b"x"))).refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn deleting_a_tag_leaves_the_others() {
    let server = Running::start();
    let image = Image::new("x");
    server.push("app", "v1", &image).is(201);
    server.put_manifest("app", "v2", &image.manifest).is(201);
    server.call("DELETE", "/v2/app/manifests/v1", &[], b"").is(202);
    server.get("/v2/app/manifests/v1").refused(404, "MANIFEST_UNKNOWN");
    server.call("DELETE", "/v2/app/manifests/v1", &[], b"").refused(404, "MANIFEST_UNKNOWN");
    server.get("/v2/app/manifests/v2").is(200);
    server.get(&format!("/v2/app/manifests/{}", image.digest())).is(200);
    // Deleting the last tag leaves the manifest, as the specification has it.
    server.call("DELETE", "/v2/app/manifests/v2", &[], b"").is(202);
    assert_eq!(server.get("/v2/app/tags/list").is(200).json()["tags"], json!([]));
    assert!(served(&server, &image));
}

#[test]
fn deleting_a_digest_takes_all_its_tags() {
    let server = Running::start();
    let image = Image::new("x");
    let digest = image.digest().to_string();
    server.push("app", &digest, &image).is(201);
    server.put_manifest("app", "v1", &image.manifest).is(201);
    server.put_manifest("app", "v2", &image.manifest).is(201);
    server.put_manifest("other", "v1", &image.manifest).is(201);
    let path = format!("/v2/app/manifests/{digest}");
    server.call("DELETE", &path, &[], b"").is(202);
    for reference in ["v1", "v2", &digest] {
        server.get(&format!("/v2/app/manifests/{reference}")).refused(404, "MANIFEST_UNKNOWN");
    }
    server.get("/v2/app/tags/list").refused(404, "NAME_UNKNOWN");
    server.call("DELETE", &path, &[], b"").refused(404, "MANIFEST_UNKNOWN");
    server.get("/v2/other/manifests/v1").is(200);
}

#[test]
fn damage_on_disk_is_not_served() {
    let server = Running::start();
    let image = Image::new("x");
    server.push("app", "v1", &image).is(201);
    std::fs::write(server.store.blob_path(image.digest()), vec![b' '; image.manifest.bytes.len()]).expect("damaged");
    let answer = server.get("/v2/app/manifests/v1");
    answer.refused(500, "UNKNOWN");
    let path = server.directory.path().to_string_lossy().into_owned();
    assert!(!String::from_utf8_lossy(&answer.body).contains(&path), "paths stay here");
    let lines = server.log_when(|lines| lines.iter().any(|line| line.status == Some(500)));
    assert!(lines.iter().any(|line| line.fault.as_deref().is_some_and(|fault| fault.contains("damaged"))));
    std::fs::remove_file(server.store.blob_path(image.digest())).expect("removed");
    server.get("/v2/app/manifests/v1").refused(404, "MANIFEST_UNKNOWN");
}
