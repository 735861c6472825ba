//! `index.json`: names and the manifests that they point at, replaced atomically under a lock.

use std::collections::{BTreeMap, BTreeSet};

use super::names::{INDEX, INDEX_LOCK, MAX_INDEX_BYTES};
use super::{Entry, ImageStore, Lease, StoreError, kept};
use crate::fs::{self, FileLock, Hold};
use crate::image::{Content, Descriptor, Digest, Document, Index, Reference, annotation, media_type, strict};

/// A document with its new names.
type Named<'a> = (&'a Document, &'a [Reference]);

/// The entries that were removed.
type Removed = Result<Vec<Entry>, StoreError>;

impl ImageStore {
    pub(super) fn lock_index(&self) -> Result<FileLock, StoreError> {
        self.lock(INDEX_LOCK, Hold::Exclusive)
    }

    /// Writes an empty index unless there is one.
    pub(super) fn create_index(&self, lock: &FileLock) -> Result<(), StoreError> {
        if self.layout.root.has(INDEX) {
            return Ok(());
        }
        self.write_index(lock, &Index::default())
    }

    pub(super) fn read_index(&self) -> Result<Index, StoreError> {
        let bytes = self.layout.root.read_regular(INDEX, MAX_INDEX_BYTES);
        let bytes = bytes.map_err(|source| StoreError::io("read", &self.path(INDEX), source))?;
        strict::from_slice(&bytes).map_err(|source| StoreError::Json { path: self.path(INDEX), source })
    }

    /// Removes partially written indexes of killed processes, on a best-effort basis.
    ///
    /// The lock shows that no process is writing one.
    pub(super) fn sweep_half_written(&self, _lock: &FileLock) {
        let root = &self.layout.root;
        for found in root.names().unwrap_or_default() {
            if found.name.as_encoded_bytes().starts_with(fs::TEMPORARY_PREFIX.as_bytes()) {
                let _ = root.remove_file(&found.name);
            }
        }
    }

    pub(super) fn write_index(&self, lock: &FileLock, index: &Index) -> Result<(), StoreError> {
        let root = &self.layout.root;
        self.sweep_half_written(lock);
        let bytes = serde_json::to_vec(index).expect("an index has only string keys");
        if bytes.len() as u64 > MAX_INDEX_BYTES {
            return Err(StoreError::IndexSize { path: self.path(INDEX), size: bytes.len() as u64 });
        }
        root.replace_file(INDEX, &bytes).map_err(|source| StoreError::io("write", &self.path(INDEX), source))
    }

    /// Reads, changes and replaces the index under its lock; `None` leaves it unchanged.
    pub(super) fn change_index<T>(
        &self,
        change: impl FnOnce(&mut Index) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let lock = self.lock_index()?;
        let mut index = self.read_index()?;
        let changed = change(&mut index)?;
        if changed.is_some() {
            self.write_index(&lock, &index)?;
        }
        Ok(changed)
    }

    /// Returns all entries, in the index's order.
    pub fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        Ok(self.read_index()?.manifests.iter().map(Entry::from_descriptor).collect())
    }

    /// Points `names` at one stored document, as [`Self::publish_all`] does.
    pub fn publish(
        &self,
        lease: &Lease,
        document: &Document,
        names: &[Reference],
        created: Option<&str>,
    ) -> Result<Vec<Digest>, StoreError> {
        self.publish_all(lease, &[(document, names)], created)
    }

    /// Publishes as [`Self::publish_all`] does, together with entries that are not documents.
    pub fn publish_with_leaves(
        &self,
        lease: &Lease,
        images: &[(&Document, &[Reference])],
        leaves: &[(&Descriptor, &[Reference])],
        created: Option<&str>,
    ) -> Result<Vec<Digest>, StoreError> {
        for (leaf, _) in leaves {
            self.check_blob(leaf)?;
        }
        let leaves = leaves.iter().map(|(leaf, names)| (kept::bare(leaf), *names)).collect();
        self.publish_kept(lease, (images, leaves), created, None)
    }

    /// Points names at stored documents, in one atomic change; names move from the images that had them.
    ///
    /// A document without a name is kept by its digest. `created` is the RFC 3339 wall-clock time, kept in the index
    /// only; a name that already points at the document keeps its time. Returns the digests of images that lost their
    /// last name and are in no named index.
    ///
    /// # Errors
    ///
    /// Fails, and changes nothing, unless every blob that the documents need is stored.
    pub fn publish_all(
        &self,
        lease: &Lease,
        images: &[(&Document, &[Reference])],
        created: Option<&str>,
    ) -> Result<Vec<Digest>, StoreError> {
        self.publish_kept(lease, (images, Vec::new()), created, None)
    }

    pub(super) fn publish_kept(
        &self,
        lease: &Lease,
        (images, leaves): (&[Named<'_>], Vec<(Descriptor, &[Reference])>),
        created: Option<&str>,
        repository: Option<&str>,
    ) -> Result<Vec<Digest>, StoreError> {
        for (document, _) in images {
            self.check_blob(&document.descriptor)?;
            let is_leaf = |child: &Descriptor| !media_type::is_document(&child.media_type);
            let is_index = matches!(document.content, Content::Index(_));
            for descriptor in document.references() {
                match self.check_blob(descriptor) {
                    Err(StoreError::MissingBlob(_)) if is_index && is_leaf(descriptor) => {}
                    checked => checked?,
                }
            }
        }
        self.check_documents(images.iter().map(|(document, _)| *document))?;
        let mut targets = leaves;
        targets.extend(images.iter().map(|(document, names)| (kept::bare(&document.descriptor), *names)));
        let orphans = self.point(&targets, created, repository)?;
        for (document, _) in images {
            self.note_published(lease, document);
        }
        Ok(orphans)
    }

    /// Points further names at a stored image.
    ///
    /// The lease has to be older than `source`: it keeps the image from being removed and pruned meanwhile.
    pub fn tag(
        &self,
        _lease: &Lease,
        source: &Descriptor,
        names: &[Reference],
        created: Option<&str>,
    ) -> Result<Vec<Digest>, StoreError> {
        self.check_blob(source)?;
        self.point(&[(kept::bare(source), names)], created, None)
    }

    fn point(
        &self,
        targets: &[(Descriptor, &[Reference])],
        created: Option<&str>,
        repository: Option<&str>,
    ) -> Result<Vec<Digest>, StoreError> {
        let orphans = self.change_index(|index| {
            if targets.iter().all(|(target, names)| stands(index, target, names, repository)) {
                return Ok(None);
            }
            let before: BTreeSet<Digest> = index.manifests.iter().map(|entry| entry.digest).collect();
            for (target, names) in targets {
                point(index, target, names, created, repository);
            }
            let after: BTreeSet<Digest> = index.manifests.iter().map(|entry| entry.digest).collect();
            Ok(Some(before.difference(&after).copied().collect::<Vec<_>>()))
        })?;
        let mut orphans = orphans.unwrap_or_default();
        if !orphans.is_empty() {
            // If a document cannot be read, pruning reports that and removes nothing.
            let held = self.reachable();
            orphans.retain(|orphan| held.as_ref().is_ok_and(|held| !held.contains(orphan)));
        }
        Ok(orphans)
    }

    /// Removes the entries equal to `doomed` and returns those that existed. Blobs stay.
    ///
    /// On a full disk, the new index may not fit beside the old one. Then blobs that no entry reaches are removed
    /// first, and if that is not enough, blobs that only the doomed entries reach.
    pub fn remove(&self, doomed: &[Entry]) -> Result<Vec<Entry>, StoreError> {
        self.remove_making_room(doomed, &mut |doomed| self.remove_entries(doomed))
    }

    /// Runs `attempt`, and repeats it after each way of making room if the disk is full.
    pub(super) fn remove_making_room(&self, doomed: &[Entry], attempt: &mut dyn FnMut(&[Entry]) -> Removed) -> Removed {
        let mut removed = attempt(doomed);
        for goes in [&[][..], doomed] {
            let full = removed.as_ref().is_err_and(StoreError::is_out_of_space);
            // If another process uses the store, the first error is more useful than a lock error.
            if !full || !self.make_room(goes) {
                break;
            }
            removed = attempt(doomed);
        }
        removed
    }

    pub(super) fn remove_entries(&self, doomed: &[Entry]) -> Result<Vec<Entry>, StoreError> {
        let removed = self.change_index(|index| {
            let (mut removed, mut kept) = (Vec::new(), Vec::new());
            for descriptor in index.manifests.drain(..) {
                let entry = Entry::from_descriptor(&descriptor);
                if doomed.iter().any(|other| other.is(&entry)) {
                    removed.push(entry);
                } else {
                    kept.push(descriptor);
                }
            }
            index.manifests = kept;
            Ok((!removed.is_empty()).then_some(removed))
        })?;
        Ok(removed.unwrap_or_default())
    }
}

/// Returns whether an entry of the index is one of `doomed`.
pub(super) fn is_among(doomed: &[Entry], descriptor: &Descriptor) -> bool {
    let entry = Entry::from_descriptor(descriptor);
    doomed.iter().any(|other| other.is(&entry))
}

/// Returns whether `names` already point at `target`, so that only their time would change.
fn stands(index: &Index, target: &Descriptor, names: &[Reference], repository: Option<&str>) -> bool {
    let keys = [annotation::REF_NAME, annotation::CREATED, annotation::REPOSITORY];
    let is_kept = |entry: &Descriptor| repository.is_none() || kept::repository(entry) == repository;
    let ours = |entry: &Descriptor| {
        let annotations = entry.annotations.iter().flat_map(BTreeMap::keys);
        Descriptor { annotations: None, ..entry.clone() } == *target
            && annotations.into_iter().all(|key| keys.contains(&key.as_str()))
            && is_kept(entry)
    };
    if names.is_empty() {
        return repository.is_some()
            && index.manifests.iter().any(|entry| entry.digest == target.digest && is_kept(entry));
    }
    let wanted: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
    let mut found = BTreeSet::new();
    for entry in &index.manifests {
        match kept::name(entry) {
            None if is_superfluous(entry, target, repository) => return false,
            Some(name) if wanted.contains(name) && !(ours(entry) && found.insert(name)) => return false,
            _ => {}
        }
    }
    found.len() == wanted.len()
}

/// Returns whether an entry without a name says nothing that an entry with a name, of `target` and kept in
/// `repository`, does not say.
fn is_superfluous(entry: &Descriptor, target: &Descriptor, repository: Option<&str>) -> bool {
    let kept_in = kept::repository(entry);
    kept::name(entry).is_none() && entry.digest == target.digest && (kept_in.is_none() || kept_in == repository)
}

fn point(index: &mut Index, target: &Descriptor, names: &[Reference], created: Option<&str>, repository: Option<&str>) {
    let created = created.map(|created| (annotation::CREATED.to_owned(), created.to_owned()));
    if names.is_empty() {
        let annotations = created.map(|pair| BTreeMap::from([pair]));
        let entry = Descriptor { annotations, ..target.clone() };
        match repository {
            Some(repository) => kept::add(index, &entry, repository),
            // An entry without a name keeps the image from being pruned.
            None if index.manifests.iter().all(|entry| entry.digest != target.digest) => index.manifests.push(entry),
            None => {}
        }
        return;
    }
    let new: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
    let mut moved = Vec::new();
    index.manifests.retain(|entry| match kept::name(entry) {
        Some(name) if new.contains(name) => {
            moved.push(entry.clone());
            false
        }
        Some(_) => true,
        None => !is_superfluous(entry, target, repository),
    });
    let same = moved.iter().filter(|entry| entry.digest == target.digest);
    let before: BTreeMap<&str, &str> =
        same.filter_map(|entry| Some((kept::name(entry)?, kept::repository(entry)?))).collect();
    for name in names.iter().map(ToString::to_string) {
        let repository = repository.or_else(|| before.get(name.as_str()).copied());
        let mut annotations = BTreeMap::from([(annotation::REF_NAME.to_owned(), name)]);
        annotations.extend(created.clone());
        annotations.extend(repository.map(|repository| (annotation::REPOSITORY.to_owned(), repository.to_owned())));
        index.manifests.push(Descriptor { annotations: Some(annotations), ..target.clone() });
    }
    for entry in moved.iter().filter(|entry| entry.digest != target.digest) {
        if let Some(repository) = kept::repository(entry) {
            kept::add(index, entry, repository);
        }
    }
}
