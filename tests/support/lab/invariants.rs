//! What has to hold after every push, whatever went wrong on the way.

use idpbuilder_oci::image::{Digest, Document};

use super::handler::Registry;
use super::profile::{Profile, Scheme, Torn};
use super::record::{Exchange, Site, blob_bytes, carries_blobs};
use super::script::Op;
use super::serve::Lab;

/// What is wrong, a line each.
pub type Faults = Vec<String>;

/// The registry has exactly the image under that name: every document, and every blob with its bytes.
pub fn stored(lab: &Lab, repository: &str, tag: &str, image: &Document) -> Faults {
    let state = lab.state();
    let mut wrong = Faults::new();
    let Some(found) = state.repositories.get(repository) else { return vec![format!("no repository {repository}")] };
    let named = found.tags.get(tag);
    if named != Some(&image.digest()) {
        wrong.push(format!("{tag} stands for {named:?}, not for {}", image.digest()));
    }
    match found.manifests.get(&image.digest()) {
        Some(manifest) if manifest.bytes[..] == image.bytes[..] => {}
        Some(_) => wrong.push("the manifest has other bytes".to_owned()),
        None => wrong.push("the manifest is missing".to_owned()),
    }
    for blob in image.manifest().map(|manifest| manifest.blobs().cloned().collect::<Vec<_>>()).unwrap_or_default() {
        match state.blobs.get(&blob.digest).filter(|_| found.blobs.contains(&blob.digest)) {
            None => wrong.push(format!("blob {} is missing", blob.digest)),
            Some(kept) if kept.size != blob.size => wrong.push(format!("blob {} has {} bytes", blob.digest, kept.size)),
            Some(kept) => {
                if kept.bytes.as_ref().is_some_and(|bytes| Digest::of(bytes) != blob.digest) {
                    wrong.push(format!("blob {} has other bytes", blob.digest));
                }
            }
        }
    }
    wrong
}

/// The record's name of [`super::script::Fault::ForgetSessions`].
const FORGETS: &str = "ForgetSessions";

/// Bytes that the faults of a record may have cost: what was on its way, and what a session that ended with it had.
pub fn allowance(profile: &Profile, seen: &[Exchange]) -> u64 {
    // When a token ends, whoever is sending finds out.
    let ended = |exchange: &Exchange| exchange.status == Some(401);
    // A registry that forgets its sessions forgets all: whoever was sending into another one did so for nothing.
    let forgets = seen.iter().any(|exchange| exchange.fault.as_deref().is_some_and(|fault| fault == FORGETS));
    let forgotten = |exchange: &Exchange| {
        forgets && exchange.fault.is_none() && carries_blobs(exchange.op) && exchange.status == Some(404)
    };
    let struck = seen
        .iter()
        .filter(|exchange| exchange.fault.is_some() || is_torn(exchange) || ended(exchange) || forgotten(exchange));
    struck
        .map(|exchange| {
            let ends =
                profile.torn != Torn::Kept || exchange.fault.as_deref().is_some_and(|fault| !fault.starts_with("Cut"));
            // What it had before was counted when it was poisoned.
            let ends = ends || forgotten(exchange);
            let ends = ends && exchange.fault.as_deref() != Some("Poisoned");
            exchange.announced() + exchange.lost + if ends { exchange.offset } else { 0 }
        })
        .sum()
}

/// Whether a request with a body ended before its answer.
fn is_torn(exchange: &Exchange) -> bool {
    carries_blobs(exchange.op) && exchange.received < exchange.announced()
}

/// No byte was sent twice without a fault that made it necessary.
pub fn economical(profile: &Profile, seen: &[Exchange], size: u64) -> Faults {
    let (sent, allowed) = (blob_bytes(seen), size + allowance(profile, seen));
    if sent <= allowed {
        Faults::new()
    } else {
        vec![format!("{sent} bytes of blobs were sent, {allowed} were needed")]
    }
}

/// Nobody but those meant to saw a credential, and no request was framed in a way registries refuse.
pub fn discreet(registry: &Registry, seen: &[Exchange]) -> Faults {
    let mut wrong = Faults::new();
    let tokens = registry.tokens.lock().expect("unpoisoned").all();
    for exchange in seen {
        let told = exchange.line();
        let shown = exchange.header("authorization");
        let basic = registry.login.as_ref().map(super::access::Login::basic);
        let allowed = match (exchange.site, exchange.op) {
            (_, Op::Token) => shown.is_none() || shown == basic.as_deref(),
            (Site::Elsewhere, _) => shown.is_none(),
            (Site::Registry, Op::Ping) => shown.is_none_or(|shown| shown.starts_with("Bearer ")),
            (Site::Registry, _) => shown.is_none_or(|shown| match shown.strip_prefix("Bearer ") {
                Some(token) => tokens.iter().any(|issued| issued == token),
                None => matches!(registry.profile.access.scheme, Scheme::Basic { .. }),
            }),
        };
        if !allowed {
            wrong.push(format!("{told} at {:?} shows a credential", exchange.site));
        }
        if let Some(login) = &registry.login
            && exchange.target.contains(&login.password)
        {
            wrong.push(format!("{told} has the password in its address"));
        }
        if exchange.header("transfer-encoding").is_some() {
            wrong.push(format!("{told} has no fixed length"));
        }
        let writes = matches!(exchange.method.as_str(), "POST" | "PATCH" | "PUT");
        if writes && exchange.header("content-length").is_none() {
            wrong.push(format!("{told} has no Content-Length"));
        }
    }
    wrong
}

/// No session is left in the registry unless it cannot be cancelled there.
pub fn tidy(lab: &Lab) -> Faults {
    if lab.registry().profile.cancel == 405 {
        return Faults::new();
    }
    let state = lab.state();
    state.sessions.keys().map(|id| format!("session {id} was neither committed nor cancelled")).collect()
}

/// All of it for one image that was pushed with success.
#[track_caller]
pub fn check(lab: &Lab, repository: &str, tag: &str, image: &Document) {
    let seen = lab.seen();
    let size = distinct_bytes(image);
    let mut wrong = stored(lab, repository, tag, image);
    wrong.extend(economical(&lab.registry().profile, &seen, size));
    wrong.extend(discreet(lab.registry(), &seen));
    let lines = seen.iter().map(Exchange::line).collect::<Vec<_>>();
    assert!(wrong.is_empty(), "{}\nseen:\n{}", wrong.join("\n"), lines.join("\n"));
}

/// Bytes of all blobs of an image, each once.
pub fn distinct_bytes(image: &Document) -> u64 {
    let blobs = image.manifest().map(|manifest| manifest.blobs().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let sizes: std::collections::BTreeMap<Digest, u64> = blobs.iter().map(|blob| (blob.digest, blob.size)).collect();
    sizes.values().sum()
}
