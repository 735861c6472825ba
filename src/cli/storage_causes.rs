//! Advice for a registry whose storage is full: what says so, and the two commands that show it.

use crate::registry::Refused;

/// Whether a full storage is what a failure says, or its likeliest cause: Gitea gives no reason when the volume has no
/// room for a blob that is committed.
pub(super) fn may_be_full(refused: &Refused) -> bool {
    refused.refusal.storage_full || is_failed_commit(refused)
}

/// Whether the registry failed to make an upload a blob.
fn is_failed_commit(refused: &Refused) -> bool {
    refused.refusal.status.as_u16() == 500
        && refused.request.method() == "PUT"
        && refused.request.path().contains("/uploads/")
}

/// What to look at, and what became of the bytes that were sent.
pub(super) fn storage_hints(refused: &Refused) -> Vec<String> {
    let refusal = &refused.refusal;
    let registry_log = "look at the registry's log, and at its disk with df -h";
    let cluster_commands = [
        "the log of the cluster's Gitea: kubectl -n gitea logs deploy/my-gitea --tail=20",
        "its volume: kubectl -n gitea exec deploy/my-gitea -- df -h /data",
    ];
    let mut hints = Vec::new();
    if refusal.by_proxy {
        hints.push("the proxy could not take the request: the disk for its request bodies may be full".to_owned());
    } else if refusal.storage_full {
        hints.push("free space on the registry's storage, then push again".to_owned());
    } else {
        hints.push(
            "the registry's volume is probably full: a blob takes twice its size while it is committed".to_owned(),
        );
    }
    // Distribution and Harbor answer in the envelope, Gitea with a page or with nothing.
    if refusal.by_gitea || (!refusal.by_proxy && refusal.errors.is_empty()) {
        hints.extend(cluster_commands.map(str::to_owned));
    } else {
        hints.push(registry_log.to_owned());
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{OciErrorCode, OciFault, Refusal, RequestFacts};

    fn refused(status: u16, text: Option<&str>, by: (bool, bool), storage_full: bool, coded: bool) -> Refused {
        let unknown = OciFault { code: OciErrorCode::Other("UNKNOWN".into()), message: String::new() };
        let refusal = Refusal {
            status: http::StatusCode::from_u16(status).expect("a status"),
            errors: coded.then_some(unknown).into_iter().collect(),
            text: text.map(str::to_owned),
            by_proxy: by.0,
            by_gitea: by.1,
            storage_full,
            server: None,
            retry_after: None,
        };
        let uri = "https://h/v2/a/blobs/uploads/1".parse().expect("a URI");
        Refused { request: RequestFacts::of(&http::Method::PUT, &uri), refusal }
    }

    #[test]
    fn who_is_full_and_where_to_look() {
        for (refused, cause, place) in [
            (refused(500, Some("Internal Server Error - Gitea"), (false, true), false, false), "volume", "my-gitea"),
            (refused(500, None, (false, false), false, false), "volume", "my-gitea"),
            (refused(500, None, (false, false), true, true), "free space", "registry's log"),
            (refused(507, None, (false, false), true, true), "free space", "registry's log"),
            (refused(500, Some("500 Internal Server Error"), (true, false), false, false), "proxy", "registry's log"),
        ] {
            assert!(may_be_full(&refused), "{refused}");
            let hints = storage_hints(&refused);
            assert!(hints[0].contains(cause) && hints[1].contains(place), "{refused}: {hints:?}");
        }
        assert!(!may_be_full(&refused(502, None, (true, false), false, false)));
    }
}
