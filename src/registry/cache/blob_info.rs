//! Remembers which repositories of a registry have which blobs: a mount can come from there.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::capabilities::{file_name, replace};
use crate::fs;
use crate::image::Digest;

/// Blobs that are kept, the newest first.
const MAX_PLACES: usize = 2000;
/// A file of ours is shorter.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A blob and a repository that has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    digest: Digest,
    repository: String,
}

#[derive(Serialize, Deserialize)]
struct File {
    host: String,
    places: Vec<Place>,
}

/// The places of one registry: those of earlier runs, which are read when they are first needed, and those of this run.
#[derive(Debug, Default)]
pub(in crate::registry) struct BlobInfoCache {
    path: Option<PathBuf>,
    host: String,
    earlier: Option<Vec<Place>>,
    seen: Vec<Place>,
    /// Those that turned out to be wrong.
    gone: Vec<Place>,
}

impl BlobInfoCache {
    pub(in crate::registry) fn new(state: Option<&Path>, host: &str) -> Self {
        let path = state.map(|state| state.join("cache/places").join(format!("{}.json", file_name(host))));
        Self { path, host: host.to_owned(), ..Self::default() }
    }

    /// Returns whether any repository had the blob, this one included.
    pub(in crate::registry) fn knows(&mut self, digest: Digest) -> bool {
        let (path, host) = (self.path.as_deref(), &self.host);
        let earlier = self.earlier.get_or_insert_with(|| read(path, host));
        let fits = |place: &Place| place.digest == digest && !self.gone.contains(place);
        self.seen.iter().chain(&*earlier).any(fits)
    }

    /// Returns a repository other than `repository` that had the blob.
    pub(in crate::registry) fn elsewhere(&mut self, repository: &str, digest: Digest) -> Option<String> {
        let (path, host) = (self.path.as_deref(), &self.host);
        let earlier = self.earlier.get_or_insert_with(|| read(path, host));
        let fits =
            |place: &&Place| place.digest == digest && place.repository != repository && !self.gone.contains(place);
        self.seen.iter().rev().chain(&*earlier).find(fits).map(|place| place.repository.clone())
    }

    /// Notes that a repository has a blob.
    pub(in crate::registry) fn add(&mut self, repository: &str, digest: Digest) {
        let place = Place { digest, repository: repository.to_owned() };
        self.gone.retain(|gone| *gone != place);
        if !self.seen.contains(&place) {
            self.seen.push(place);
        }
    }

    /// Notes that a repository does not have a blob.
    pub(in crate::registry) fn remove(&mut self, repository: &str, digest: Digest) {
        let place = Place { digest, repository: repository.to_owned() };
        self.seen.retain(|seen| *seen != place);
        self.gone.push(place);
    }

    /// Saves what is new. A failure costs a later push some bytes and is not reported.
    pub(in crate::registry) fn save(&mut self) {
        let Some(path) = self.path.as_deref() else { return };
        if self.seen.is_empty() && self.gone.is_empty() {
            return;
        }
        // Other processes may have written since.
        let earlier = read(Some(path), &self.host);
        if self.gone.is_empty() && self.seen.iter().all(|place| earlier.contains(place)) {
            return;
        }
        let mut places: Vec<Place> = self.seen.iter().rev().cloned().collect();
        let keep = |place: &Place| !self.seen.contains(place) && !self.gone.contains(place);
        places.extend(earlier.iter().filter(|place| keep(place)).cloned());
        places.truncate(MAX_PLACES);
        let text = serde_json::to_vec(&File { host: self.host.clone(), places }).expect("plain fields");
        let _ = fs::check_limit(&text, MAX_FILE_BYTES)
            .and_then(|()| fs::create_private_dir(fs::parent(path)))
            .and_then(|()| replace(path, &text));
    }
}

fn read(path: Option<&Path>, host: &str) -> Vec<Place> {
    let known = || -> Option<File> {
        let bytes = fs::read_regular(path?, MAX_FILE_BYTES, fs::Links::Follow).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    known().filter(|file| file.host == host).map_or_else(Vec::new, |file| file.places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_run_saw_the_next_one_knows() {
        let state = tempfile::tempdir().expect("a directory");
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let open = |host| BlobInfoCache::new(Some(state.path()), host);
        let mut first = open("reg:5000");
        first.add("team/app", a);
        assert_eq!(first.elsewhere("team/app", a), None);
        assert!(first.knows(a) && !first.knows(b));
        assert_eq!(first.elsewhere("team/other", a).as_deref(), Some("team/app"));
        first.save();
        let mut second = open("reg:5000");
        second.add("team/other", b);
        assert_eq!(second.elsewhere("team/new", a).as_deref(), Some("team/app"));
        assert_eq!(second.elsewhere("team/new", Digest::of(b"c")), None);
        assert!(second.knows(a));
        second.remove("team/app", a);
        assert!(!second.knows(a) && second.knows(b));
        assert_eq!(second.elsewhere("team/new", a), None);
        second.save();
        let mut third = open("reg:5000");
        assert_eq!(third.elsewhere("x", a), None);
        assert_eq!(third.elsewhere("x", b).as_deref(), Some("team/other"));
        assert_eq!(open("reg_5000").elsewhere("x", b), None);
    }

    #[test]
    fn the_oldest_are_forgotten_and_damage_is_nothing_known() {
        let state = tempfile::tempdir().expect("a directory");
        let open = || BlobInfoCache::new(Some(state.path()), "r");
        let digest = |n: usize| Digest::of(&n.to_le_bytes());
        for half in [0..MAX_PLACES / 2 + 1, MAX_PLACES / 2 + 1..MAX_PLACES + 1] {
            let mut places = open();
            half.for_each(|n| places.add("a", digest(n)));
            places.save();
        }
        assert_eq!(open().elsewhere("b", digest(0)), None);
        assert_eq!(open().elsewhere("b", digest(1)).as_deref(), Some("a"));
        let path = open().path.expect("kept");
        assert!(std::fs::metadata(&path).expect("there").len() < MAX_FILE_BYTES);
        for text in ["", "{\"host\":\"r\"", "[]", "null"] {
            std::fs::write(&path, text).expect("written");
            assert_eq!(open().elsewhere("b", digest(1)), None);
        }
    }
    #[test]
    fn a_pipe_in_the_place_of_the_file_is_not_waited_for() {
        let state = tempfile::tempdir().expect("a directory");
        let open = || BlobInfoCache::new(Some(state.path()), "r");
        let mut places = open();
        let path = places.path.clone().expect("kept");
        fs::create_private_dir(fs::parent(&path)).expect("made");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
        places.add("a", Digest::of(b"a"));
        let (done, outcome) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            places.save();
            done.send(())
        });
        outcome.recv_timeout(std::time::Duration::from_mins(1)).expect("nothing is waited for");
        assert_eq!(open().elsewhere("b", Digest::of(b"a")).as_deref(), Some("a"));
    }
}
