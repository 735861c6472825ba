//! Decides what a 401 means for the request that met it: one pure function, with its whole table in the test below.
//!
//! Requests run in parallel, and one of them may have learned what the registry wants while another was under way. So a
//! refusal counts only for what the refused request carried. A request that carried less than can be sent now is sent
//! again.

/// What a request carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum SentAuth {
    /// No `Authorization`.
    Nothing,
    /// User name and password.
    Password,
    /// A token that the person gave.
    GivenToken,
    /// A token of the token service.
    Token {
        /// The token's number within its scope.
        generation: u64,
        /// Whether it was fetched for this request: no other request's scope or time is to blame.
        fresh: bool,
    },
}

impl SentAuth {
    /// Returns whether the token was fetched for this request.
    pub(in crate::registry) fn is_fresh_token(self) -> bool {
        matches!(self, Self::Token { fresh: true, .. })
    }
}

/// A request that met a 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) struct RefusedRequest {
    /// What it carried.
    pub(in crate::registry) sent: SentAuth,
    /// Whether a fresh token was refused for it before.
    pub(in crate::registry) fresh_token_refused: bool,
}

/// The most that a request can carry now, after the challenges of the refusal were taken in. Later is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::registry) enum Sendable {
    /// The registry asked for nothing that the credential can answer.
    Nothing,
    /// User name and password.
    Password,
    /// A token of the token service, or one that the person gave.
    Token,
}

/// What the refusal says, and what was refused before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::registry) struct Refusal401 {
    /// The registry knows the user and names a missing right, as Gitea does.
    pub(in crate::registry) names_missing_right: bool,
    /// The challenge says `insufficient_scope`.
    pub(in crate::registry) insufficient_scope: bool,
    /// The challenge names a scope that the token was not asked for, and has not been asked for before.
    pub(in crate::registry) names_more_scope: bool,
    /// A fresh token was refused before: for this request, or for this scope more than once.
    pub(in crate::registry) refused_before: bool,
    /// Whether there is a credential at all; without one, tokens are anonymous.
    pub(in crate::registry) has_credential: bool,
}

/// What to do about a 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum AuthDecision {
    /// Send the request again with what can be sent now.
    Retry,
    /// Drop the token that was sent, and send the request again with a new one.
    Renew,
    /// The registry does not know the user.
    Unauthorized,
    /// The registry knows the user, who lacks the permission.
    Denied,
    /// The registry refuses token after token: denied for this scope from now on.
    DeniedForGood,
}

/// Decides what a 401 means for a request that carried `sent`, where `sendable` can be sent now.
///
/// A token may end before its first use, so the first fresh token that is refused is not the last word.
pub(in crate::registry) fn decide(sent: SentAuth, sendable: Sendable, refusal: Refusal401) -> AuthDecision {
    let known = refusal.has_credential && sent != SentAuth::Nothing;
    if known && refusal.names_missing_right {
        return AuthDecision::Denied;
    }
    // A token for a larger scope may be accepted. This is tried once, because the scope is then known.
    if refusal.names_more_scope && matches!(sent, SentAuth::Token { .. }) {
        return AuthDecision::Renew;
    }
    if known && refusal.insufficient_scope && sent.is_fresh_token() {
        return AuthDecision::Denied;
    }
    let carried = match sent {
        SentAuth::Nothing => Sendable::Nothing,
        SentAuth::Password => Sendable::Password,
        SentAuth::GivenToken => return AuthDecision::Unauthorized,
        SentAuth::Token { fresh: true, .. } if refusal.refused_before => return AuthDecision::DeniedForGood,
        SentAuth::Token { .. } => return AuthDecision::Renew,
    };
    if carried < sendable { AuthDecision::Retry } else { AuthDecision::Unauthorized }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn the_whole_table() {
        let sent = [
            ("nothing", SentAuth::Nothing),
            ("password", SentAuth::Password),
            ("given token", SentAuth::GivenToken),
            ("kept token", SentAuth::Token { generation: 1, fresh: false }),
            ("fresh token", SentAuth::Token { generation: 1, fresh: true }),
        ];
        let mut table = String::new();
        for (credential, has_credential) in [("with", true), ("without", false)] {
            let _ = writeln!(table, "{credential} a credential");
            for (name, sent) in sent {
                let row = |refusal| {
                    [Sendable::Nothing, Sendable::Password, Sendable::Token]
                        .map(|sendable| format!("{:?}", decide(sent, sendable, refusal)))
                        .join(" ")
                };
                let bare = Refusal401 { has_credential, ..Refusal401::default() };
                for (says, refusal) in [
                    ("", bare),
                    ("right missing", Refusal401 { names_missing_right: true, ..bare }),
                    ("scope missing", Refusal401 { insufficient_scope: true, ..bare }),
                    ("more scope", Refusal401 { names_more_scope: true, insufficient_scope: true, ..bare }),
                    ("again", Refusal401 { refused_before: true, ..bare }),
                    ("again, more", Refusal401 { refused_before: true, names_more_scope: true, ..bare }),
                ] {
                    let _ = writeln!(table, "{}", format!("{name:11} {says:13} {}", row(refusal)).trim_end());
                }
            }
        }
        insta::assert_snapshot!(table, @r"
        with a credential
        nothing                   Unauthorized Retry Retry
        nothing     right missing Unauthorized Retry Retry
        nothing     scope missing Unauthorized Retry Retry
        nothing     more scope    Unauthorized Retry Retry
        nothing     again         Unauthorized Retry Retry
        nothing     again, more   Unauthorized Retry Retry
        password                  Unauthorized Unauthorized Retry
        password    right missing Denied Denied Denied
        password    scope missing Unauthorized Unauthorized Retry
        password    more scope    Unauthorized Unauthorized Retry
        password    again         Unauthorized Unauthorized Retry
        password    again, more   Unauthorized Unauthorized Retry
        given token               Unauthorized Unauthorized Unauthorized
        given token right missing Denied Denied Denied
        given token scope missing Unauthorized Unauthorized Unauthorized
        given token more scope    Unauthorized Unauthorized Unauthorized
        given token again         Unauthorized Unauthorized Unauthorized
        given token again, more   Unauthorized Unauthorized Unauthorized
        kept token                Renew Renew Renew
        kept token  right missing Denied Denied Denied
        kept token  scope missing Renew Renew Renew
        kept token  more scope    Renew Renew Renew
        kept token  again         Renew Renew Renew
        kept token  again, more   Renew Renew Renew
        fresh token               Renew Renew Renew
        fresh token right missing Denied Denied Denied
        fresh token scope missing Denied Denied Denied
        fresh token more scope    Renew Renew Renew
        fresh token again         DeniedForGood DeniedForGood DeniedForGood
        fresh token again, more   Renew Renew Renew
        without a credential
        nothing                   Unauthorized Retry Retry
        nothing     right missing Unauthorized Retry Retry
        nothing     scope missing Unauthorized Retry Retry
        nothing     more scope    Unauthorized Retry Retry
        nothing     again         Unauthorized Retry Retry
        nothing     again, more   Unauthorized Retry Retry
        password                  Unauthorized Unauthorized Retry
        password    right missing Unauthorized Unauthorized Retry
        password    scope missing Unauthorized Unauthorized Retry
        password    more scope    Unauthorized Unauthorized Retry
        password    again         Unauthorized Unauthorized Retry
        password    again, more   Unauthorized Unauthorized Retry
        given token               Unauthorized Unauthorized Unauthorized
        given token right missing Unauthorized Unauthorized Unauthorized
        given token scope missing Unauthorized Unauthorized Unauthorized
        given token more scope    Unauthorized Unauthorized Unauthorized
        given token again         Unauthorized Unauthorized Unauthorized
        given token again, more   Unauthorized Unauthorized Unauthorized
        kept token                Renew Renew Renew
        kept token  right missing Renew Renew Renew
        kept token  scope missing Renew Renew Renew
        kept token  more scope    Renew Renew Renew
        kept token  again         Renew Renew Renew
        kept token  again, more   Renew Renew Renew
        fresh token               Renew Renew Renew
        fresh token right missing Renew Renew Renew
        fresh token scope missing Renew Renew Renew
        fresh token more scope    Renew Renew Renew
        fresh token again         DeniedForGood DeniedForGood DeniedForGood
        fresh token again, more   Renew Renew Renew
        ");
    }
}
