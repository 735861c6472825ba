//! Blobs and manifests by a profile's rules.

use idpbuilder_oci::image::Digest;
use serde_json::Value;

use super::profile::Profile;
use super::request::{Reply, Request};
use super::state::{Manifest, State};

/// `HEAD` and `GET` of a blob.
pub fn blob(state: &State, request: &Request<'_>) -> Reply {
    let digest = request.name.parse::<Digest>().ok();
    let Some(digest) = digest.filter(|digest| state.has(&request.repository, *digest)) else {
        return Reply::error(404, "BLOB_UNKNOWN", "");
    };
    let blob = &state.blobs[&digest];
    let reply = Reply::of(200)
        .with("Docker-Content-Digest", digest.to_string())
        .with("Content-Type", "application/octet-stream")
        .with("Content-Length", blob.size.to_string());
    match &blob.bytes {
        Some(bytes) if request.method == "GET" => match request.header("range") {
            Some(range) => rest(reply, range, bytes),
            None => reply.body(bytes.clone()),
        },
        _ if request.method == "GET" => Reply::plain(500, "only its digest was kept"),
        _ => reply,
    }
}

/// What a range from a byte to the end asks for (RFC 9110, section 14); other ranges are not understood.
fn rest(whole: Reply, range: &str, bytes: &[u8]) -> Reply {
    let first = range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')?.parse::<usize>().ok());
    let size = bytes.len();
    match first {
        None => whole.body(bytes.to_vec()),
        Some(first) if first >= size => Reply::of(416).with("Content-Range", format!("bytes */{size}")),
        Some(first) => Reply { status: 206, ..whole }
            .with("Content-Range", format!("bytes {first}-{}/{size}", size - 1))
            .with("Content-Length", (size - first).to_string())
            .body(bytes[first..].to_vec()),
    }
}

/// `HEAD` and `GET` of a manifest.
pub fn manifest(profile: &Profile, state: &State, request: &Request<'_>) -> Reply {
    let rules = profile.manifests;
    let missing = || Reply::error(rules.missing, "MANIFEST_UNKNOWN", "");
    let Some(repository) = state.repositories.get(&request.repository) else { return missing() };
    let name = tag(profile, &request.name);
    let digest = request.name.parse::<Digest>().ok().or_else(|| repository.tags.get(&name).copied());
    let Some((digest, found)) = digest.and_then(|digest| Some((digest, repository.manifests.get(&digest)?))) else {
        return missing();
    };
    let reply = Reply::of(200)
        .with("Content-Type", found.media_type.clone())
        .with("Content-Length", found.bytes.len().to_string());
    let is_head = request.method == "HEAD";
    let tells = if is_head { rules.digest_on_head } else { rules.digest_on_get };
    let reply = if tells { reply.with("Docker-Content-Digest", digest.to_string()) } else { reply };
    if is_head { reply } else { reply.body(found.bytes.clone()) }
}

/// `PUT` of a manifest that has been read.
pub fn put(profile: &Profile, state: &mut State, request: &Request<'_>, bytes: &[u8]) -> Reply {
    let rules = profile.manifests;
    let Ok(document) = serde_json::from_slice::<Value>(bytes) else {
        return Reply::error(400, "MANIFEST_INVALID", "Invalid JSON syntax");
    };
    if rules.needs_media_type && !document["mediaType"].is_string() {
        return Reply::error(400, "MANIFEST_INVALID", "Invalid JSON syntax");
    }
    let missing = missing(state, &request.repository, &document);
    if let Some((digest, is_manifest)) = missing {
        let code = if is_manifest { "MANIFEST_BLOB_UNKNOWN" } else { "BLOB_UNKNOWN" };
        let message = if rules.names_missing { digest } else { String::new() };
        return Reply::error(404, code, &message);
    }
    let found = Digest::of(bytes);
    let named = request.name.parse::<Digest>().ok();
    if rules.compares_digest && named.is_some_and(|named| named != found) {
        return Reply::error(400, "DIGEST_INVALID", "");
    }
    let media_type = request.header("content-type").unwrap_or_default().to_owned();
    let repository = state.repository(&request.repository);
    let digest = named.unwrap_or(found);
    repository.manifests.insert(digest, Manifest { media_type, bytes: bytes.to_vec() });
    if named.is_none() {
        let before = repository.tags.insert(tag(profile, &request.name), digest).filter(|before| *before != digest);
        if let Some(before) = before.filter(|_| rules.forgets_untagged)
            && !repository.tags.values().any(|other| *other == before)
        {
            repository.manifests.remove(&before);
        }
    }
    let reply = Reply::of(201)
        .with("Location", format!("/v2/{}/manifests/{digest}", request.repository))
        .with("Docker-Content-Digest", found.to_string());
    match document["subject"]["digest"].as_str() {
        Some(subject) if profile.referrers => reply.with("OCI-Subject", subject),
        _ => reply,
    }
}

/// The first thing that a manifest names and the repository has not; and whether that is a manifest.
fn missing(state: &State, repository: &str, document: &Value) -> Option<(String, bool)> {
    let manifests = &state.repositories.get(repository).cloned().unwrap_or_default().manifests;
    let blobs = document["layers"].as_array().into_iter().flatten().chain(Some(&document["config"]));
    for blob in blobs.filter_map(|descriptor| descriptor["digest"].as_str()) {
        let known = blob.parse().is_ok_and(|digest| state.has(repository, digest));
        if !known {
            return Some((blob.to_owned(), false));
        }
    }
    let children = document["manifests"].as_array().into_iter().flatten();
    for child in children.filter_map(|descriptor| descriptor["digest"].as_str()) {
        let known = child.parse().is_ok_and(|digest: Digest| manifests.contains_key(&digest));
        if !known {
            return Some((child.to_owned(), true));
        }
    }
    None
}

fn tag(profile: &Profile, name: &str) -> String {
    if profile.manifests.folds_case { name.to_ascii_lowercase() } else { name.to_owned() }
}
