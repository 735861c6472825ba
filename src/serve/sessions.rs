//! Upload sessions: incomplete blobs, each under an unguessable id.
//!
//! A session belongs to one request at a time, the newest: a client has one connection per upload,
//! so another request for it means that the one before is dead, also when its connection has not
//! noticed yet.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::crypto::SecureRandom;
use tokio::sync::{OwnedMutexGuard, watch};

use super::error_response::{Code, ErrorResponse};
use super::limits::Limits;
use crate::store::BlobWriter;

/// The open sessions of a server.
pub(super) struct Sessions {
    open: Mutex<HashMap<String, Arc<Session>>>,
    random: &'static dyn SecureRandom,
    limit: usize,
    idle: Duration,
    spared: Duration,
}

/// One upload.
pub(super) struct Session {
    /// The repository of the upload; the session is not found under any other.
    repository: String,
    /// `None` once the blob is committed or could not be written.
    writer: Arc<tokio::sync::Mutex<Option<BlobWriter>>>,
    offset: AtomicU64,
    used: Mutex<Instant>,
    claims: watch::Sender<u64>,
}

/// The right to write to a session, until the next request asks for it.
pub(super) struct Claim {
    /// The session's writer. A request that takes it out puts it back.
    pub(super) writer: OwnedMutexGuard<Option<BlobWriter>>,
    number: u64,
    claims: watch::Receiver<u64>,
}

impl Claim {
    /// Waits until another request has taken the session over.
    pub(super) async fn superseded(&mut self) {
        let number = self.number;
        if self.claims.wait_for(|newest| *newest != number).await.is_err() {
            // The session is dropped only after its claims, so no further request can come.
            std::future::pending::<()>().await;
        }
    }
}

impl Session {
    /// Returns the number of received bytes.
    pub(super) fn offset(&self) -> u64 {
        self.offset.load(Ordering::Acquire)
    }

    /// Records that the session is in use and holds `offset` bytes.
    pub(super) fn advance(&self, offset: u64) {
        self.offset.store(offset, Ordering::Release);
        *lock(&self.used) = Instant::now();
    }

    /// Takes the session over from the request that has it.
    pub(super) async fn claim(&self) -> Result<Claim, ErrorResponse> {
        let mut number = 0;
        self.claims.send_modify(|newest| {
            *newest += 1;
            number = *newest;
        });
        let claims = self.claims.subscribe();
        let writer = Arc::clone(&self.writer).lock_owned().await;
        if *claims.borrow() != number {
            return Err(superseded());
        }
        if writer.is_none() {
            return Err(unknown());
        }
        Ok(Claim { writer, number, claims })
    }
}

impl Sessions {
    pub(super) fn new(random: &'static dyn SecureRandom, limits: &Limits) -> Self {
        let Limits { sessions: limit, session_idle: idle, session_spared: spared, .. } = *limits;
        Self { open: Mutex::default(), random, limit, idle, spared }
    }

    /// Registers an upload; returns its id and the session that was closed to make room. The caller drops the closed
    /// session on a thread that may wait for the disk.
    pub(super) fn open(
        &self,
        repository: &str,
        writer: BlobWriter,
        now: Instant,
    ) -> Result<(String, Option<Arc<Session>>), ErrorResponse> {
        let mut bytes = [0; 16];
        if self.random.fill(&mut bytes).is_err() {
            return Err(ErrorResponse::fault(&std::io::Error::other("no random numbers")));
        }
        let id = bytes.iter().fold(String::with_capacity(32), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        });
        let session = Session {
            repository: repository.to_owned(),
            writer: Arc::new(tokio::sync::Mutex::new(Some(writer))),
            offset: AtomicU64::new(0),
            used: Mutex::new(now),
            claims: watch::Sender::new(0),
        };
        let mut open = lock(&self.open);
        let mut evicted = None;
        if open.len() >= self.limit {
            let longest = longest_idle(&open, now, self.spared);
            evicted = longest.and_then(|id| open.remove(&id));
            if evicted.is_none() {
                return Err(ErrorResponse::busy("too many uploads are open"));
            }
        }
        open.insert(id.clone(), Arc::new(session));
        Ok((id, evicted))
    }

    /// Returns the session `id` of `repository`.
    pub(super) fn find(&self, repository: &str, id: &str) -> Result<Arc<Session>, ErrorResponse> {
        let open = lock(&self.open);
        let session = open.get(id).filter(|session| session.repository == repository).ok_or_else(unknown)?;
        *lock(&session.used) = Instant::now();
        Ok(Arc::clone(session))
    }

    /// Removes and returns a session; its unfinished blob is removed when the caller drops it.
    pub(super) fn close(&self, id: &str) -> Option<Arc<Session>> {
        lock(&self.open).remove(id)
    }

    /// Forgets sessions that were idle for too long at `now`; the caller drops them where waiting
    /// for the disk is allowed.
    pub(super) fn expire(&self, now: Instant) -> Vec<Arc<Session>> {
        let idle = |session: &Session| now.saturating_duration_since(*lock(&session.used)) >= self.idle;
        lock(&self.open).extract_if(|_, session| idle(session)).map(|(_, session)| session).collect()
    }
}

/// Returns the longest idle session, if it was idle for at least `spared` and no request has it.
fn longest_idle(open: &HashMap<String, Arc<Session>>, now: Instant, spared: Duration) -> Option<String> {
    let idle = open.iter().filter_map(|(id, session)| {
        let used = *lock(&session.used);
        let is_idle = now.saturating_duration_since(used) >= spared && session.writer.try_lock().is_ok();
        is_idle.then_some((used, id))
    });
    idle.min().map(|(_, id)| id.clone())
}

pub(super) fn superseded() -> ErrorResponse {
    ErrorResponse::bad(Code::BlobUploadInvalid, "another request has taken the upload over")
}

fn unknown() -> ErrorResponse {
    ErrorResponse::not_found(
        Code::BlobUploadUnknown,
        "there is no such upload; it was finished, cancelled or has expired",
    )
}

/// Locks a mutex, also a poisoned one: no critical section here leaves its data inconsistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::store::{ImageStore, Lease};

    fn sessions(limit: usize) -> (tempfile::TempDir, ImageStore, Lease, Sessions) {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ImageStore::open(&directory.path().join("images")).expect("a store");
        let lease = store.lease().expect("a lease");
        let random = rustls::crypto::ring::default_provider().secure_random;
        let limits = Limits { sessions: limit, ..Limits::default() };
        (directory, store, lease, Sessions::new(random, &limits))
    }

    #[test]
    fn ids_are_long_and_differ_and_belong_to_a_repository() {
        let (_directory, store, lease, sessions) = sessions(2);
        let open = || {
            let opened = sessions.open("app", store.write_blob(&lease).expect("a writer"), Instant::now());
            opened.map(|(id, _)| id)
        };
        let (first, second) = (open().expect("opened"), open().expect("opened"));
        assert!(first.len() == 32 && first != second);
        assert_eq!(open().expect_err("full").status, StatusCode::TOO_MANY_REQUESTS);
        sessions.find("app", &first).expect("there");
        assert_eq!(sessions.find("other", &first).err().expect("hidden").status, StatusCode::NOT_FOUND);
        sessions.close(&first);
        assert!(sessions.find("app", &first).is_err());
        open().expect("room again");
    }

    #[test]
    fn idle_sessions_expire_and_leave_nothing() {
        let (_directory, store, lease, sessions) = sessions(8);
        let (id, _) =
            sessions.open("app", store.write_blob(&lease).expect("a writer"), Instant::now()).expect("opened");
        let files = || std::fs::read_dir(store.root().join(".tmp")).expect("listed").count();
        let now = Instant::now();
        assert!(sessions.expire(now + Duration::from_secs(3599)).is_empty());
        assert_eq!(files(), 1);
        assert_eq!(sessions.expire(now + Duration::from_secs(3700)).len(), 1);
        assert_eq!(files(), 0);
        assert!(sessions.find("app", &id).is_err());
    }

    #[tokio::test]
    async fn the_session_idle_longest_makes_room() {
        let (_directory, store, lease, sessions) = sessions(3);
        let start = Instant::now();
        let open = |seconds: u64| {
            let writer = store.write_blob(&lease).expect("a writer");
            sessions.open("app", writer, start + Duration::from_secs(seconds))
        };
        let [first, second, third] = [0, 1, 2].map(|seconds| open(seconds).expect("room").0);
        assert_eq!(open(59).err().expect("all are in use").status, StatusCode::TOO_MANY_REQUESTS);
        // The first belongs to a request.
        let session = sessions.find("app", &first).expect("there");
        *lock(&session.used) = start;
        let claim = session.claim().await.expect("free");
        let (fourth, evicted) = open(61).expect("the second makes room");
        assert!(evicted.is_some() && sessions.find("app", &second).is_err());
        assert_eq!(open(61).err().expect("the third is spared").status, StatusCode::TOO_MANY_REQUESTS);
        drop(claim);
        open(61).expect("the first makes room");
        assert!(sessions.find("app", &first).is_err());
        assert!(sessions.find("app", &third).is_ok() && sessions.find("app", &fourth).is_ok());
    }

    #[tokio::test]
    async fn the_newest_request_has_the_session() {
        let (_directory, store, lease, sessions) = sessions(8);
        let (id, _) =
            sessions.open("app", store.write_blob(&lease).expect("a writer"), Instant::now()).expect("opened");
        let session = sessions.find("app", &id).expect("there");
        let mut first = session.claim().await.expect("free");
        let waiting = tokio::spawn({
            let session = Arc::clone(&session);
            async move { session.claim().await.map(|claim| claim.number) }
        });
        first.superseded().await;
        drop(first);
        assert_eq!(waiting.await.expect("ran").expect("taken over"), 2);
        session.claim().await.expect("free").writer.take();
        assert_eq!(session.claim().await.err().expect("finished").status, StatusCode::NOT_FOUND);
    }
}
