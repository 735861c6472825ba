//! What a token has to permit (distribution-spec, token authentication): scopes, a space between two of them.

/// Scopes taken from one challenge; a registry has no reason to ask for more.
const MAX_SCOPES: usize = 16;
/// Characters that one scope may have.
const MAX_CHARACTERS: usize = 1024;

/// Returns the scopes one by one.
pub(in crate::registry) fn each(scopes: &str) -> impl Iterator<Item = &str> {
    scopes.split_ascii_whitespace()
}

/// Returns `scopes` and, behind them, what `others` ask for beyond that.
pub(in crate::registry) fn union(scopes: &str, others: &str) -> String {
    let mut all: Vec<&str> = each(scopes).collect();
    for other in each(others).filter(|other| other.len() <= MAX_CHARACTERS).take(MAX_SCOPES) {
        if !all.iter().any(|scope| covers(scope, other)) {
            all.push(other);
        }
    }
    all.join(" ")
}

/// Returns whether a token for `scope` permits everything that a token for `other` does: one resource, and no other
/// actions.
fn covers(scope: &str, other: &str) -> bool {
    if scope == other {
        return true;
    }
    let (Some((resource, actions)), Some((other_resource, other_actions))) =
        (scope.rsplit_once(':'), other.rsplit_once(':'))
    else {
        return false;
    };
    let has = |action: &str| actions.split(',').any(|known| known == action || known == "*");
    resource == other_resource && other_actions.split(',').all(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_challenge_asks_for_beyond_ours_is_added() {
        let ours = "repository:team/app:pull,push";
        for (scopes, others, expected) in [
            (ours, "", ours.to_owned()),
            (ours, ours, ours.to_owned()),
            (ours, "repository:team/app:pull", ours.to_owned()),
            (ours, "repository:team/app:push,pull", ours.to_owned()),
            (ours, "*", format!("{ours} *")),
            (ours, "repository:team/app:delete", format!("{ours} repository:team/app:delete")),
            (ours, "repository:team/app:pull,delete", format!("{ours} repository:team/app:pull,delete")),
            (ours, "repository:other:pull  repository:team/app:pull", format!("{ours} repository:other:pull")),
            (ours, "repository:other:pull repository:other:pull", format!("{ours} repository:other:pull")),
            ("repository:a:*", "repository:a:pull", "repository:a:*".to_owned()),
            (
                "repository:h:5000/a:pull",
                "repository:h:5000/b:pull",
                "repository:h:5000/a:pull repository:h:5000/b:pull".to_owned(),
            ),
            ("", "registry:catalog:*", "registry:catalog:*".to_owned()),
        ] {
            assert_eq!(union(scopes, others), expected, "{scopes} and {others}");
        }
    }

    #[test]
    fn what_a_challenge_can_add_is_limited() {
        let many: Vec<String> = (0..100).map(|number| format!("repository:{number}:pull")).collect();
        assert_eq!(each(&union("", &many.join(" "))).count(), MAX_SCOPES);
        assert_eq!(union("a", &"b".repeat(MAX_CHARACTERS + 1)), "a");
    }
}
