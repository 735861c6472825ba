//! Basic authentication (RFC 7617) against the htpasswd file.
//!
//! bcrypt is slow by design, and clients send their password with every request. So a correct password is cached as a
//! salted SHA-256 until the process ends.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::htpasswd::{self, BcryptHash, Htpasswd};

/// Longer credentials, in bytes, are refused without a check.
const MAX_HEADER_BYTES: usize = 4096;

/// bcrypt runs on at most this many threads, so that login attempts leave cores for other requests.
const PARALLEL_CHECKS: usize = 2;

/// The most checks that wait for a thread; further logins are refused at once.
const WAITING_CHECKS: usize = 64;

/// How long a check may wait for a thread.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// The result of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Login {
    /// The password is correct.
    Admitted,
    /// The user does not exist, or the password is wrong.
    Refused,
    /// Too many other logins are being checked.
    Busy,
}

/// The user and password of a request.
pub(super) struct Basic {
    pub(super) user: String,
    password: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Basic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Basic").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Basic {
    /// Reads the value of an `Authorization` header; `None` for anything but well-formed Basic.
    pub(super) fn parse(header: &[u8]) -> Option<Self> {
        if header.len() > MAX_HEADER_BYTES {
            return None;
        }
        let (scheme, rest) = header.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let decoded = Zeroizing::new(STANDARD.decode(rest.trim_ascii()).ok()?);
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let user = std::str::from_utf8(&decoded[..colon]).ok()?.to_owned();
        Some(Self { user, password: Zeroizing::new(decoded[colon + 1..].to_vec()) })
    }
}

/// The users that may log in, with a cache of correct passwords.
pub(super) struct Users {
    htpasswd: Htpasswd,
    salt: [u8; 32],
    verified: Mutex<BTreeMap<String, [u8; 32]>>,
    waiting: tokio::sync::Semaphore,
    checks: tokio::sync::Semaphore,
}

impl Users {
    /// Returns the users of a file. `salt` is random for each process.
    pub(super) fn new(htpasswd: Htpasswd, salt: [u8; 32]) -> Self {
        let semaphore = tokio::sync::Semaphore::new;
        let (waiting, checks) = (semaphore(WAITING_CHECKS), semaphore(PARALLEL_CHECKS));
        Self { htpasswd, salt, verified: Mutex::default(), waiting, checks }
    }

    /// Checks a password. The check takes equally long whether or not the user exists.
    pub(super) async fn admit(self: &std::sync::Arc<Self>, basic: Basic) -> Login {
        let fingerprint = self.fingerprint(&basic);
        if self.remembered(&basic.user, &fingerprint) {
            return Login::Admitted;
        }
        let Ok(_waits) = self.waiting.try_acquire() else { return Login::Busy };
        let Ok(Ok(_permit)) = tokio::time::timeout(LONGEST_WAIT, self.checks.acquire()).await else {
            return Login::Busy;
        };
        let users = std::sync::Arc::clone(self);
        let user = basic.user.clone();
        let fits = tokio::task::spawn_blocking(move || users.check(&basic)).await.unwrap_or(false);
        if fits {
            self.verified.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(user, fingerprint);
        }
        if fits { Login::Admitted } else { Login::Refused }
    }

    fn check(&self, basic: &Basic) -> bool {
        let known = self.htpasswd.0.get(&basic.user);
        let fits = known.is_some_and(|hash| hash.fits(&basic.password));
        let highest = self.htpasswd.0.values().map(BcryptHash::cost).max().unwrap_or_default();
        for cost in padding(known.map(BcryptHash::cost), highest) {
            htpasswd::waste(&basic.password, cost);
        }
        fits
    }

    fn remembered(&self, user: &str, fingerprint: &[u8; 32]) -> bool {
        let verified = self.verified.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        verified.get(user).is_some_and(|known| equal(known, fingerprint))
    }

    fn fingerprint(&self, basic: &Basic) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.salt);
        hasher.update(&*basic.password);
        hasher.finalize().into()
    }
}

/// Returns the costs of further hashes that make a check as slow as one hash of cost `highest`.
///
/// A hash takes 2^cost rounds: those of cost, cost, cost + 1, ..., highest - 1 together take 2^highest.
fn padding(known: Option<u32>, highest: u32) -> Range<u32> {
    match known {
        Some(cost) => cost..highest,
        None => highest..highest + 1,
    }
}

/// Compares in constant time.
fn equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let difference = a.iter().zip(b).fold(0_u8, |found, (a, b)| found | (a ^ b));
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn header(text: &str) -> Vec<u8> {
        format!("Basic {}", STANDARD.encode(text)).into_bytes()
    }

    fn basic(text: &str) -> Basic {
        Basic::parse(&header(text)).expect("credentials")
    }

    #[test]
    fn headers() {
        let parsed = basic("alice:pass:word");
        assert_eq!((parsed.user.as_str(), parsed.password.as_slice()), ("alice", b"pass:word".as_slice()));
        assert!(!format!("{parsed:?}").contains("pass"));
        assert!(Basic::parse(b"bAsIc YTpi").is_some());
        for wrong in ["", "Basic", "Basic !", "Basic YQ==", "Bearer YTpi", "Basic\u{e9}YTpi"] {
            assert!(Basic::parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
        assert!(Basic::parse(&header(&"x:".repeat(3000))).is_none());
    }

    #[test]
    fn every_check_costs_the_same() {
        let rounds = |cost: u32| 1_u64 << cost;
        for highest in 4..=17 {
            for known in (4..=highest).map(Some).chain([None]) {
                let more: u64 = padding(known, highest).map(rounds).sum();
                assert_eq!(known.map_or(0, rounds) + more, rounds(highest), "{known:?} {highest}");
            }
        }
    }

    #[test]
    fn every_check_makes_as_many_rounds() {
        let hash = |cost| bcrypt::hash("one", cost).expect("hashed");
        let file = format!("alice:{}\nbob:{}\n", hash(4), hash(6));
        let users = Users::new(Htpasswd::parse(file.as_bytes()).expect("a file"), [7; 32]);
        for text in ["alice:one", "alice:two", "bob:one", "bob:two", "eve:one", ":", "eve:"] {
            let (rounds, _) = crate::work::of(|| users.check(&basic(text)));
            assert_eq!(rounds, 1 << 6, "{text}");
        }
    }

    #[tokio::test]
    async fn checks_that_wait_are_bounded() {
        let file = format!("alice:{}", bcrypt::hash("one", 4).expect("hashed"));
        let users = Arc::new(Users::new(Htpasswd::parse(file.as_bytes()).expect("a file"), [7; 32]));
        let running = users.checks.acquire_many(2).await.expect("both");
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..WAITING_CHECKS {
            let users = Arc::clone(&users);
            waiting.spawn(async move { users.admit(basic("alice:one")).await });
        }
        while users.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(users.admit(basic("alice:one")).await, Login::Busy);
        drop(running);
        assert!(waiting.join_all().await.iter().all(|login| *login == Login::Admitted));
    }

    #[tokio::test]
    async fn bcrypt_runs_once_a_login() {
        let file = format!("alice:{}", bcrypt::hash("one", 4).expect("hashed"));
        let users = Arc::new(Users::new(Htpasswd::parse(file.as_bytes()).expect("a file"), [7; 32]));
        assert_eq!(users.admit(basic("alice:two")).await, Login::Refused);
        assert_eq!(users.admit(basic("bob:one")).await, Login::Refused, "another user's password");
        assert!(users.verified.lock().expect("unpoisoned").is_empty());
        assert_eq!(users.admit(basic("alice:one")).await, Login::Admitted);
        let first = basic("alice:one");
        assert!(users.remembered("alice", &users.fingerprint(&first)));
        assert!(!users.remembered("alice", &users.fingerprint(&basic("alice:two"))));
        // With the slow way shut, only what is remembered gets in.
        users.checks.close();
        assert_eq!(users.admit(first).await, Login::Admitted);
        assert_eq!(users.admit(basic("alice:two")).await, Login::Busy);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes: Vec<u8>, text in ".{0,80}") {
            let _ = Basic::parse(&bytes);
            let _ = Basic::parse(&[b"Basic ", bytes.as_slice()].concat());
            let _ = Basic::parse(&header(&text));
        }
    }
}
