//! Base images: from what was typed to an image in the local store.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::connect::{ConnectError, Connection, Session, proxies};
use super::{ConsoleError, now};
use crate::image::{Descriptor, Digest, DocumentError, Platform, Reference, ReferenceError};
use crate::ops::archive::{ArchiveError, Found, unpack};
use crate::ops::build::{Base, BaseError};
use crate::ops::pull::{PullConfig, PullError, pull};
use crate::progress::Progress;
use crate::registry::{BlobHosts, RateLimits, RetryPolicy, Timeouts};
use crate::store::{Entry, ImageStore, Lease, StoreError};
use crate::text::counted;

/// Blobs of a base that are fetched at the same time.
const JOBS: usize = 3;

/// The base that is none.
pub(crate) const SCRATCH: &str = "scratch";

/// Where a base is, by how it is written (containers-transports(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place<'a> {
    /// `oci:DIR[:NAME]`.
    Layout(&'a str, Option<&'a str>),
    /// `oci-archive:FILE[:NAME]` or `docker-archive:FILE[:NAME]`.
    Archive(&'a str, Option<&'a str>),
    /// `docker://NAME`: at its registry, whatever the store has.
    Registry(&'a str),
    /// In the store, else at its registry.
    Anywhere(&'a str),
}

impl<'a> Place<'a> {
    fn of(text: &'a str) -> Self {
        let split = |rest: &'a str| match rest.split_once(':') {
            Some((path, name)) => (path, Some(name).filter(|name| !name.is_empty())),
            None => (rest, None),
        };
        if let Some(rest) = text.strip_prefix("oci:") {
            let (path, name) = split(rest);
            return Self::Layout(path, name);
        }
        if let Some(rest) = text.strip_prefix("oci-archive:").or_else(|| text.strip_prefix("docker-archive:")) {
            let (path, name) = split(rest);
            return Self::Archive(path, name);
        }
        match text.strip_prefix("docker://") {
            Some(name) => Self::Registry(name),
            None => Self::Anywhere(text),
        }
    }
}

/// Why there is no base image.
#[derive(Debug, thiserror::Error)]
pub enum BaseImageError {
    /// The registry, trust or the credential is not settled.
    #[error(transparent)]
    Connect(Box<ConnectError>),
    /// No registry is known for an image that the store does not have.
    #[error("the local store has no `{name}`, and no registry is known for it")]
    NotLocated {
        /// The name that the store would have it under.
        name: Box<Reference>,
        /// The name as it was typed.
        asked: Box<Reference>,
        /// Why no registry is known.
        source: Box<ConnectError>,
    },
    /// The person, or a signal, ended the work.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// A text is no reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The local store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The image is not one to build on.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// The registry does not give the image.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// The archive cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] ArchiveError),
    /// `oci:` and its kin without a path.
    #[error("`{0}` names no path")]
    NoPath(String),
    /// A value of `--blobs-from` is no host.
    #[error("`{0}` is no host to fetch blobs from")]
    BlobHost(String),
    /// A directory is no image layout.
    #[error("`{}` is not an OCI image layout: {reason}", path.display())]
    NotALayout {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// An archive cannot be read.
    #[error("cannot read `{}`: {reason}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// A layout or an archive does not have the image.
    #[error("`{}` has no image `{wanted}`", path.display())]
    Absent {
        /// The layout or the archive.
        path: PathBuf,
        /// The image.
        wanted: String,
        /// The images that it has.
        names: Vec<String>,
    },
    /// A layout or an archive has several images, and none was named.
    #[error("`{shown}` has {count} images; one has to be named")]
    Several {
        /// The base as it was typed.
        shown: String,
        /// How many images there are.
        count: usize,
        /// Their names.
        names: Vec<String>,
    },
    /// A document of a layout cannot be read.
    #[error("document {digest} in `{}` is not valid", path.display())]
    Document {
        /// The layout.
        path: PathBuf,
        /// The document.
        digest: Digest,
        /// What is wrong with it.
        source: DocumentError,
    },
    /// A layout lacks a blob.
    #[error("blob {digest} is missing from `{}`", path.display())]
    MissingBlob {
        /// The layout.
        path: PathBuf,
        /// The blob.
        digest: Digest,
    },
    /// A blob of a layout has another size than its descriptor says.
    #[error("blob {digest} has {} in `{}`, its descriptor says {expected}", counted(*found, "byte"), path.display())]
    BlobSize {
        /// The layout.
        path: PathBuf,
        /// The blob.
        digest: Digest,
        /// The size of the descriptor.
        expected: u64,
        /// The size of the file.
        found: u64,
    },
    /// A blob of a layout has another digest than its name.
    #[error("blob {expected} is damaged in `{}`: it hashes to {found}", path.display())]
    BlobDigest {
        /// The layout.
        path: PathBuf,
        /// The blob.
        expected: Digest,
        /// The digest of its content.
        found: Digest,
    },
}

impl From<ConnectError> for BaseImageError {
    fn from(error: ConnectError) -> Self {
        Self::Connect(Box::new(error))
    }
}

/// What it takes to find bases.
pub(crate) struct Bases<'a> {
    pub(crate) session: Session<'a>,
    pub(crate) store: &'a ImageStore,
    pub(crate) store_flag: Option<&'a Path>,
    /// Held until the image is built: nothing of the base may be pruned meanwhile.
    pub(crate) lease: &'a Lease,
    pub(crate) connection: &'a Connection<'a>,
    /// The values of `--blobs-from`.
    pub(crate) blobs_from: &'a [String],
    /// The value of `--from-creds`.
    pub(crate) creds: Option<&'a str>,
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: RetryPolicy,
    pub(crate) rates: RateLimits,
    pub(crate) progress: std::sync::Arc<dyn Progress>,
    /// Whether the registry is asked although the store has the image.
    pub(crate) pull: bool,
}

impl Bases<'_> {
    /// The image for `platform` that `text` stands for, whole in the store; none for `scratch`.
    pub(crate) fn find(&self, text: &str, platform: &Platform) -> Result<Option<Base>, BaseImageError> {
        let base = match Place::of(text) {
            _ if text == SCRATCH => return Ok(None),
            Place::Layout(path, name) => self.layout(text, &self.path(text, path)?, name, platform)?,
            Place::Archive(path, name) => self.archive(text, &self.path(text, path)?, name, platform)?,
            Place::Registry(name) => self.pulled(&name.parse::<Reference>()?, platform, true)?,
            Place::Anywhere(text) => self.anywhere(text, platform)?,
        };
        self.session.console.detail(&format!(
            "base {text} is {} ({})",
            base.digest,
            counted(base.layers.len(), "layer")
        ));
        let found = base.config.platform();
        if found.normalised().architecture != platform.normalised().architecture {
            self.session.console.warn(&format!(
                "base {text} has no image for {platform}; the one for {found}, which runs there, is taken"
            ));
        }
        Ok(Some(base))
    }

    fn path(&self, text: &str, path: &str) -> Result<PathBuf, BaseImageError> {
        if path.is_empty() {
            return Err(BaseImageError::NoPath(text.to_owned()));
        }
        Ok(self.session.surroundings.absolute(Path::new(path)))
    }

    fn read(
        &self,
        shown: &str,
        name: Option<Reference>,
        found: &Descriptor,
        platform: &Platform,
    ) -> Result<Base, BaseError> {
        Base::read(self.store, (shown, name), found, platform)
    }

    /// The store's, unless it is not there or for other platforms only; then the registry's.
    fn anywhere(&self, text: &str, platform: &Platform) -> Result<Base, BaseImageError> {
        let reference = text.parse::<Reference>();
        let at_registry = reference.as_ref().is_ok_and(|reference| reference.registry().is_some());
        if self.pull
            && let Ok(reference) = &reference
        {
            return self.pulled(reference, platform, true);
        }
        let selection = match self.store.resolve(text) {
            Ok(selection) => selection,
            Err(error @ StoreError::NotFound { .. }) => {
                let Ok(reference) = reference else { return Err(error.into()) };
                return self.pulled(&reference, platform, true);
            }
            Err(error) => return Err(error.into()),
        };
        let names = selection.entries.iter().filter_map(|entry| entry.name.as_deref()?.parse::<Reference>().ok());
        let name = if selection.by_id { names.min() } else { reference.clone().ok().map(Reference::with_default_tag) };
        match (self.read(text, name, &selection.descriptor, platform), reference) {
            (Err(BaseError::Store(StoreError::Platform { .. })), Ok(reference)) if at_registry && !selection.by_id => {
                // The registry may have the platform that the stored image lacks.
                self.pulled(&reference, platform, false)
            }
            (read, _) => Ok(read?),
        }
    }

    /// Pulls what the store lacks, and keeps the image under the name that was typed if it is `named`.
    fn pulled(&self, asked: &Reference, platform: &Platform, named: bool) -> Result<Base, BaseImageError> {
        let name = asked.clone().with_default_tag();
        let located =
            self.connection.locate(asked.clone(), self.store_flag).map_err(|source| BaseImageError::NotLocated {
                name: Box::new(name.clone()),
                asked: Box::new(asked.clone()),
                source: Box::new(source),
            })?;
        let target = self.connection.base(located.with_default_tag(), self.creds)?;
        let reference = target.reference.clone();
        let config = PullConfig {
            reference: target.reference,
            policy: target.policy,
            elsewhere: self.connection.elsewhere()?,
            credential: target.credential,
            platform: Some(platform.clone()),
            // Reading the base reports a platform that does not fit.
            must_fit: false,
            name: named.then(|| name.clone()),
            created: Some(now()),
            jobs: JOBS,
            timeouts: self.timeouts,
            retry: self.retry,
            rates: self.rates,
            proxies: proxies(self.session),
            blob_hosts: BlobHosts::parse(self.blobs_from).map_err(BaseImageError::BlobHost)?,
            verify: false,
        };
        let progress = std::sync::Arc::clone(&self.progress);
        let outcome = self.session.console.block_on(pull(
            config,
            self.store,
            progress,
            &self.session.surroundings.interrupt,
        ))??;
        self.connection.print_expiry(&reference, outcome.certificate.as_ref());
        let text = name.to_string();
        Ok(self.read(&text, Some(name), &outcome.descriptor, platform)?)
    }

    fn layout(
        &self,
        shown: &str,
        path: &Path,
        name: Option<&str>,
        platform: &Platform,
    ) -> Result<Base, BaseImageError> {
        let unreadable = |reason| BaseImageError::NotALayout { path: path.to_owned(), reason };
        // Opening makes a layout where there is none.
        std::fs::metadata(path.join("oci-layout")).map_err(unreadable)?;
        let from = ImageStore::open(path)?;
        let entries = from.entries()?;
        let damaged = |error| in_layout(path, error);
        let found = match name {
            Some(name) => match entries.iter().find(|entry| entry.name.as_deref() == Some(name)) {
                Some(entry) => entry.clone(),
                None => match from.resolve(name) {
                    Err(StoreError::NotFound { known, .. }) => return Err(absent(path, name, known)),
                    found => found.map_err(damaged)?.entries.remove(0),
                },
            },
            None => only(shown, images_of(&from, entries), |entry| {
                Some(entry.name.clone().unwrap_or_else(|| entry.descriptor.digest.short()))
            })?,
        };
        let image = from.manifest(shown, &found.descriptor, Some(platform)).map_err(damaged)?;
        Base::check_kind(shown, &image.1)?;
        self.session
            .console
            .run_blocking::<_, BaseImageError>(|_| self.store.copy_image(self.lease, &from, &image).map_err(damaged))?;
        // A layout's names are often tags alone, which say nothing elsewhere.
        let name = found.name.and_then(|name| name.parse::<Reference>().ok()).filter(|name| name.tag().is_some());
        Ok(self.read(shown, name, &image.0.descriptor, platform)?)
    }

    fn archive(
        &self,
        shown: &str,
        path: &Path,
        name: Option<&str>,
        platform: &Platform,
    ) -> Result<Base, BaseImageError> {
        let file =
            File::open(path).map_err(|source| BaseImageError::Archive { path: path.to_owned(), reason: source })?;
        let reader = BufReader::with_capacity(1 << 20, file);
        let progress = self.progress.as_ref();
        let images = self.session.console.run_blocking::<_, BaseImageError>(|interrupt| {
            Ok(unpack(self.store, self.lease, reader, progress, interrupt)?.images)
        })?;
        let wanted = name.map(|name| name.parse::<Reference>().map(Reference::with_default_tag)).transpose()?;
        let found = if let Some(wanted) = wanted {
            let names = images.iter().flat_map(|image| image.names.iter().map(ToString::to_string)).collect::<Vec<_>>();
            let name = |image: &Found| image.names.iter().find(|name| is_same(name, &wanted)).cloned();
            images
                .into_iter()
                .find_map(|image| name(&image).map(|name| (image, Some(name))))
                .ok_or_else(|| absent(path, &wanted.to_string(), names))?
        } else {
            let image = only(shown, images, |image: &Found| image.names.first().map(ToString::to_string))?;
            let name = image.names.first().cloned();
            (image, name)
        };
        let (image, name) = found;
        Ok(self.read(shown, name, &image.document.descriptor, platform)?)
    }
}

/// The entries that may be meant where none is named: the images or, where there are none, whatever there is.
fn images_of(from: &ImageStore, entries: Vec<Entry>) -> Vec<Entry> {
    let is_image = |entry: &&Entry| !from.is_leaf(&entry.descriptor);
    let images: Vec<Entry> = entries.iter().filter(is_image).cloned().collect();
    if images.is_empty() { entries } else { images }
}

/// Whether both are one name for Docker, which leaves its own registry unsaid.
fn is_same(one: &Reference, other: &Reference) -> bool {
    let short = |name: &Reference| {
        let text = name.to_string();
        let short = text.strip_prefix("docker.io/").unwrap_or(&text);
        short.strip_prefix("library/").unwrap_or(short).to_owned()
    };
    short(one) == short(other)
}

/// An image that a layout or an archive does not have.
fn absent(path: &Path, wanted: &str, names: Vec<String>) -> BaseImageError {
    BaseImageError::Absent { path: path.to_owned(), wanted: crate::image::shown(wanted), names }
}

/// Returns an error that names the image layout instead of the local store.
fn in_layout(path: &Path, error: StoreError) -> BaseImageError {
    let path = path.to_owned();
    match error {
        StoreError::Document { digest, source } => BaseImageError::Document { path, digest, source },
        StoreError::MissingBlob(digest) => BaseImageError::MissingBlob { path, digest },
        StoreError::BlobSize { digest, expected, found } => BaseImageError::BlobSize { path, digest, expected, found },
        StoreError::BlobDigest { expected, found } => BaseImageError::BlobDigest { path, expected, found },
        error => error.into(),
    }
}

/// The one image of a place that was named without an image.
fn only<T>(shown: &str, mut images: Vec<T>, name: impl Fn(&T) -> Option<String>) -> Result<T, BaseImageError> {
    if images.len() == 1 {
        return Ok(images.remove(0));
    }
    let names = images.iter().filter_map(name).collect();
    Err(BaseImageError::Several { shown: shown.to_owned(), count: images.len(), names })
}

#[cfg(test)]
mod tests;
