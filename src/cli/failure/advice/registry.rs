//! Advice about registries: from what a push, a pull or a connection met to the fix.

use std::time::Duration;

use super::certificate::handshake;
use super::conversion;
use super::storage::{may_be_full, storage_hints};
use crate::cli::failure::{Failure, Kind};
use crate::ops::pull::PullError;
use crate::ops::push::PushError;
use crate::ops::trust::{AskFailure, TrustError};
use crate::registry::{
    Absence, AskedScheme, Misdirection, NetworkFault, OciErrorCode, Refused, RegistryError, RequestFacts, Violation,
};
use crate::text;
use crate::tls::HandshakeFault;

/// What the registry's error asks for: an exit code and hints.
struct Advice {
    kind: Kind,
    hints: Vec<String>,
}

impl Advice {
    fn new(kind: Kind) -> Self {
        Self { kind, hints: Vec::new() }
    }

    fn hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push(text.into());
        self
    }

    fn failure(self, error: impl std::error::Error + Send + Sync + 'static) -> Failure {
        self.hints.into_iter().fold(Failure::new(self.kind, error), Failure::hint)
    }
}

impl From<PushError> for Failure {
    fn from(error: PushError) -> Self {
        let advice = match &error {
            PushError::Registry { source, .. } => advise(source),
            PushError::Interrupted => Advice::new(Kind::Interrupted),
            PushError::NoRegistry(_) => {
                Advice::new(Kind::Usage).hint("write the registry in front, or give --registry")
            }
            PushError::DigestDiffers { .. } => Advice::new(Kind::Image).hint("push to a tag instead of a digest"),
            PushError::NotVerified { .. } => Advice::new(Kind::Registry)
                .hint("push again; if it happens again, another client pushes the same tag or the registry loses data"),
            PushError::NotPullable {
                source:
                    source @ (RegistryError::Unauthorized { .. }
                    | RegistryError::UnknownScheme { .. }
                    | RegistryError::Denied(_)
                    | RegistryError::NotFound(_)),
                ..
            } => {
                let gitea = source.error_response().is_some_and(|refused| refused.response.by_gitea);
                let what = if gitea { "the package or its owner" } else { "the repository" };
                Advice::new(Kind::Deadline)
                    .hint(format!("make {what} public, or give the cluster a credential (imagePullSecrets)"))
            }
            PushError::NotPullable { source: RegistryError::DigestMismatch { .. }, .. } => Advice::new(Kind::Deadline)
                .hint(
                    "the registry, or a cache before it, gives other content than it was given; --verify asks as you",
                ),
            PushError::NotPullable { source, .. } => Advice { kind: Kind::Deadline, ..advise(source) },
            PushError::HalfPulled { .. } => Advice::new(Kind::Deadline).hint("give it longer, for example --wait=10m"),
            PushError::Store(_) => {
                let PushError::Store(error) = error else { unreachable!("matched above") };
                return error.into();
            }
        };
        advice.failure(error)
    }
}

impl From<PullError> for Failure {
    fn from(error: PullError) -> Self {
        let advice = match &error {
            PullError::Registry { source: RegistryError::NotFound(_), .. } => {
                Advice::new(Kind::Image).hint("check the name and the tag; repository names are lower case")
            }
            PullError::Registry { source, .. } => advise(source),
            PullError::Interrupted => Advice::new(Kind::Interrupted),
            PullError::NoRegistry(_) => {
                Advice::new(Kind::Usage).hint("write the registry in front, or give --registry")
            }
            PullError::Platform { .. } => Advice::new(Kind::Image).hint("choose one of them with --platform"),
            PullError::TooManyManifests(_) => Advice::new(Kind::Registry),
            PullError::ForeignLayer { .. } => Advice::new(Kind::Image)
                .hint("pull it with a container engine, which fetches foreign layers, and load it from an archive"),
            PullError::Store(_) => {
                let PullError::Store(error) = error else { unreachable!("matched above") };
                return error.into();
            }
        };
        advice.failure(error)
    }
}

impl From<AskFailure> for Failure {
    fn from(error: AskFailure) -> Self {
        match error {
            AskFailure::Network(error) => {
                let advice = match &error.fault {
                    NetworkFault::Tls { fault: HandshakeFault::NotTls, .. } => {
                        Advice::new(Kind::Network).hint("a registry that speaks plain http has no certificate")
                    }
                    NetworkFault::Timeout { .. } => Advice::new(Kind::Deadline)
                        .hint("check the address; a proxy is not used to look at certificates"),
                    fault => network(&error.host.to_string(), fault),
                };
                advice.failure(error)
            }
            AskFailure::Tls(error) => error.into(),
        }
    }
}

impl From<TrustError> for Failure {
    fn from(error: TrustError) -> Self {
        let advice = match &error {
            TrustError::NotFound(_) => {
                Advice::new(Kind::Image).hint("idpbuilder-trust list shows what the trust store has")
            }
            TrustError::Io { .. } | TrustError::TooMany(_) => Advice::new(Kind::Failed),
        };
        advice.failure(error)
    }
}

/// Returns a failure with the advice for a registry's error.
pub(crate) fn explain(error: RegistryError) -> Failure {
    advise(&error).failure(error)
}

fn advise(error: &RegistryError) -> Advice {
    match error {
        RegistryError::Unauthorized { credentials: false, .. } => Advice::new(Kind::Auth)
            .hint("log in with -u NAME --password-stdin, or set IDPBUILDER_REGISTRY_USERNAME and _PASSWORD")
            .hint("-v says where a credential was looked for"),
        RegistryError::Unauthorized { credentials: true, .. } => {
            Advice::new(Kind::Auth).hint("check the user name and the password or token; -v says where they came from")
        }
        RegistryError::UnknownScheme { asked: AskedScheme::Password, .. } => {
            Advice::new(Kind::Auth).hint("log in with -u NAME --password-stdin")
        }
        RegistryError::UnknownScheme { .. } => Advice::new(Kind::Auth)
            .hint("Basic and Bearer are supported: the registry, or the proxy before it, has to offer one of them"),
        // What helps against the fault there would lead astray: nothing is meant to be there.
        RegistryError::LostPort { source, .. } => Advice::new(advise(source).kind)
            .hint("the registry does not know its own port: Gitea needs it in ROOT_URL")
            .hint("behind nginx, pass it on: proxy_set_header Host $http_host"),
        RegistryError::ProxyAddress(_) => Advice::new(Kind::Usage)
            .hint("write a proxy as http://HOST:PORT, with NAME:PASSWORD@ before HOST if it asks for them")
            .hint("NO_PROXY names hosts that are reached without it"),
        // The request did not get as far as the registry's rules.
        RegistryError::Denied(refused) if refused.response.by_proxy => {
            Advice::new(Kind::Auth).hint("ask the operator of the proxy to let the request through")
        }
        RegistryError::Denied(refused) if refused.response.by_gitea => Advice::new(Kind::Auth)
            .hint("the first part of the repository is its owner: the user, in lower case, or an organisation")
            .hint("a token needs permission to write packages"),
        RegistryError::Denied(_) => Advice::new(Kind::Auth)
            .hint("check the repository's name, and what this login may do there; -v says whose login it is"),
        RegistryError::NotFound(refused) if is_about_the_name(refused) && refused.response.by_gitea => {
            Advice::new(Kind::Registry)
                .hint("check the owner in the repository's name: Gitea may know no such user or organisation")
        }
        RegistryError::NotFound(refused) if is_about_the_name(refused) => Advice::new(Kind::Registry).hint(
            "check the repository's name: its owner or project may not be there, and some registries want a \
             repository to be made before the first push",
        ),
        RegistryError::NotFound(refused) | RegistryError::Refused(refused) if lost_something(refused) => {
            Advice::new(Kind::Registry).hint("push again: the registry lost something that it had taken")
        }
        // Smaller pieces have been tried already.
        RegistryError::TooLarge(refused) if refused.request.path().contains("/uploads/") => Advice::new(Kind::Registry)
            .hint("small pieces are too large for it as well: a quota may be used up, or its disk be full"),
        RegistryError::Unavailable(refused) if may_be_full(refused) => {
            storage_hints(refused).into_iter().fold(Advice::new(Kind::Registry), Advice::hint)
        }
        RegistryError::RateLimited(_) | RegistryError::Unavailable(_) => {
            let advice = Advice::new(Kind::Registry);
            match error.retry_after().filter(|wait| *wait >= Duration::from_secs(1)) {
                Some(wait) => advice.hint(format!(
                    "it asked to wait for {}; try again then, what arrived is not sent twice",
                    text::duration(wait)
                )),
                None => advice.hint("try again; what arrived is not sent twice"),
            }
        }
        RegistryError::Refused(refused)
            if may_be_the_first(&refused.request) && refused.request.is_plain() && refused.response.asks_for_tls() =>
        {
            Advice::new(Kind::Registry).hint("if the registry speaks TLS, leave out --plain-http")
        }
        RegistryError::Protocol { request, violation: Violation::Location(Misdirection::Downgrade(to)) }
            if ["GET", "HEAD"].iter().any(|method| request.method() == method)
                && request.path().contains("/blobs/") =>
        {
            Advice::new(Kind::Registry).hint(blobs_from(&to.authority()))
        }
        RegistryError::Misled { blob: true, source: Misdirection::Internal { to, .. }, .. } => {
            Advice::new(Kind::Registry).hint(blobs_from(&to.authority()))
        }
        RegistryError::Protocol { violation: Violation::Realm(Misdirection::Unprotected { .. }), .. } => {
            Advice::new(Kind::Registry)
                .hint("the password does not go there: use the registry by https, without --plain-http")
                .hint("or have the registry name its token service by https, or at its own host")
        }
        RegistryError::NotFound(_)
        | RegistryError::TooLarge(_)
        | RegistryError::Refused(_)
        | RegistryError::Protocol { .. }
        | RegistryError::Misled { .. }
        | RegistryError::DigestMismatch { .. }
        | RegistryError::Referrers { .. }
        | RegistryError::Stale { .. } => Advice::new(Kind::Registry),
        RegistryError::Document { source, .. } => match conversion(source) {
            Some(hint) => Advice::new(Kind::Registry).hint(hint),
            None => Advice::new(Kind::Registry),
        },
        RegistryError::Away { why, .. } => {
            let kind = if matches!(**why, Absence::Network(_)) { Kind::Network } else { Kind::Registry };
            Advice::new(kind)
                .hint("check that the registry runs, then run the same command again: what arrived is not sent twice")
                .hint("--wait-for-registry TIME waits longer")
        }
        RegistryError::Overdue(_) => Advice::new(Kind::Deadline),
        // It spoke HTTP before.
        RegistryError::Network { request, fault: NetworkFault::NotHttp, .. } if !may_be_the_first(request) => {
            Advice::new(Kind::Network).hint("try again; what arrived is not sent twice")
        }
        RegistryError::Network { request, fault, .. } => network(request.host(), fault),
        RegistryError::Source { .. } | RegistryError::SourceDigest { .. } => Advice::new(Kind::Image)
            .hint("build the image again with --no-cache, load or pull it: that repairs its blobs"),
        RegistryError::Address(_) => Advice::new(Kind::Usage).hint("an address is host or host:port"),
        RegistryError::Tls(_) => Advice::new(Kind::Failed),
        RegistryError::Interrupted => Advice::new(Kind::Interrupted),
    }
}

/// How to let a registry keep its blobs at a host that it must not lead to by itself.
fn blobs_from(host: &str) -> String {
    format!(
        "if the registry keeps its blobs there, allow that host: --blobs-from {host}; no credential goes there, and what \
         comes from there is checked by its digest"
    )
}

/// Whether a 404 says that there is no such repository, or that there can be none: where something is to begin, and
/// where the registry says so itself.
fn is_about_the_name(refused: &Refused) -> bool {
    let begins = refused.request.method() == "POST" && refused.request.path().ends_with("/blobs/uploads/");
    refused.response.names(&OciErrorCode::NameUnknown) || (begins && refused.response.errors.is_empty())
}

/// Whether the registry misses what it has had.
fn lost_something(refused: &Refused) -> bool {
    let codes = [OciErrorCode::BlobUploadUnknown, OciErrorCode::BlobUnknown, OciErrorCode::ManifestBlobUnknown];
    codes.iter().any(|code| refused.response.names(code))
}

/// Whether a request may be the first one that the registry gets: a question. Nothing is sent before one is answered.
fn may_be_the_first(request: &RequestFacts) -> bool {
    (request.method() == "HEAD" || request.method() == "GET") && !request.path().contains("/blobs/uploads/")
}

fn network(host: &str, fault: &NetworkFault) -> Advice {
    let advice = Advice::new(Kind::Network);
    match fault {
        NetworkFault::Dns => advice.hint(format!("check the name {host}, and that this machine can resolve it")),
        NetworkFault::Refused => {
            advice.hint(format!("nothing listens on {host}: check the port, and that the registry runs"))
        }
        NetworkFault::Unreachable => advice.hint("check the network and the address"),
        NetworkFault::Reset
        | NetworkFault::Closed
        | NetworkFault::Stale
        | NetworkFault::Unprocessed
        | NetworkFault::Http2(_)
        | NetworkFault::Http11Required
        | NetworkFault::Other(_) => advice.hint("try again; what arrived is not sent twice"),
        NetworkFault::Timeout { .. } => {
            Advice::new(Kind::Deadline).hint("try again, or wait longer with --timeout TIME")
        }
        NetworkFault::Proxy { answer: Some(status), .. } if status.as_u16() == 407 => {
            advice.hint("put the proxy's user name and password into its URL: http://NAME:PASSWORD@HOST:PORT")
        }
        NetworkFault::Proxy { answer: Some(_), .. } => {
            advice.hint(format!("ask the operator of the proxy to let {host} through, or name it in NO_PROXY"))
        }
        NetworkFault::Proxy { .. } => advice.hint("check HTTPS_PROXY, or name the registry in NO_PROXY"),
        NetworkFault::Verbose => advice,
        NetworkFault::NotHttp => advice.hint("if the registry speaks TLS, leave out --plain-http"),
        NetworkFault::Tls { fault, chain, chosen } => {
            handshake(host, fault, chain, chosen).into_iter().fold(advice, Advice::hint)
        }
    }
}
