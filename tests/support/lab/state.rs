//! What a registry has: blobs, repositories, sessions. No network, no rules.

use std::collections::{BTreeMap, BTreeSet};

use idpbuilder_oci::image::{Digest, Hasher};

/// Blobs up to this size keep their bytes; of larger ones the digest is enough.
const KEPT_BYTES: u64 = 64 << 20;

/// A committed blob.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    pub(crate) size: u64,
    pub(crate) bytes: Option<Vec<u8>>,
}

/// A manifest and its media type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) media_type: String,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Repository {
    pub(crate) blobs: BTreeSet<Digest>,
    pub(crate) manifests: BTreeMap<Digest, Manifest>,
    pub(crate) tags: BTreeMap<String, Digest>,
}

/// An upload session.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) repository: String,
    hasher: Hasher,
    bytes: Vec<u8>,
    /// Bytes that have arrived, whatever the registry admits to.
    pub(crate) taken: u64,
    /// Bytes that the registry knows of.
    pub(crate) known: u64,
    pub(crate) poisoned: bool,
    /// Whether the last chunk was smaller than those that something may follow.
    pub(crate) ended: bool,
}

impl Session {
    fn new(repository: &str) -> Self {
        Self {
            repository: repository.to_owned(),
            hasher: Hasher::default(),
            bytes: Vec::new(),
            taken: 0,
            known: 0,
            poisoned: false,
            ended: false,
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.taken += bytes.len() as u64;
        if self.taken <= KEPT_BYTES {
            self.bytes.extend_from_slice(bytes);
        }
    }

    pub(crate) fn digest(&self) -> Digest {
        self.hasher.clone().finish().0
    }
}

/// All of it.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) blobs: BTreeMap<Digest, Blob>,
    pub(crate) repositories: BTreeMap<String, Repository>,
    pub(crate) sessions: BTreeMap<String, Session>,
    opened: u64,
}

impl State {
    /// A new session's id.
    pub(crate) fn open(&mut self, repository: &str) -> String {
        self.opened += 1;
        let id = format!("session{:018}", self.opened);
        self.sessions.insert(id.clone(), Session::new(repository));
        id
    }

    pub(crate) fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    /// Whether the repository has the blob.
    pub(crate) fn has(&self, repository: &str, digest: Digest) -> bool {
        self.blobs.contains_key(&digest)
            && self.repositories.get(repository).is_some_and(|found| found.blobs.contains(&digest))
    }

    /// Makes a session's bytes a blob.
    pub(crate) fn commit(&mut self, session: Session, digest: Digest) {
        let bytes = (session.taken <= KEPT_BYTES).then_some(session.bytes);
        self.blobs.insert(digest, Blob { size: session.taken, bytes });
        self.repository(&session.repository).blobs.insert(digest);
    }

    /// Puts a blob there as if it had been pushed before.
    pub(crate) fn seed(&mut self, repository: &str, content: &[u8]) {
        let digest = Digest::of(content);
        self.blobs.insert(digest, Blob { size: content.len() as u64, bytes: Some(content.to_vec()) });
        self.repository(repository).blobs.insert(digest);
    }
}
