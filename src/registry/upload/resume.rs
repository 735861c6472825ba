//! Resumes uploads of an earlier run: reads the journal, and hashes the bytes that the registry has already.

use std::io::Read as _;
use std::sync::Arc;

use super::journal::{Entry, Journal};
use super::session::UploadSession;
use super::state::Upload;
use crate::image::Descriptor;
use crate::registry::Registry;
use crate::registry::error::{RegistryError, RequestFacts};
use crate::registry::http::location;
use crate::registry::http::origin::{self, Carried};

/// Smaller blobs are sent again as quickly as they are looked up.
const SMALLEST_KEPT: u64 = 4 << 20;
/// Bytes hashed between two looks at the interrupt.
const PIECE_BYTES: usize = 256 * 1024;

impl Registry {
    /// Returns the place of an upload in the journal, where it is worth one.
    pub(super) fn entry(&self, repository: &str, blob: &Descriptor) -> Option<Entry> {
        self.journal_of(blob)?.enter(&self.key, repository, blob.digest)
    }

    /// Removes what an earlier run noted about an upload that has become needless.
    pub(in crate::registry) fn settle(&self, repository: &str, blob: &Descriptor) {
        if let Some(journal) = self.journal_of(blob) {
            journal.settle(&self.key, repository, blob.digest);
        }
    }

    fn journal_of(&self, blob: &Descriptor) -> Option<&Journal> {
        let state = self.retry_context.state.as_deref().filter(|_| blob.size >= SMALLEST_KEPT)?;
        Some(self.journal.get_or_init(|| Journal::open(state)))
    }

    /// Returns the session of an earlier run.
    pub(super) fn remembered(&self, upload: &mut Upload<'_>) -> Option<UploadSession> {
        let record = upload.entry.as_mut()?.found(jiff::Timestamp::now())?;
        let base = self.uri("").ok()?;
        let location = location::resolve(&self.own, &base, &record.location).ok()?;
        if !origin::carries(Carried::JournalAddress, &self.own, &location) || record.offset > upload.blob.size {
            return None;
        }
        Some(UploadSession::remembered(location, upload.blob.size, record.offset))
    }

    /// Writes down how far a session is, where the next run can go on with it.
    pub(super) fn note(&self, session: &UploadSession, upload: &mut Upload<'_>) {
        let Some(entry) = &mut upload.entry else { return };
        let (Some(location), Some(offset)) = (session.location(), session.offset()) else { return };
        if origin::carries(Carried::JournalAddress, &self.own, location) {
            entry.note(&location.to_string(), offset, jiff::Timestamp::now());
        }
    }

    /// Brings the hash to `offset`, reading what was sent in another run or arrived without an answer.
    pub(super) async fn hash_up_to(&self, offset: u64, upload: &mut Upload<'_>) -> Result<(), RegistryError> {
        if upload.hasher.count() == offset || upload.hasher.skip_to(offset) {
            return Ok(());
        }
        let mut hasher = if upload.hasher.count() < offset { upload.hasher.clone() } else { upload.hasher.restarted() };
        let (source, digest) = (Arc::clone(&upload.source), upload.blob.digest);
        let stop = self.transport.stop();
        let hashing = tokio::task::spawn_blocking(move || {
            let failed = |source| RegistryError::Source { digest, source };
            let mut reader = source.open(hasher.count()).map_err(failed)?;
            let mut piece = vec![0; PIECE_BYTES];
            while hasher.count() < offset {
                if stop.iter().any(crate::progress::Interrupt::requested) {
                    return Err(RegistryError::Interrupted);
                }
                let want = usize::try_from(offset - hasher.count()).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
                reader.read_exact(&mut piece[..want]).map_err(failed)?;
                hasher.update(&piece[..want]);
            }
            Ok(hasher)
        });
        upload.hasher = hashing.await.expect("hashing does not panic")?;
        Ok(())
    }

    /// Returns the facts of the request that sent a session's chunk, without what must not be shown.
    pub(super) fn request_of(&self, session: &UploadSession, upload: &Upload<'_>) -> RequestFacts {
        let uri = session.location().cloned().or_else(|| self.uri(upload.repository).ok()).unwrap_or_default();
        RequestFacts::of(&::http::Method::PATCH, &uri)
    }
}
