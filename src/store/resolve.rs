//! From what a person typed to an entry of the store.

use super::{Entry, ImageStore, StoreError};
use crate::image::{Descriptor, Digest, Reference, shown};

/// The shortest id prefix accepted: shorter ones are typing errors more often than ids.
const MIN_ID_PREFIX: usize = 4;

/// How many names an error lists.
const MAX_SUGGESTIONS: usize = 8;

/// What a name or id stands for.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The manifest or index.
    pub descriptor: Descriptor,
    /// The entries meant: the named one, or all of the image when an id was given.
    pub entries: Vec<Entry>,
    /// Whether an id or digest was given and not a name.
    pub by_id: bool,
}

impl ImageStore {
    /// Finds an image by name (`latest` when it has no tag), by `name@digest`, by digest, or by a
    /// prefix of its manifest's or configuration's digest that fits one image only.
    pub fn resolve(&self, text: &str) -> Result<Selection, StoreError> {
        let entries = self.entries()?;
        if let Ok(reference) = text.parse::<Reference>() {
            let wanted = reference.clone().with_default_tag();
            let spellings = [wanted.to_string(), text.to_owned()];
            if let Some(entry) = entries.iter().find(|e| e.name.as_ref().is_some_and(|name| spellings.contains(name))) {
                return Ok(Selection {
                    descriptor: entry.descriptor.clone(),
                    entries: vec![entry.clone()],
                    by_id: false,
                });
            }
            if let Some(digest) = reference.digest() {
                let named = |entry: &&Entry| {
                    let name = entry.name.as_deref().and_then(|name| name.parse::<Reference>().ok());
                    entry.descriptor.digest == digest
                        && name.map(|name| name.name()).or_else(|| entry.repository.clone()) == Some(reference.name())
                };
                if let Some(entry) = entries.iter().find(named) {
                    return Ok(Selection {
                        descriptor: entry.descriptor.clone(),
                        entries: vec![entry.clone()],
                        by_id: true,
                    });
                }
            }
        }
        match self.by_id(text, &entries)? {
            Some(selection) => Ok(selection),
            None => Err(StoreError::NotFound { name: shown(text), known: suggestions(text, &entries) }),
        }
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
        let Some(first) = found.first() else { return Ok(None) };
        let images = found.iter().map(|entry| entry.descriptor.digest).collect::<std::collections::BTreeSet<_>>();
        if images.len() > 1 {
            return Err(StoreError::Ambiguous { prefix: text.to_owned(), count: images.len() });
        }
        Ok(Some(Selection {
            descriptor: first.descriptor.clone(),
            entries: found.into_iter().cloned().collect(),
            by_id: true,
        }))
    }
}

/// Names with the same last component first, then any.
fn suggestions(text: &str, entries: &[Entry]) -> Vec<String> {
    let stem = |name: &str| {
        let last = name.rsplit('/').next().unwrap_or(name);
        last.split([':', '@']).next().unwrap_or(last).to_owned()
    };
    let mut names: Vec<&String> = entries.iter().filter_map(|entry| entry.name.as_ref()).collect();
    names.sort_by_key(|name| (stem(name) != stem(text), (*name).clone()));
    names.into_iter().take(MAX_SUGGESTIONS).cloned().collect()
}
