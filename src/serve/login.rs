//! Basic authentication (RFC 7617) against the htpasswd file.
//!
//! bcrypt is slow by design and clients send their password with every request: a password that
//! was found right is remembered as a salted SHA-256 for as long as the process lives.

use std::collections::BTreeMap;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::htpasswd::Htpasswd;

/// Longer credentials are nobody's.
const MAX_HEADER_BYTES: usize = 4096;

/// bcrypt runs in parallel at most this often, so that guessing leaves cores for others.
const PARALLEL_CHECKS: usize = 2;

/// User and password as a request carries them.
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

/// Who may enter.
pub(super) struct Users {
    htpasswd: Htpasswd,
    salt: [u8; 32],
    verified: Mutex<BTreeMap<String, [u8; 32]>>,
    checks: tokio::sync::Semaphore,
}

impl Users {
    /// `salt` is random and this process's own.
    pub(super) fn new(htpasswd: Htpasswd, salt: [u8; 32]) -> Self {
        let checks = tokio::sync::Semaphore::new(PARALLEL_CHECKS);
        Self { htpasswd, salt, verified: Mutex::default(), checks }
    }

    /// Whether the password is the user's. Unknown users cost as much time as known ones.
    pub(super) async fn admit(self: &std::sync::Arc<Self>, basic: Basic) -> bool {
        let fingerprint = self.fingerprint(&basic);
        if self.remembered(&basic.user, &fingerprint) {
            return true;
        }
        let Ok(_permit) = self.checks.acquire().await else { return false };
        let users = std::sync::Arc::clone(self);
        let user = basic.user.clone();
        let fits = tokio::task::spawn_blocking(move || users.check(&basic)).await.unwrap_or(false);
        if fits {
            self.verified.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(user, fingerprint);
        }
        fits
    }

    fn check(&self, basic: &Basic) -> bool {
        let known = self.htpasswd.0.get(&basic.user);
        let hash = known.or_else(|| self.htpasswd.0.values().next());
        let fits = hash.is_some_and(|hash| hash.fits(&basic.password));
        fits && known.is_some()
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

/// Equality whose time does not tell where the difference is.
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

    #[tokio::test]
    async fn bcrypt_runs_once_a_login() {
        let file = format!("alice:{}", bcrypt::hash("one", 4).expect("hashed"));
        let users = Arc::new(Users::new(Htpasswd::parse(file.as_bytes()).expect("a file"), [7; 32]));
        assert!(!users.admit(basic("alice:two")).await);
        assert!(!users.admit(basic("bob:one")).await, "another user's password");
        assert!(users.verified.lock().expect("unpoisoned").is_empty());
        assert!(users.admit(basic("alice:one")).await);
        let first = basic("alice:one");
        assert!(users.remembered("alice", &users.fingerprint(&first)));
        assert!(!users.remembered("alice", &users.fingerprint(&basic("alice:two"))));
        // With the slow way shut, only what is remembered gets in.
        users.checks.close();
        assert!(users.admit(first).await);
        assert!(!users.admit(basic("alice:two")).await);
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
