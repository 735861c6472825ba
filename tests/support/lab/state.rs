//! What a registry has: blobs, repositories, sessions. No network, no rules.

use std::collections::{BTreeMap, BTreeSet};

use idpbuilder_oci::image::{Digest, Hasher};

/// Blobs up to this size keep their bytes; of larger ones the digest is enough.
const KEPT_BYTES: u64 = 64 << 20;

/// A committed blob.
#[derive(Debug, Clone)]
pub struct Blob {
    /// Bytes of the blob.
    pub size: u64,
    /// The content, unless it is too large to keep.
    pub bytes: Option<Vec<u8>>,
}

/// A manifest and its media type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The `Content-Type` that the client sent.
    pub media_type: String,
    /// The exact document.
    pub bytes: Vec<u8>,
}

/// What one repository has.
#[derive(Debug, Default, Clone)]
pub struct Repository {
    /// The blobs that were committed or mounted.
    pub blobs: BTreeSet<Digest>,
    /// Manifests by digest.
    pub manifests: BTreeMap<Digest, Manifest>,
    /// Tags and the manifests they stand for.
    pub tags: BTreeMap<String, Digest>,
}

/// An upload session.
#[derive(Clone)]
pub struct Session {
    /// The repository that the session belongs to.
    pub repository: String,
    hasher: Hasher,
    bytes: Vec<u8>,
    /// Bytes that have arrived, whatever the registry admits to.
    pub taken: u64,
    /// Bytes that the registry knows of.
    pub known: u64,
    /// Whether every further request fails with 500.
    pub poisoned: bool,
    /// Whether the last chunk was smaller than those that something may follow.
    pub ended: bool,
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

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.taken += bytes.len() as u64;
        if self.taken <= KEPT_BYTES {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Returns the digest of the bytes so far.
    pub fn digest(&self) -> Digest {
        self.hasher.clone().finish().0
    }
}

/// All of it.
#[derive(Default)]
pub struct State {
    /// Blobs of all repositories, by digest.
    pub blobs: BTreeMap<Digest, Blob>,
    /// Repositories by name.
    pub repositories: BTreeMap<String, Repository>,
    /// Open sessions by id.
    pub sessions: BTreeMap<String, Session>,
    opened: u64,
}

impl State {
    /// A new session's id.
    pub fn open(&mut self, repository: &str) -> String {
        self.opened += 1;
        let id = format!("session{:018}", self.opened);
        self.sessions.insert(id.clone(), Session::new(repository));
        id
    }

    /// Returns a repository, made empty if it is new.
    pub fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    /// Whether the repository has the blob.
    pub fn has(&self, repository: &str, digest: Digest) -> bool {
        self.blobs.contains_key(&digest)
            && self.repositories.get(repository).is_some_and(|found| found.blobs.contains(&digest))
    }

    /// Makes a session's bytes a blob.
    pub fn commit(&mut self, session: Session, digest: Digest) {
        let bytes = (session.taken <= KEPT_BYTES).then_some(session.bytes);
        self.blobs.insert(digest, Blob { size: session.taken, bytes });
        self.repository(&session.repository).blobs.insert(digest);
    }

    /// Puts a blob there as if it had been pushed before.
    pub fn seed(&mut self, repository: &str, content: &[u8]) {
        let digest = Digest::of(content);
        self.blobs.insert(digest, Blob { size: content.len() as u64, bytes: Some(content.to_vec()) });
        self.repository(repository).blobs.insert(digest);
    }
}
