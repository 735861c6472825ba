//! From each module's error to a kind and hints: exhaustive, so that a new error cannot be without.

mod base_image;
pub(crate) mod certificate;
pub(crate) mod cluster;
mod connect;
mod entries;
pub(crate) mod registry;
pub(crate) mod storage;

use super::{Failure, Kind};
use crate::audit::AuditError;
use crate::config::{ConfigError, NoHome};
use crate::context::ContextError;
use crate::fs::{LockError, Unreadable};
use crate::image::{DocumentError, PlatformError, ReferenceError};
use crate::layer::tar::read::TarError;
use crate::layer::{LayerError, TocError};
use crate::ops::archive::ArchiveError;
use crate::ops::build::{BaseError, BuildError, ForeignError, PlacementError};
use crate::ops::inspect::InspectError;
use crate::ops::remove::RemoveError;
use crate::serve::ServeError;
use crate::store::StoreError;
use crate::tls::TlsError;

/// What helps where no directory is this user's.
pub(crate) const NO_HOME: &str =
    "set IDPBUILDER_HOME to the directory for what this program keeps, or HOME to an absolute path";

impl From<NoHome> for Failure {
    fn from(error: NoHome) -> Self {
        Self::new(Kind::Failed, error).hint("set HOME to an absolute path")
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let hint = match &error {
            ConfigError::NoHome(_) => NO_HOME.to_owned(),
            ConfigError::Io { path, .. } => format!("make `{}` readable or remove it", path.display()),
            ConfigError::Syntax { path, .. } => {
                format!(
                    "correct `{}`; it may set store, default_registry and credential_store (auto, keyring or file)",
                    path.display()
                )
            }
        };
        Self::new(Kind::Failed, error).hint(hint)
    }
}

impl From<ReferenceError> for Failure {
    fn from(error: ReferenceError) -> Self {
        let hint = match &error {
            ReferenceError::UpperCase { lower, .. } => Some(format!("use `{lower}`; the login name may keep its case")),
            ReferenceError::UserInfo { .. } => Some(
                "keep it with idpbuilder-login, or give it with --creds NAME:PASSWORD; change it if others saw this command"
                    .to_owned(),
            ),
            ReferenceError::Empty => Some("name the image, for example app:v1".to_owned()),
            ReferenceError::Registry { .. }
            | ReferenceError::Repository { .. }
            | ReferenceError::TooLong(_)
            | ReferenceError::Tag { .. }
            | ReferenceError::Digest { .. } => None,
        };
        let failure = Self::new(Kind::Image, error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<PlatformError> for Failure {
    fn from(error: PlatformError) -> Self {
        Self::new(Kind::Usage, error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let (kind, hint) = match &error {
            StoreError::NotFound { known, .. } if known.is_empty() => {
                (Kind::Image, Some("the store is empty; idpbuilder-build DIR -t NAME makes an image".to_owned()))
            }
            StoreError::NotFound { known, .. } => {
                (Kind::Image, Some(format!("idpbuilder-list shows what is stored, among it {}", known.join(", "))))
            }
            StoreError::Ambiguous { .. } => {
                (Kind::Image, Some("give more digits of the id, its manifest's digest, or a name".to_owned()))
            }
            StoreError::Platform { .. } => (Kind::Image, Some("choose one of them with --platform".to_owned())),
            StoreError::NotALayout(_) => {
                (Kind::Failed, Some("name an empty directory or an image layout with --store".to_owned()))
            }
            StoreError::Lock(LockError::Interrupted(_)) => (Kind::Interrupted, None),
            StoreError::Lock(LockError::Deadline { .. }) => (
                Kind::Deadline,
                Some(
                    "another command or a running idpbuilder-serve uses the store; try again when it is done"
                        .to_owned(),
                ),
            ),
            StoreError::MissingBlob(_) | StoreError::BlobSize { .. } | StoreError::BlobDigest { .. } => (
                Kind::Image,
                Some("build the image again with --no-cache, load or pull it: that repairs its blobs".to_owned()),
            ),
            StoreError::Document { source, .. } => (Kind::Image, conversion(source).map(str::to_owned)),
            StoreError::DocumentSize { .. } | StoreError::Nesting(_) | StoreError::NotADocument { .. } => {
                (Kind::Image, None)
            }
            StoreError::Json { .. } => {
                (Kind::Failed, Some("keep what can be read: idpbuilder-doctor --repair".to_owned()))
            }
            StoreError::Io { source, .. } | StoreError::Lock(LockError::Io { source, .. }) => {
                (Kind::Failed, no_room(source).or_else(|| unreadable(source)).map(str::to_owned))
            }
            StoreError::IndexSize { .. } => {
                (Kind::Failed, Some("remove names that are not needed: idpbuilder-rm IMAGE...".to_owned()))
            }
            StoreError::LayoutVersion(_) => (Kind::Failed, None),
        };
        let failure = Self::new(kind, error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// What helps where a file of a store is not what it should be.
fn unreadable(error: &std::io::Error) -> Option<&'static str> {
    Some(match Unreadable::of(error)? {
        Unreadable::Link => "a store has no links inside; copy it with their contents: cp -rL STORE COPY",
        Unreadable::Kind(_) | Unreadable::NotADirectory(_) | Unreadable::TooLarge { .. } => {
            "put it aside and keep what can be read: idpbuilder-doctor --repair"
        }
    })
}

impl From<RemoveError> for Failure {
    fn from(error: RemoveError) -> Self {
        match error {
            RemoveError::Store(error) => error.into(),
            RemoveError::SeveralNames { .. } => {
                Self::new(Kind::Usage, error).hint("remove the names you mean, or all of them with --force")
            }
        }
    }
}

/// What helps where the layers below are in the way.
const OTHER_DESTINATION: &str = "give another destination; idpbuilder-inspect IMAGE --files shows what the base has";

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Context(error) => error.into(),
            BuildError::Layer(error) => error.into(),
            BuildError::Store(error) => error.into(),
            BuildError::Interrupted => Self::new(Kind::Interrupted, error),
            BuildError::NoName
            | BuildError::DigestInName(_)
            | BuildError::EmptyLabel(_)
            | BuildError::EmptyAnnotation(_)
            | BuildError::Timestamp(_) => Self::new(Kind::Usage, error),
            BuildError::PlatformTwice(_) => {
                Self::new(Kind::Usage, error).hint("name each platform once with --platform")
            }
            BuildError::Destination { .. } => {
                Self::new(Kind::Usage, error).hint("give an absolute path of the image, for example /srv/app")
            }
            BuildError::Placement { source: PlacementError::Twice { .. }, .. } => Self::new(Kind::Image, error)
                .hint("leave one of the two out with --exclude PATTERN or in .dockerignore"),
            BuildError::Placement { source: PlacementError::Whiteout { .. }, .. } => Self::new(Kind::Image, error)
                .hint("rename it, or leave it out with --exclude PATTERN or in .dockerignore"),
            BuildError::Placement { .. } => Self::new(Kind::Image, error).hint(OTHER_DESTINATION),
            BuildError::BaseLayer { source: TocError::Tar(TarError::Ambiguous { .. }), .. } => {
                Self::new(Kind::Image, error).hint("use a base whose layers every program unpacks alike")
            }
            BuildError::BaseLayer { .. } | BuildError::BaseDiffId { .. } => {
                Self::new(Kind::Image, error).hint("pull or load the base again: that repairs its blobs")
            }
            BuildError::StreamTwice => Self::new(Kind::Usage, error).hint("keep the archive in a file"),
            BuildError::Archive { ref source, .. } => {
                let hint = match **source {
                    ForeignError::Compression(tool) => {
                        Some(format!("decompress it first, and pipe it: {tool} -dc FILE | ... -"))
                    }
                    ForeignError::Tar(TarError::Ambiguous { .. }) => Some(
                        "unpack it where you can look at it, and pack it again: tar -cf FILE -C DIRECTORY .".to_owned(),
                    ),
                    ForeignError::NoEnd(_) | ForeignError::Tar(_) => {
                        Some("make sure that the archive is whole: tar -tf FILE lists it".to_owned())
                    }
                    ForeignError::Placement(_) => Some(OTHER_DESTINATION.to_owned()),
                    ForeignError::ExcludedLink { .. } => Some(
                        "leave out both names, or none: the content of a hard link is in the archive once, under its first name"
                            .to_owned(),
                    ),
                    ForeignError::Owner { .. } => {
                        Some("leave out `keep`: then all entries get the owner that --chown names".to_owned())
                    }
                    ForeignError::Name { .. } | ForeignError::Link { .. } | ForeignError::Special { .. } => {
                        Some("pack it again without this entry, for example with tar --exclude".to_owned())
                    }
                    _ => None,
                };
                with_hint(Self::new(Kind::Image, error), hint)
            }
            BuildError::Dockerfile(_) => Self::new(Kind::Usage, error)
                .hint("--no-dockerfile packs the files as they are, the Dockerfile too")
                .hint("--no-dockerfile --from BASE puts them on an image, as FROM does"),
            BuildError::NoSource(_) => Self::new(Kind::Image, error).hint("name a file or directory that exists"),
            BuildError::ContextIsPrivate(_) => Self::new(Kind::Image, error).hint("name another directory"),
            BuildError::ContextIsStore(_) => {
                Self::new(Kind::Image, error).hint("name another directory as context, or another store with --store")
            }
        }
    }
}

impl From<BaseError> for Failure {
    fn from(error: BaseError) -> Self {
        match error {
            BaseError::Store(error) => error.into(),
            BaseError::NotAnImage { .. } => Self::new(Kind::Image, error).hint("name an image that containers run"),
            BaseError::LayerCount { .. } => {
                Self::new(Kind::Image, error).hint("pull or load the base again, or take another one")
            }
        }
    }
}

impl From<ContextError> for Failure {
    fn from(error: ContextError) -> Self {
        let (kind, hint) = match &error {
            ContextError::IsDockerfile { .. } => {
                return Self::new(Kind::Usage, error)
                    .hint("name the directory to pack, with --no-dockerfile if a Dockerfile is in it; or pipe a tar archive")
                    .hint(
                        "for the Dockerfile's own result, build it with docker or podman: `docker save IMAGE | \
                         idpbuilder-load` takes the image over",
                    );
            }
            ContextError::Interrupted => (Kind::Interrupted, None),
            ContextError::NotFound { .. } => (Kind::Image, Some("name a directory that exists")),
            ContextError::NotADirectory { .. } => (
                Kind::Image,
                Some("name the directory it is in, or pipe a tar archive: idpbuilder-build - -t NAME < FILE"),
            ),
            ContextError::Unreadable { .. } => {
                (Kind::Image, Some("make it readable, or leave it out with --exclude PATTERN or in .dockerignore"))
            }
            ContextError::Vanished { .. } | ContextError::Changed { .. } => (
                Kind::Image,
                Some("build again when nothing changes the directory, or leave the path out with --exclude"),
            ),
            ContextError::Special { .. } | ContextError::TooDeep { .. } => {
                (Kind::Image, Some("leave it out with --exclude PATTERN or in .dockerignore"))
            }
            ContextError::IgnoreFile { .. }
            | ContextError::IgnoreFileKind { .. }
            | ContextError::IgnoreFileDangling { .. }
            | ContextError::IgnoreFileSize { .. } => (Kind::Image, Some("name another ignore file with --ignorefile")),
            ContextError::Rule(_) => (Kind::Image, Some("correct the pattern; patterns are those of .dockerignore")),
        };
        with_hint(Self::new(kind, error), hint)
    }
}

impl From<LayerError> for Failure {
    fn from(error: LayerError) -> Self {
        let (kind, hint) = match &error {
            LayerError::Interrupted => (Kind::Interrupted, None),
            LayerError::Unreadable { .. } => {
                (Kind::Image, Some("make it readable, or leave it out with --exclude PATTERN or in .dockerignore"))
            }
            LayerError::Vanished { .. } | LayerError::Changed { .. } => (
                Kind::Image,
                Some("build again when nothing changes the directory, or leave the path out with --exclude"),
            ),
            LayerError::Write(source) => (Kind::Failed, no_room(source)),
        };
        with_hint(Self::new(kind, error), hint)
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Store(error) => error.into(),
            ArchiveError::Interrupted => Self::new(Kind::Interrupted, error),
            ArchiveError::NoImages => Self::new(Kind::Usage, error),
            ArchiveError::Write(source) if source.kind() == std::io::ErrorKind::BrokenPipe => Self::of_output(source),
            ArchiveError::Write(ref source) => {
                let hint = no_room(source);
                with_hint(Self::new(Kind::Failed, error), hint)
            }
            ArchiveError::Compression { compression, .. } => Self::new(Kind::Image, error)
                .hint(format!("decompress it first, for example: {compression} -dc FILE | idpbuilder-load")),
            ArchiveError::Artifact { .. } => {
                Self::new(Kind::Image, error).hint("save it with --format oci-archive, which holds anything")
            }
            ArchiveError::NotAnImageArchive => {
                Self::new(Kind::Image, error).hint("load reads what docker save, podman save and idpbuilder-save write")
            }
            ArchiveError::TornLayer { .. } | ArchiveError::LayerDiffers { .. } | ArchiveError::LayersDiffer { .. } => {
                Self::new(Kind::Image, error)
                    .hint("build the image again with --no-cache, load or pull it; --format oci-archive keeps layers as they are")
            }
            ArchiveError::Tar(_)
            | ArchiveError::Path(_)
            | ArchiveError::Link { .. }
            | ArchiveError::Kind { .. }
            | ArchiveError::Duplicate(_)
            | ArchiveError::TooMany { .. }
            | ArchiveError::TooLarge { .. }
            | ArchiveError::Json { .. }
            | ArchiveError::LayoutVersion(_)
            | ArchiveError::Damaged { .. }
            | ArchiveError::Missing(_)
            | ArchiveError::LayerCount { .. }
            | ArchiveError::DiffId { .. }
            | ArchiveError::Decompress { .. }
            | ArchiveError::HardLink { .. }
            | ArchiveError::Document { .. }
            | ArchiveError::Size { .. }
            | ArchiveError::NameDiffers(_)
            | ArchiveError::NameTwice(_) => Self::new(Kind::Image, error)
                .hint("save the image again; nothing of this archive was kept under a name"),
        }
    }
}

impl From<InspectError> for Failure {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Store(error) => error.into(),
            InspectError::Interrupted => Self::new(Kind::Interrupted, error),
            InspectError::NoLayer { .. } => Self::new(Kind::Image, error).hint("--layers shows the layers"),
            InspectError::Decompress { .. } | InspectError::Tar { .. } => Self::new(Kind::Image, error)
                .hint("build the image again with --no-cache, load or pull it: that repairs its blobs"),
            InspectError::Differs { .. } => Self::new(Kind::Image, error).hint(
                "build the image again with --no-cache, load or pull it; where that does not help, it was made so",
            ),
            InspectError::MediaType { .. } | InspectError::TooLarge(_) => Self::new(Kind::Image, error),
        }
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        let hint = match &error {
            AuditError::Io { path, .. } => format!("make `{}` writable, or set IDPBUILDER_HOME", path.display()),
            AuditError::Lock(_) => "try again when the other command is done".to_owned(),
        };
        Self::new(Kind::Failed, error).hint(hint)
    }
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        let hint = match &error {
            TlsError::Read { path, .. } => Some(format!("name a readable file instead of `{}`", path.display())),
            TlsError::NoCertificate { .. } | TlsError::Pem { .. } | TlsError::Certificate { .. } => {
                Some("a certificate file has lines between BEGIN CERTIFICATE and END CERTIFICATE".to_owned())
            }
            TlsError::Unpaired { .. } | TlsError::NoKey(_) | TlsError::Identity { .. } => {
                Some("a client certificate is NAME.cert, with its PEM key in NAME.key beside it".to_owned())
            }
            TlsError::TooLarge { .. } | TlsError::TooMany { .. } | TlsError::Provider(_) => None,
        };
        with_hint(Self::new(Kind::Failed, error), hint)
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Store(error) => error.into(),
            ServeError::Listen { .. } => {
                Self::new(Kind::Network, error).hint("choose another address with --listen; port 0 takes a free one")
            }
            ServeError::Users { .. } => {
                Self::new(Kind::Failed, error).hint("make the file with bcrypt hashes: htpasswd -B -c FILE NAME")
            }
            ServeError::ReadUsers { .. } => Self::new(Kind::Failed, error).hint("name a readable file with --htpasswd"),
            ServeError::Certificate(_) => Self::new(Kind::Failed, error)
                .hint("--tls makes a certificate; --tls-cert and --tls-key take PEM files"),
            ServeError::Random | ServeError::Interrupted(_) => Self::new(Kind::Failed, error),
        }
    }
}

/// Returns the hint for a document of a schema that registries no longer accept.
pub(crate) fn conversion(error: &DocumentError) -> Option<&'static str> {
    matches!(error, DocumentError::SchemaVersion(1))
        .then_some("convert the image: skopeo copy --format oci docker://IMAGE oci:DIR, then build with --from oci:DIR")
}

/// What helps when the system gives no more threads.
pub(crate) const MORE_THREADS: &str = "allow more threads: ulimit -u shows the user's limit, and a container has one of its own (docker run --pids-limit)";

/// What helps when there is no room for what was to be written, or for a thread that writes it.
pub(crate) fn no_room(error: &std::io::Error) -> Option<&'static str> {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded => Some("free space, for example with idpbuilder-rm --prune"),
        FileTooLarge => Some("allow larger files: ulimit -f shows the limit, and some file systems have one"),
        _ if crate::threads::are_missing(error) => Some(MORE_THREADS),
        _ => None,
    }
}

fn with_hint(failure: Failure, hint: Option<impl Into<String>>) -> Failure {
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
