//! Why discovery found no registry. The errors hold no secrets and no output of plugins.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::text;
use crate::tls::HandshakeFault;

/// The context of a kubeconfig and the host of its API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The context's name.
    pub context: String,
    /// `host:port` as in the kubeconfig.
    pub server: String,
}

/// The part of a kubeconfig that is missing or unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The cluster's entry, or its address.
    Server,
    /// The authority that signs the API server's certificate.
    Authority,
    /// The client certificate.
    ClientCertificate,
    /// The client certificate's key.
    ClientKey,
    /// The file of the token.
    TokenFile,
    /// The method of an `auth-provider`, which newer versions of kubectl do not have either.
    AuthProvider,
    /// The proxy's address.
    Proxy,
    /// Files that contradict each other.
    Files,
}

impl Part {
    fn text(self) -> &'static str {
        match self {
            Self::Server => "address of the API server",
            Self::Authority => "certificate authority",
            Self::ClientCertificate => "client certificate",
            Self::ClientKey => "key of the client certificate",
            Self::TokenFile => "token file",
            Self::AuthProvider => "login (its auth-provider is not supported)",
            Self::Proxy => "address of the proxy",
            Self::Files => "kind or version of the files",
        }
    }
}

/// Why a credential plugin gave no credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PluginFault {
    /// The plugin failed, or a signal ended it.
    #[error("failed{}", code.map(|code| format!(" (exit {code})")).unwrap_or_default())]
    Exit {
        /// Its exit code; none for a signal.
        code: Option<i32>,
    },
    /// The plugin's output is not a credential.
    #[error("printed no credential")]
    Answer,
    /// The plugin's output is too large.
    #[error("printed more than {}", text::counted(*limit, "byte"))]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The plugin exceeded its time limit and was killed.
    #[error("gave no credential within {}", text::duration(*limit))]
    Deadline {
        /// The time allowed.
        limit: Duration,
    },
}

/// Why discovery found no registry, or only a part of its facts.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// None of the kubeconfig files exists.
    #[error("there is no kubeconfig (looked for {})", tried.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", "))]
    NoKubeconfig {
        /// The files that were tried.
        tried: Vec<PathBuf>,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The kubeconfig, or a file that it names.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file that the kubeconfig names cannot be read.
    #[error("cannot read the {} of context `{context}`, `{}`", part.text(), path.display())]
    ReadNamed {
        /// The context.
        context: String,
        /// What the file is for.
        part: Part,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The file is not YAML, or not a kubeconfig. The parser's message is left out, since it quotes the file.
    #[error("`{}` is not a kubeconfig{}", path.display(), place.map(|(line, column)| format!(" (line {line}, column {column})")).unwrap_or_default())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line and column, counted from 1, where known.
        place: Option<(u64, u64)>,
    },
    /// There is no current context and no context of an idpbuilder cluster.
    #[error("the kubeconfig has no current context")]
    NoContext {
        /// The contexts there are.
        known: Vec<String>,
    },
    /// The requested context does not exist.
    #[error("the kubeconfig has no context `{name}`")]
    NoSuchContext {
        /// The name that was requested.
        name: String,
        /// The contexts there are.
        known: Vec<String>,
    },
    /// More than one context serves Localbuilds, and none of them is the current one.
    #[error("several idpbuilder clusters run: {}", contexts.join(", "))]
    SeveralClusters {
        /// Their contexts.
        contexts: Vec<String>,
    },
    /// The kubeconfig is incomplete.
    #[error("context `{context}` has no usable {}", part.text())]
    Incomplete {
        /// The context.
        context: String,
        /// What is missing or damaged.
        part: Part,
    },
    /// The kubeconfig asks for a connection without verification.
    #[error("context `{context}` does not verify the API server")]
    Unverified {
        /// The context.
        context: String,
    },
    /// The API server is behind a proxy.
    #[error("context `{context}` reaches the API server through a proxy, which is not supported")]
    Proxied {
        /// The context.
        context: String,
    },
    /// The credential plugin that the kubeconfig names did not start.
    #[error("cannot start the credential plugin `{command}` of context `{context}`")]
    PluginStart {
        /// The context.
        context: String,
        /// The program.
        command: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The credential plugin failed or answered with something else.
    #[error("the credential plugin `{command}` of context `{context}` {fault}")]
    Plugin {
        /// The context.
        context: String,
        /// The program.
        command: String,
        /// What is wrong.
        fault: PluginFault,
    },
    /// The API server cannot be reached.
    #[error("the API server {} of context `{}` does not answer", place.server, place.context)]
    Unreachable {
        /// Which.
        place: Place,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A connection, but no TLS.
    #[error("no TLS connection to the API server {} of context `{}`: {}", place.server, place.context, explain(fault))]
    Tls {
        /// Which.
        place: Place,
        /// Why.
        fault: HandshakeFault,
    },
    /// The API server does not know us (401).
    #[error("the API server of context `{context}` does not accept the credential of the kubeconfig")]
    Unauthorized {
        /// The context.
        context: String,
    },
    /// The API server knows us and says no (403).
    #[error("context `{context}` may not read {what}")]
    Forbidden {
        /// The context.
        context: String,
        /// The object that was requested.
        what: String,
    },
    /// A Secret is not there.
    #[error("the cluster of context `{context}` has no Secret {name}")]
    MissingSecret {
        /// The context.
        context: String,
        /// `namespace/name`.
        name: String,
    },
    /// A Secret is there without what it should hold.
    #[error("the Secret {name} in the cluster of context `{context}` has no usable `{key}`")]
    SecretContent {
        /// The context.
        context: String,
        /// `namespace/name`.
        name: String,
        /// The key.
        key: &'static str,
    },
    /// The cluster names a Secret that is not Gitea's.
    #[error("the cluster of context `{context}` says that its credential is the Secret {name}, which is not read")]
    ForeignSecret {
        /// The context.
        context: String,
        /// `namespace/name`.
        name: String,
    },
    /// The cluster has several objects of which one is expected, and nothing says which.
    #[error("the cluster of context `{context}` has {} {kind}s: {}", names.len(), names.join(", "))]
    SeveralObjects {
        /// The context.
        context: String,
        /// Their kind.
        kind: &'static str,
        /// Their names.
        names: Vec<String>,
    },
    /// The API server answered with an object of another kind.
    #[error("the API server of context `{context}` answered for {what} with an object of kind {kind}")]
    WrongKind {
        /// The context.
        context: String,
        /// The object that was requested.
        what: String,
        /// The kind that the object says it is.
        kind: String,
    },
    /// The cluster has idpbuilder, but its Gitea is not running yet.
    #[error("Gitea in the cluster of context `{context}` is not ready")]
    GiteaNotReady {
        /// The context.
        context: String,
    },
    /// The cluster has no object of idpbuilder.
    #[error("the cluster of context `{context}` has no idpbuilder registry")]
    NoGitea {
        /// The context.
        context: String,
    },
    /// The API server answered with something else.
    #[error("the API server of context `{context}` gave no usable answer for {what}{}", status.map(|code| format!(" (status {code})")).unwrap_or_default())]
    Answer {
        /// The context.
        context: String,
        /// The object that was requested.
        what: String,
        /// The HTTP status, where that is what is wrong.
        status: Option<u16>,
    },
    /// The time allowed passed.
    #[error("the cluster{} did not answer within {}", place.as_ref().map(|place| format!(" of context `{}` at {}", place.context, place.server)).unwrap_or_default(), text::duration(*limit))]
    Deadline {
        /// The API server, if one was already chosen.
        place: Option<Place>,
        /// The time allowed.
        limit: Duration,
    },
    /// The user interrupted discovery.
    #[error("interrupted")]
    Interrupted,
}

fn explain(fault: &HandshakeFault) -> String {
    match fault {
        HandshakeFault::UnknownIssuer | HandshakeFault::CaUsedAsEndEntity | HandshakeFault::MissingIssuer { .. } => {
            "its certificate is not signed by the kubeconfig's authority".to_owned()
        }
        HandshakeFault::UnreadableRoots(failure) => failure.clone(),
        HandshakeFault::NotTls => "it does not speak TLS".to_owned(),
        HandshakeFault::Incompatible(text) | HandshakeFault::Other(text) => text.clone(),
        other => other.to_string(),
    }
}
