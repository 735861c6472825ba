//! Resolves the text that a user typed to an entry of the store.

use std::collections::BTreeSet;

use super::{Entry, ImageStore, StoreError};
use crate::image::{Descriptor, Digest, Reference, reads_as_digest, shown};

/// The shortest accepted prefix of an id. Shorter ones are more often typing errors.
const MIN_ID_PREFIX: usize = 4;

/// How many names an error lists.
const MAX_SUGGESTIONS: usize = 8;

/// The image that a name or id selects.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The manifest or index.
    pub descriptor: Descriptor,
    /// The selected entries: the named one, or all entries of the image if the text is an id.
    pub entries: Vec<Entry>,
    /// Whether the text is an id or digest, not a name.
    pub by_id: bool,
}

impl Selection {
    fn of(entry: &Entry, by_id: bool) -> Self {
        Self { descriptor: entry.descriptor.clone(), entries: vec![entry.clone()], by_id }
    }
}

impl ImageStore {
    /// Finds an image by the text that a user typed. The first form that matches counts:
    ///
    /// 1. a whole digest, of a manifest, an index or a configuration;
    /// 2. a name exactly as it is in the store, also one that another tool wrote;
    /// 3. a reference, with the tag `latest` where it has neither tag nor digest;
    /// 4. `name@digest` of an image that the name was given to under any tag;
    /// 5. a name without its digest, where one image was kept under it with a digest;
    /// 6. the beginning of a digest that fits one image only.
    pub fn resolve(&self, text: &str) -> Result<Selection, StoreError> {
        let entries = self.entries()?;
        let not_found = || StoreError::NotFound { name: shown(text), known: suggestions(text, &entries) };
        if reads_as_digest(text) {
            return self.by_id(text, &entries)?.ok_or_else(not_found);
        }
        let is_named = |entry: &&Entry| !text.is_empty() && entry.name.as_deref() == Some(text);
        if let Some(entry) = entries.iter().find(is_named) {
            return Ok(Selection::of(entry, false));
        }
        if let Ok(reference) = text.parse::<Reference>()
            && let Some(selection) = by_reference(text, &reference, &entries)?
        {
            return Ok(selection);
        }
        self.by_id(text, &entries)?.ok_or_else(not_found)
    }

    /// Returns the entries of all images that an id or the beginning of one fits.
    pub fn entries_by_id(&self, text: &str) -> Result<Vec<Entry>, StoreError> {
        let entries = self.entries()?;
        Ok(self.fitting(text, &entries).into_iter().cloned().collect())
    }

    fn fitting<'a>(&self, text: &str, entries: &'a [Entry]) -> Vec<&'a Entry> {
        let prefix = text.strip_prefix("sha256:").unwrap_or(text);
        let is_hex = prefix.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !is_hex || !(MIN_ID_PREFIX..=64).contains(&prefix.len()) {
            return Vec::new();
        }
        let fits = |digest: Digest| digest.hex().starts_with(prefix);
        let config = |entry: &Entry| {
            let document = self.document(&entry.descriptor).ok()?;
            document.manifest().map(|manifest| manifest.config.digest)
        };
        let is_meant = |entry: &&Entry| fits(entry.descriptor.digest) || config(entry).is_some_and(fits);
        entries.iter().filter(is_meant).collect()
    }

    fn by_id(&self, text: &str, entries: &[Entry]) -> Result<Option<Selection>, StoreError> {
        let found = self.fitting(text, entries);
        let Some(first) = only(text, &found)? else { return Ok(None) };
        Ok(Some(Selection {
            entries: found.iter().map(|entry| (*entry).clone()).collect(),
            ..Selection::of(first, true)
        }))
    }
}

/// Finds the entry that a reference means by its name.
fn by_reference(text: &str, reference: &Reference, entries: &[Entry]) -> Result<Option<Selection>, StoreError> {
    let wanted = reference.clone().with_default_tag().to_string();
    if let Some(entry) = entries.iter().find(|entry| entry.name.as_ref() == Some(&wanted)) {
        return Ok(Some(Selection::of(entry, false)));
    }
    let parsed = |entry: &Entry| entry.name.as_deref().and_then(|name| name.parse::<Reference>().ok());
    if let Some(digest) = reference.digest() {
        let is_meant = |entry: &&Entry| {
            let name = parsed(entry).map(|name| name.name()).or_else(|| entry.repository.clone());
            entry.descriptor.digest == digest && name == Some(reference.name())
        };
        return Ok(entries.iter().find(is_meant).map(|entry| Selection::of(entry, true)));
    }
    // Kept as `name:tag@digest` or `name@digest`, and asked for as it is listed.
    let is_pinned = |entry: &&Entry| {
        parsed(entry).is_some_and(|name| {
            name.digest().is_some() && name.name() == reference.name() && name.tag() == reference.tag()
        })
    };
    let pinned: Vec<&Entry> = entries.iter().filter(is_pinned).collect();
    Ok(only(text, &pinned)?.map(|entry| Selection::of(entry, false)))
}

/// Returns the first of the entries, which have to be of one image.
fn only<'a>(text: &str, found: &[&'a Entry]) -> Result<Option<&'a Entry>, StoreError> {
    let images: BTreeSet<Digest> = found.iter().map(|entry| entry.descriptor.digest).collect();
    if images.len() > 1 {
        return Err(StoreError::Ambiguous { prefix: shown(text), count: images.len() });
    }
    Ok(found.first().copied())
}

/// Names with the same last component first, then any.
fn suggestions(text: &str, entries: &[Entry]) -> Vec<String> {
    let stem = |name: &str| {
        let last = name.rsplit('/').next().unwrap_or(name);
        last.split([':', '@']).next().unwrap_or(last).to_owned()
    };
    let mut names: Vec<&str> = entries.iter().filter_map(Entry::usable_name).collect();
    names.sort_by_key(|name| (stem(name) != stem(text), *name));
    names.into_iter().take(MAX_SUGGESTIONS).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
