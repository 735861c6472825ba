//! Advice for a registry whose storage is full: what says so, and the two commands that show it.

use crate::registry::Refused;

/// Whether a full storage is what a failure says, or its likeliest cause: Gitea gives no reason when the volume has no
/// room for a blob that is committed.
pub(crate) fn may_be_full(refused: &Refused) -> bool {
    refused.response.storage_full || is_failed_commit(refused)
}

/// Whether the registry failed to make an upload a blob.
fn is_failed_commit(refused: &Refused) -> bool {
    refused.response.status.as_u16() == 500
        && refused.request.method() == "PUT"
        && refused.request.path().contains("/uploads/")
}

/// What to look at, and what became of the bytes that were sent.
pub(crate) fn storage_hints(refused: &Refused) -> Vec<String> {
    let refusal = &refused.response;
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

    /// A session that is committed.
    fn commit(status: u16, headers: &[(&'static str, &str)], body: &str) -> Refused {
        Refused::sample("PUT", "/v2/a/blobs/uploads/1", status, headers, body)
    }

    #[test]
    fn who_is_full_and_where_to_look() {
        let full = r#"{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":"no space left on device"}]}"#;
        let page = |title: &str| format!("<html><head><title>{title}</title></head></html>");
        for (refused, cause, place) in [
            (commit(500, &[], &page("Internal Server Error - Gitea: Git with a cup of tea")), "volume", "my-gitea"),
            (commit(500, &[], ""), "volume", "my-gitea"),
            (commit(500, &[], full), "free space", "registry's log"),
            (commit(500, &[("server", "nginx")], &page("500 Internal Server Error")), "proxy", "registry's log"),
        ] {
            assert!(may_be_full(&refused), "{refused}");
            let hints = storage_hints(&refused);
            assert!(hints[0].contains(cause) && hints[1].contains(place), "{refused}: {hints:?}");
        }
        assert!(!may_be_full(&commit(502, &[], "")));
    }
}
