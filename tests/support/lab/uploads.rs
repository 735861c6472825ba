//! Upload sessions by a profile's rules: what each request does, and what it is answered.

use idpbuilder_oci::image::Digest;

use super::profile::{Later, Location, Post, Profile, RangeCheck, RangeRefusal, Torn};
use super::record::Site;
use super::request::{Reply, Request};
use super::state::State;

/// What to do with a request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intake {
    /// Answer at once; the body is not read.
    Early(Reply),
    /// Read the body and throw it away, then answer.
    Throw(Reply),
    /// Read the body into this session.
    Session(String),
}

/// Where a session's address leads for a client that came to `site`.
pub fn location(profile: &Profile, request: &Request<'_>, repository: &str, id: &str, known: u64) -> String {
    let path = format!("/v2/{repository}/blobs/uploads/{id}");
    let absolute = |path: &str| format!("{}{path}", request.base);
    // Whoever was sent to the other origin stays there.
    let path = match request.site {
        Site::Registry => path,
        Site::Elsewhere => return absolute(&path),
    };
    match profile.location {
        Location::Relative => path,
        Location::Absolute => absolute(&path),
        Location::State { .. } => absolute(&format!("{path}?_state={id}.{known}")),
        Location::Query => format!("{path}?_nouploadcache=false&_state={known}"),
        Location::Outside(root) => format!("{root}/{repository}/{id}?upload=long"),
    }
}

/// `POST`: a mount, a whole blob, or a session.
pub fn open(profile: &Profile, state: &mut State, request: &Request<'_>, may_mount: bool) -> Intake {
    let repository = request.repository.as_str();
    if profile.made_before && !state.repositories.contains_key(repository) {
        return Intake::Early(Reply::error(404, "NAME_UNKNOWN", "the repository does not exist"));
    }
    let mounted = request.query("mount").and_then(|digest| digest.parse::<Digest>().ok());
    if let Some(digest) = mounted {
        let from = request.query("from");
        let found = match &from {
            Some(from) => profile.mount.named && may_mount && state.has(from, digest),
            None => profile.mount.anonymous && state.blobs.contains_key(&digest),
        };
        if found {
            if !profile.mount.phantom {
                state.repository(repository).blobs.insert(digest);
            }
            return Intake::Throw(
                Reply::of(201)
                    .with("Location", format!("/v2/{repository}/blobs/{digest}"))
                    .with("Docker-Content-Digest", digest.to_string()),
            );
        }
    }
    let id = state.open(repository);
    let address = location(profile, request, repository, &id, 0);
    let opened = Reply::of(202).with("Location", address).with("Docker-Upload-Uuid", id.clone());
    let opened = match profile.open_range {
        Some(range) => opened.with("Range", range),
        None => opened,
    };
    let opened = match profile.patch.minimum {
        Some(bytes) => opened.with("OCI-Chunk-Min-Length", bytes.to_string()),
        None => opened,
    };
    if request.query("digest").is_none() || (request.announced == 0 && mounted.is_some()) {
        return Intake::Throw(opened);
    }
    match profile.post {
        Post::Stores => Intake::Session(id),
        Post::OctetsOnly if request.header("content-type") == Some("application/octet-stream") => Intake::Session(id),
        Post::OctetsOnly => Intake::Early(Reply::of(415)),
        Post::Ignores => Intake::Early(opened),
    }
}

/// What comes before a body for a session is read: whether there is such a session, and whether it may be so much.
pub fn check(profile: &Profile, state: &mut State, request: &Request<'_>, is_patch: bool) -> Intake {
    let id = request.session.clone().unwrap_or_default();
    if stale(profile, state, request) {
        state.sessions.remove(&id);
        return Intake::Early(Reply::error(404, "BLOB_UPLOAD_INVALID", "blob upload invalid"));
    }
    let Some(session) = state.sessions.get_mut(&id) else {
        return Intake::Early(Reply::error(404, "BLOB_UPLOAD_UNKNOWN", ""));
    };
    let known = session.known;
    let ended = session.ended;
    if session.poisoned {
        return Intake::Throw(Reply::of(500));
    }
    let range = request.header("content-range").map(|text| {
        let (start, end) = text.split_once('-').unwrap_or_default();
        (start.parse::<u64>().ok(), end.parse::<u64>().ok())
    });
    if !is_patch {
        let needs = profile.commit.tail_needs_range && known > 0 && request.announced > 0;
        if needs && range.is_none() {
            return Intake::Early(Reply::error(400, "BLOB_UPLOAD_INVALID", "Content-Range is missing"));
        }
        return Intake::Session(id);
    }
    let unsatisfiable = || {
        let reply = Reply::error(416, "BLOB_UPLOAD_INVALID", "");
        let address = location(profile, request, &request.repository, &id, known);
        match profile.patch.refusal {
            RangeRefusal::Nothing => reply,
            RangeRefusal::OffByOne => reply.with("Location", address).with("Range", format!("0-{known}")),
            RangeRefusal::Exact => reply.with("Location", address).with("Range", acknowledged(known)),
        }
    };
    if profile.patch.ceiling.is_some_and(|ceiling| request.announced > ceiling) {
        let text = "PATCH body is too large";
        return Intake::Early(Reply::error(416, "REQUESTED_RANGE_NOT_SATISFIABLE", text));
    }
    match (profile.patch.range, range) {
        (RangeCheck::Ignored, _) => {}
        (_, Some((Some(start), Some(end)))) => {
            if start != known {
                return Intake::Early(unsatisfiable());
            }
            let length = (end + 1).saturating_sub(start);
            if profile.patch.range == RangeCheck::StartAndLength && length != request.announced {
                return Intake::Early(Reply::error(400, "SIZE_INVALID", ""));
            }
        }
        (RangeCheck::Start, None) if known > 0 => {
            let text = "Stream uploads after first write are not allowed";
            return Intake::Early(Reply::error(400, "BLOB_UPLOAD_INVALID", text));
        }
        (_, None) => {}
        (_, Some(_)) => return Intake::Early(Reply::error(400, "BLOB_UPLOAD_INVALID", "")),
    }
    if ended {
        return Intake::Early(unsatisfiable());
    }
    match profile.patch.later {
        Later::Discarded if known > 0 => {
            let address = location(profile, request, &request.repository, &id, known);
            let reply = Reply::of(profile.patch.status).with("Location", address);
            Intake::Throw(reply.with("Range", acknowledged(known)))
        }
        Later::Refused if known > 0 => Intake::Early(Reply::error(400, "UNSUPPORTED", "chunked uploads")),
        _ => Intake::Session(id),
    }
}

/// Whether the address says another count of bytes than there is, to a registry that minds.
fn stale(profile: &Profile, state: &State, request: &Request<'_>) -> bool {
    let Location::State { strict: true } = profile.location else { return false };
    let session = request.session.as_deref().and_then(|id| state.sessions.get(id));
    let told = request.query("_state").and_then(|text| text.rsplit('.').next()?.parse::<u64>().ok());
    match (session, request.site) {
        (Some(session), Site::Registry) => told != Some(session.taken),
        _ => false,
    }
}

/// A body for a session broke off.
pub fn torn(profile: &Profile, state: &mut State, id: &str) {
    let Some(session) = state.sessions.get_mut(id) else { return };
    match profile.torn {
        Torn::Kept => session.known = session.taken,
        // A break before any byte of the body tears nothing.
        Torn::Poisoned => session.poisoned |= session.taken != session.known,
        Torn::Forgotten if matches!(profile.location, Location::State { strict: true }) => {
            session.known = session.taken;
        }
        Torn::Forgotten => drop(state.sessions.remove(id)),
    }
}

/// A `PATCH` has been read.
pub fn patched(profile: &Profile, state: &mut State, request: &Request<'_>, id: &str) -> Reply {
    let Some(session) = state.sessions.get_mut(id) else { return Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "") };
    // Only the last chunk may be short, so nothing may follow one that was.
    session.ended = profile.patch.minimum.is_some_and(|minimum| session.taken - session.known < minimum);
    session.known = session.taken;
    let known = session.known;
    let address = location(profile, request, &request.repository, id, known);
    let reply = Reply::of(profile.patch.status).with("Location", address).with("Docker-Upload-Uuid", id);
    if known == 0 { reply } else { reply.with("Range", acknowledged(known)) }
}

/// A `PUT` or a `POST` with a digest has been read.
pub fn committed(profile: &Profile, state: &mut State, request: &Request<'_>, id: &str) -> Reply {
    let invalid = || Reply::error(400, "DIGEST_INVALID", "");
    let Some(session) = state.sessions.get_mut(id) else { return Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "") };
    session.known = session.taken;
    let digest = request.query("digest").and_then(|text| text.parse::<Digest>().ok());
    let Some(digest) = digest.filter(|digest| session.digest() == *digest) else {
        if profile.commit.wrong_digest_ends {
            state.sessions.remove(id);
        }
        return invalid();
    };
    let session = state.sessions.remove(id).expect("just seen");
    let repository = session.repository.clone();
    state.commit(session, digest);
    Reply::of(201)
        .with("Location", format!("/v2/{repository}/blobs/{digest}"))
        .with("Docker-Content-Digest", digest.to_string())
}

/// `GET` of a session.
pub fn status(profile: &Profile, state: &mut State, request: &Request<'_>) -> Reply {
    let id = request.session.clone().unwrap_or_default();
    if stale(profile, state, request) {
        state.sessions.remove(&id);
        return Reply::error(404, "BLOB_UPLOAD_INVALID", "blob upload invalid");
    }
    let Some(session) = state.sessions.get(&id) else { return Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "") };
    let known = session.known;
    let reply = Reply::of(204).with("Docker-Upload-Uuid", id.clone());
    let reply = if profile.status.location {
        reply.with("Location", location(profile, request, &request.repository, &id, known))
    } else {
        reply
    };
    match known {
        0 => profile.status.empty.map_or(reply.clone(), |range| reply.with("Range", range)),
        known if profile.status.off_by_one => reply.with("Range", format!("0-{known}")),
        known => reply.with("Range", acknowledged(known)),
    }
}

/// `DELETE` of a session.
pub fn cancel(profile: &Profile, state: &mut State, request: &Request<'_>) -> Reply {
    if profile.cancel == 405 {
        return Reply::error(405, "UNSUPPORTED", "");
    }
    let id = request.session.clone().unwrap_or_default();
    match state.sessions.remove(&id) {
        Some(_) => Reply::of(profile.cancel),
        None => Reply::error(404, "BLOB_UPLOAD_UNKNOWN", ""),
    }
}

fn acknowledged(known: u64) -> String {
    format!("0-{}", known.saturating_sub(1))
}
