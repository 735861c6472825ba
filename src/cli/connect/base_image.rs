//! Base images: from what was typed to an image in the local store.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::app::connect::{Connection, proxies};
use crate::app::now;
use crate::cli::args::registry::BlobHostArgs;
use crate::cli::args::transfer::TransferArgs;
use crate::cli::failure::advice::conversion;
use crate::cli::failure::{Failure, Kind};
use crate::cli::terminal::Ui;
use crate::image::{Descriptor, Digest, DocumentError, Platform, Reference};
use crate::ops::archive::{Found, unpack};
use crate::ops::build::{Base, BaseError};
use crate::ops::pull::{PullConfig, pull};
use crate::progress::Progress;
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

/// What it takes to find bases.
pub(crate) struct Bases<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) store: &'a ImageStore,
    pub(crate) store_flag: Option<&'a Path>,
    /// Held until the image is built: nothing of the base may be pruned meanwhile.
    pub(crate) lease: &'a Lease,
    pub(crate) connection: &'a Connection<'a>,
    pub(crate) blobs: &'a BlobHostArgs,
    /// The value of `--from-creds`.
    pub(crate) creds: Option<&'a str>,
    pub(crate) transfer: &'a TransferArgs,
    pub(crate) progress: std::sync::Arc<dyn Progress>,
    /// Whether the registry is asked although the store has the image.
    pub(crate) pull: bool,
}

impl Bases<'_> {
    /// The image for `platform` that `text` stands for, whole in the store; none for `scratch`.
    pub(crate) fn find(&self, text: &str, platform: &Platform) -> Result<Option<Base>, Failure> {
        let base = match Place::of(text) {
            _ if text == SCRATCH => return Ok(None),
            Place::Layout(path, name) => self.layout(text, &self.path(text, path)?, name, platform)?,
            Place::Archive(path, name) => self.archive(text, &self.path(text, path)?, name, platform)?,
            Place::Registry(name) => self.pulled(&name.parse::<Reference>()?, platform, true)?,
            Place::Anywhere(text) => self.anywhere(text, platform)?,
        };
        self.ui.detail(&format!("base {text} is {} ({})", base.digest, counted(base.layers.len(), "layer")));
        let found = base.config.platform();
        if found.normalised().architecture != platform.normalised().architecture {
            self.ui.warn(&format!(
                "base {text} has no image for {platform}; the one for {found}, which runs there, is taken"
            ));
        }
        Ok(Some(base))
    }

    fn path(&self, text: &str, path: &str) -> Result<PathBuf, Failure> {
        if path.is_empty() {
            return Err(Failure::usage(format!("`{text}` names no path"))
                .hint("write oci:DIR[:NAME], oci-archive:FILE[:NAME] or docker-archive:FILE[:NAME]"));
        }
        Ok(self.ui.surroundings.absolute(Path::new(path)))
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
    fn anywhere(&self, text: &str, platform: &Platform) -> Result<Base, Failure> {
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
                // Whatever has the name, perhaps nobody else has.
                self.pulled(&reference, platform, false)
            }
            (read, _) => Ok(read?),
        }
    }

    /// Pulls what the store lacks, and keeps the image under the name that was typed if it is `named`.
    fn pulled(&self, asked: &Reference, platform: &Platform, named: bool) -> Result<Base, Failure> {
        let name = asked.clone().with_default_tag();
        let located = self.connection.locate(asked.clone(), self.store_flag).map_err(|error| {
            Failure::from(error).hint(format!(
                "the local store has no `{name}` either; an image of Docker Hub is written with its registry: \
                 docker.io/library/{asked}"
            ))
        })?;
        let target = self.connection.base(located.with_default_tag(), self.creds)?;
        let reference = target.reference.clone();
        let config = PullConfig {
            reference: target.reference,
            policy: target.policy,
            elsewhere: self.connection.elsewhere()?,
            credential: target.credential,
            platform: Some(platform.clone()),
            // What does not fit is told when the base is read.
            must_fit: false,
            name: named.then(|| name.clone()),
            created: Some(now()),
            jobs: JOBS,
            timeouts: self.transfer.timeouts(self.connection.timeouts()),
            retry: self.transfer.retry(),
            rates: self.transfer.rates(),
            proxies: proxies(self.ui.session()),
            blob_hosts: self.blobs.hosts()?,
            verify: false,
        };
        let progress = std::sync::Arc::clone(&self.progress);
        let outcome = self.ui.block_on(pull(config, self.store, progress, &self.ui.interrupt))??;
        self.connection.print_expiry(&reference, outcome.certificate.as_ref());
        let text = name.to_string();
        Ok(self.read(&text, Some(name), &outcome.descriptor, platform)?)
    }

    fn layout(&self, shown: &str, path: &Path, name: Option<&str>, platform: &Platform) -> Result<Base, Failure> {
        let unreadable = |reason: String| {
            Failure::new(Kind::Image, format!("`{}` is not an OCI image layout: {reason}", path.display()))
                .hint("an image layout is a directory with the files oci-layout and index.json")
        };
        // Opening makes a layout where there is none.
        std::fs::metadata(path.join("oci-layout")).map_err(|error| unreadable(error.to_string()))?;
        let from = ImageStore::open(path)?;
        let entries = from.entries()?;
        let damaged = |error| in_layout(path, error);
        let found = match name {
            Some(name) => match entries.iter().find(|entry| entry.name.as_deref() == Some(name)) {
                Some(entry) => entry.clone(),
                None => match from.resolve(name) {
                    Err(StoreError::NotFound { known, .. }) => return Err(absent(path, name, &known)),
                    found => found.map_err(damaged)?.entries.remove(0),
                },
            },
            None => only(shown, images_of(&from, entries), |entry| {
                Some(entry.name.clone().unwrap_or_else(|| entry.descriptor.digest.short()))
            })?,
        };
        let image = from.manifest(shown, &found.descriptor, Some(platform)).map_err(damaged)?;
        Base::check_kind(shown, &image.1)?;
        self.ui.run_blocking::<_, Failure>(|_| self.store.copy_image(self.lease, &from, &image).map_err(damaged))?;
        // A layout's names are often tags alone, which say nothing elsewhere.
        let name = found.name.and_then(|name| name.parse::<Reference>().ok()).filter(|name| name.tag().is_some());
        Ok(self.read(shown, name, &image.0.descriptor, platform)?)
    }

    fn archive(&self, shown: &str, path: &Path, name: Option<&str>, platform: &Platform) -> Result<Base, Failure> {
        let file = File::open(path)
            .map_err(|source| Failure::new(Kind::Image, format!("cannot read `{}`: {source}", path.display())))?;
        let reader = BufReader::with_capacity(1 << 20, file);
        let progress = self.progress.as_ref();
        let images = self.ui.run_blocking::<_, Failure>(|interrupt| {
            Ok(unpack(self.store, self.lease, reader, progress, interrupt)?.images)
        })?;
        let wanted = name.map(|name| name.parse::<Reference>().map(Reference::with_default_tag)).transpose()?;
        let found = if let Some(wanted) = wanted {
            let names = images.iter().flat_map(|image| image.names.iter().map(ToString::to_string)).collect::<Vec<_>>();
            let name = |image: &Found| image.names.iter().find(|name| is_same(name, &wanted)).cloned();
            images
                .into_iter()
                .find_map(|image| name(&image).map(|name| (image, Some(name))))
                .ok_or_else(|| absent(path, &wanted.to_string(), &names))?
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
fn absent(path: &Path, wanted: &str, names: &[String]) -> Failure {
    Failure::new(Kind::Image, format!("`{}` has no image `{}`", path.display(), crate::image::shown(wanted)))
        .hint(format!("it has {}", listed(names)))
}

/// A document of a layout that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("document {digest} in `{}` is not valid", path.display())]
struct DamagedDocument {
    path: PathBuf,
    digest: Digest,
    source: DocumentError,
}

/// What is wrong with an image layout is said of it, and not of the local store.
fn in_layout(path: &Path, error: StoreError) -> Failure {
    let place = path.display();
    let text = match error {
        StoreError::Document { digest, source } => {
            let hint = conversion(&source);
            let failure = Failure::new(Kind::Image, DamagedDocument { path: path.to_owned(), digest, source });
            return match hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            };
        }
        StoreError::MissingBlob(digest) => format!("blob {digest} is missing from `{place}`"),
        StoreError::BlobSize { digest, expected, found } => {
            format!("blob {digest} has {found} bytes in `{place}`, its descriptor says {expected}")
        }
        StoreError::BlobDigest { expected, found } => {
            format!("blob {expected} is damaged in `{place}`: it hashes to {found}")
        }
        error => return error.into(),
    };
    Failure::new(Kind::Image, text).hint(format!("write the image layout `{place}` again, from where it came"))
}

/// The one image of a place that was named without an image.
fn only<T>(shown: &str, mut images: Vec<T>, name: impl Fn(&T) -> Option<String>) -> Result<T, Failure> {
    if images.len() == 1 {
        return Ok(images.remove(0));
    }
    let failure = Failure::new(Kind::Image, format!("`{shown}` has {} images; one has to be named", images.len()));
    let names: Vec<String> = images.iter().filter_map(name).collect();
    Err(failure.hint(format!("add a colon and one of these: {}", listed(&names))))
}

fn listed(names: &[String]) -> String {
    const MAX: usize = 8;
    if names.is_empty() {
        return "(none)".to_owned();
    }
    names.iter().take(MAX).cloned().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_own_registry_goes_unsaid() {
        let same = |one: &str, other: &str| is_same(&one.parse().expect(one), &other.parse().expect(other));
        for (one, other) in [
            ("x/y:1", "docker.io/x/y:1"),
            ("y:1", "docker.io/library/y:1"),
            ("docker.io/y:1", "library/y:1"),
            ("y", "y"),
        ] {
            assert!(same(one, other) && same(other, one), "{one} {other}");
        }
        for (one, other) in [("x/y:1", "r.io/x/y:1"), ("x/y:1", "y:1"), ("y:1", "y:2"), ("r.io/library/y", "r.io/y")] {
            assert!(!same(one, other) && !same(other, one), "{one} {other}");
        }
    }

    #[test]
    fn the_beginning_says_where_a_base_is() {
        for (text, expected) in [
            ("oci:dir", Place::Layout("dir", None)),
            ("oci:/a/b:app:v1", Place::Layout("/a/b", Some("app:v1"))),
            ("oci:dir:", Place::Layout("dir", None)),
            ("oci-archive:a.tar:v1", Place::Archive("a.tar", Some("v1"))),
            ("docker-archive:a.tar", Place::Archive("a.tar", None)),
            ("docker://r.io/a:1", Place::Registry("r.io/a:1")),
            ("oci", Place::Anywhere("oci")),
            ("localhost:5000/a", Place::Anywhere("localhost:5000/a")),
            ("docker:24", Place::Anywhere("docker:24")),
        ] {
            assert_eq!(Place::of(text), expected, "{text}");
        }
    }
}
