//! Maps entries of the store to repositories and tags, and pushes to names of the store.
//!
//! `app:v1` is repository `app`. `localhost:5000/app:v1` is repository `app` for clients that
//! address this server as `localhost:5000`. If a name with its registry is itself a valid repository, it is served
//! under it too: a push to repository `localhost/app` is kept as `localhost/app:v1`. An entry without a
//! name belongs to the repository that keeps it by its digest.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::{Descriptor, Digest, Reference};
use crate::store::Entry;

/// A repository from a client's point of view.
#[derive(Debug, Default)]
pub(super) struct Repository<'a> {
    /// The images that its tags point at.
    pub(super) tags: BTreeMap<String, &'a Entry>,
    /// All of its entries; several may have the same tag, or none.
    entries: Vec<(Option<String>, &'a Entry)>,
}

impl<'a> Repository<'a> {
    /// Returns the repository `name` for a client that addressed this server as `host`; `None` when nothing is in it.
    pub(super) fn find(entries: &'a [Entry], name: &str, host: Option<&str>) -> Option<Self> {
        let mut found = Self::default();
        let mut ours = Vec::new();
        for entry in entries {
            // Each entry counts once, under the first of its names.
            match served(entry, host).into_iter().find(|served| served.repository == name) {
                Some(Served { tag, by_host: false, .. }) => found.entries.push((tag, entry)),
                Some(Served { tag, by_host: true, .. }) => ours.push((tag, entry)),
                None => {}
            }
        }
        // A name that was pushed here takes precedence over one with this host as its registry.
        found.entries.append(&mut ours);
        for (tag, entry) in &found.entries {
            if let Some(tag) = tag {
                found.tags.entry(tag.clone()).or_insert(entry);
            }
        }
        (!found.entries.is_empty()).then_some(found)
    }

    /// Returns the image that each entry points at.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = &'a Descriptor> {
        self.entries.iter().map(|(_, entry)| &entry.descriptor)
    }

    /// Returns all entries that `tag` might be served from.
    pub(super) fn tagged(&self, tag: &str) -> Vec<Entry> {
        self.select(|has, _| has == Some(tag))
    }

    /// Returns all entries of the manifest `digest`.
    pub(super) fn holding(&self, digest: Digest) -> Vec<Entry> {
        self.select(|_, entry| entry.descriptor.digest == digest)
    }

    fn select(&self, wanted: impl Fn(Option<&str>, &Entry) -> bool) -> Vec<Entry> {
        let fits = |(tag, entry): &&(Option<String>, &Entry)| wanted(tag.as_deref(), entry);
        self.entries.iter().filter(fits).map(|(_, entry)| (*entry).clone()).collect()
    }
}

/// Returns the repositories there are for a client that addressed this server as `host`, sorted.
pub(super) fn catalog(entries: &[Entry], host: Option<&str>) -> Vec<String> {
    let names: BTreeSet<String> =
        entries.iter().flat_map(|entry| served(entry, host)).map(|served| served.repository).collect();
    names.into_iter().collect()
}

/// Returns the name a pushed tag is kept under.
pub(super) fn stored(repository: &str, tag: &str) -> Result<Reference, crate::image::ReferenceError> {
    Reference::from_parts(None, repository, Some(tag))
}

struct Served {
    repository: String,
    tag: Option<String>,
    by_host: bool,
}

fn served(entry: &Entry, host: Option<&str>) -> Vec<Served> {
    if let (None, Some(repository)) = (&entry.name, &entry.repository) {
        // An entry that is kept by digest. Another tool may have written the name, so it is checked.
        let valid = Reference::from_parts(None, repository, None).is_ok();
        let kept = Served { repository: repository.clone(), tag: None, by_host: false };
        return if valid { vec![kept] } else { Vec::new() };
    }
    let Some(Ok(reference)) = entry.name.as_deref().map(str::parse::<Reference>) else { return Vec::new() };
    let reference = reference.with_default_tag();
    let tag = || reference.tag().map(str::to_owned);
    let mut names = Vec::new();
    let full = reference.name();
    if Reference::from_parts(None, &full, None).is_ok() {
        names.push(Served { repository: full, tag: tag(), by_host: false });
    }
    if let (Some(registry), Some(host)) = (reference.registry(), host)
        && registry.eq_ignore_ascii_case(host)
    {
        names.push(Served { repository: reference.repository().to_owned(), tag: tag(), by_host: true });
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::media_type;

    fn entries(names: &[&str]) -> Vec<Entry> {
        let entry = |name: &&str| Entry {
            name: (!name.is_empty()).then(|| (*name).to_owned()),
            created: None,
            repository: None,
            descriptor: Descriptor::of(media_type::IMAGE_MANIFEST, name.as_bytes()),
        };
        names.iter().map(entry).collect()
    }

    #[test]
    fn the_catalog_depends_on_what_we_are_called() {
        let all =
            entries(&["app:v1", "team/app:v2", "localhost:5000/own:v1", "r.example/x/y:1", "UPPER is no name", ""]);
        assert_eq!(catalog(&all, None), ["app", "r.example/x/y", "team/app"]);
        assert_eq!(catalog(&all, Some("LOCALHOST:5000")), ["app", "own", "r.example/x/y", "team/app"]);
        assert_eq!(catalog(&all, Some("r.example")), ["app", "r.example/x/y", "team/app", "x/y"]);
    }

    #[test]
    fn a_pushed_name_wins_over_one_with_our_address() {
        let all = entries(&["localhost:5000/app:v1", "app:v1", "localhost:5000/app:v2", "app"]);
        let repository = Repository::find(&all, "app", Some("localhost:5000")).expect("there");
        assert_eq!(repository.tags.keys().collect::<Vec<_>>(), ["latest", "v1", "v2"]);
        assert_eq!(repository.tags["v1"].name.as_deref(), Some("app:v1"));
        assert_eq!(repository.tagged("v1").len(), 2);
        assert_eq!(repository.holding(all[2].descriptor.digest), [all[2].clone()]);
        assert!(Repository::find(&all, "app/x", Some("localhost:5000")).is_none());
        assert_eq!(Repository::find(&all, "app", None).expect("there").tags.len(), 2);
    }

    #[test]
    fn whatever_is_pushed_is_served_under_the_same_name() {
        for (repository, tag) in
            [("app", "v1"), ("localhost/app", "v1"), ("r.example/team/app", "x"), ("a/b/c", "latest")]
        {
            let name = stored(repository, tag).expect("a name").to_string();
            let all = entries(&[&name]);
            let found = Repository::find(&all, repository, Some("127.0.0.1:5000")).expect(repository);
            assert!(found.tags.contains_key(tag), "{name}");
        }
    }

    #[test]
    fn what_is_kept_by_digest_belongs_to_its_repository_and_has_no_tag() {
        let mut all = entries(&["", "", "app:v1"]);
        all[0].repository = Some("app".to_owned());
        all[1].repository = Some("../app".to_owned());
        assert_eq!(catalog(&all, None), ["app"]);
        let found = Repository::find(&all, "app", None).expect("there");
        assert_eq!(found.tags.keys().collect::<Vec<_>>(), ["v1"]);
        assert_eq!(found.holding(all[0].descriptor.digest), [all[0].clone()]);
        assert_eq!(found.tagged("v1"), [all[2].clone()]);
    }

    #[test]
    fn a_pinned_name_has_no_tag() {
        let name = format!("app@{}", Digest::of(b""));
        let all = entries(&[&name]);
        let found = Repository::find(&all, "app", None).expect("there");
        assert!(found.tags.is_empty());
        assert_eq!(found.descriptors().count(), 1);
    }
}
