//! Where trusted certificates come from, and why they cannot be used.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::certificate::UnreadableCertificate;
use crate::text;

/// Where a trusted certificate came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The system's roots (or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name instead).
    System,
    /// A file that was named explicitly.
    File(PathBuf),
    /// A file that was kept for this host alone.
    Kept(PathBuf),
    /// A directory of certificates for this host alone, which has none.
    Directory(PathBuf),
    /// An object of the cluster that holds its certificate.
    Cluster(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("the system's roots"),
            Self::File(path) | Self::Kept(path) | Self::Directory(path) => write!(f, "`{}`", path.display()),
            Self::Cluster(place) => write!(f, "the cluster's {place}"),
        }
    }
}

/// Why certificates could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file or directory cannot be read.
    #[error("cannot read certificates from `{}`", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The file is larger than the limit.
    #[error("{origin} is larger than the {} allowed for certificates", text::size(*limit))]
    TooLarge {
        /// The file or other source.
        origin: Origin,
        /// The limit in bytes.
        limit: u64,
    },
    /// There are more certificates, or files of them, than the limit.
    #[error("{origin} holds more than {}", text::counted(*limit, "certificate"))]
    TooMany {
        /// The file or other source.
        origin: Origin,
        /// The limit.
        limit: usize,
    },
    /// The text has no `BEGIN CERTIFICATE`.
    #[error("{origin} holds no PEM certificate")]
    NoCertificate {
        /// The file or other source.
        origin: Origin,
    },
    /// The PEM armour is damaged.
    #[error("{origin} is not valid PEM: {reason}")]
    Pem {
        /// The file or other source.
        origin: Origin,
        /// Why, in words.
        reason: &'static str,
    },
    /// The armour is whole but what it holds is no certificate.
    #[error("certificate {number} of {origin} is damaged")]
    Certificate {
        /// The file or other source.
        origin: Origin,
        /// Which one, counted from 1.
        number: usize,
        /// Why.
        #[source]
        source: UnreadableCertificate,
    },
    /// A client certificate without its key, or the other way round.
    #[error("`{}` has no `{}` beside it", path.display(), other.display())]
    Unpaired {
        /// The file that exists.
        path: PathBuf,
        /// The file that is missing.
        other: PathBuf,
    },
    /// The file has no PKCS#1, PKCS#8 or SEC1 key.
    #[error("`{}` holds no PEM private key", .0.display())]
    NoKey(PathBuf),
    /// The client's certificate and key do not match, or are of an unsupported kind.
    #[error("the client certificate `{}` cannot be used with its key: {reason}", path.display())]
    Identity {
        /// The certificate's file.
        path: PathBuf,
        /// Why, in words.
        reason: String,
    },
    /// The cryptography provider does not fit.
    #[error("cannot set up TLS: {0}")]
    Provider(String),
}
