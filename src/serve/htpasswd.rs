//! The htpasswd file: `user:hash` lines, bcrypt hashes only.

use std::collections::BTreeMap;

use bcrypt::HashParts;

use crate::text;

/// The largest file that is read, in bytes.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// The highest accepted cost (2^cost rounds): with slower hashes, login attempts could stall the server.
const MAX_COST: u32 = 17;

/// A form of hash that the server does not check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashKind {
    /// `$apr1$`: Apache's MD5, `htpasswd -m` and its default.
    ApacheMd5,
    /// `{SHA}`: unsalted SHA-1, `htpasswd -s`.
    Sha1,
    /// `$5$` or `$6$`: the C library's SHA-2, `htpasswd -2` and `-5`.
    Sha2,
    /// Neither of these: DES crypt, plain text or something else.
    Other,
}

impl std::fmt::Display for HashKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ApacheMd5 => "Apache MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha2 => "SHA-2 crypt",
            Self::Other => "unknown or plain text",
        })
    }
}

/// Why a file of users is not accepted. The messages contain no hashes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HtpasswdError {
    /// The file is larger than the limit.
    #[error("the file is larger than {}", text::size(MAX_BYTES))]
    TooLarge,
    /// The file lists no user, so every login would fail.
    #[error("the file has no users")]
    Empty,
    /// Not `user:hash` in UTF-8.
    #[error("line {line} is not `user:hash`")]
    Malformed {
        /// The line, counted from 1.
        line: usize,
    },
    /// A user that an earlier line already has.
    #[error("line {line} names user `{user}` a second time")]
    Duplicate {
        /// The line, counted from 1.
        line: usize,
        /// The user.
        user: String,
    },
    /// A hash of another kind than bcrypt.
    #[error("line {line} has a password hash of another kind than bcrypt ({kind})")]
    HashKind {
        /// The line, counted from 1.
        line: usize,
        /// The kind that it seems to be.
        kind: HashKind,
    },
    /// A bcrypt hash that is damaged.
    #[error("line {line} has a damaged bcrypt hash")]
    Damaged {
        /// The line, counted from 1.
        line: usize,
    },
    /// A bcrypt hash that takes too long to check.
    #[error("line {line} has a bcrypt hash of cost {cost} (at most {MAX_COST} is accepted)")]
    Cost {
        /// The line, counted from 1.
        line: usize,
        /// The hash's cost.
        cost: u32,
    },
}

/// Users and their bcrypt hashes.
#[derive(Debug)]
pub(super) struct Htpasswd(pub(super) BTreeMap<String, BcryptHash>);

/// A hash whose form has been checked.
pub(super) struct BcryptHash {
    text: String,
    cost: u32,
}

impl BcryptHash {
    /// Returns whether the hash is of this password, after 2^cost rounds.
    ///
    /// bcrypt reads the first 72 bytes of a password and ignores the rest, as `htpasswd -v` does. bcrypt ends a
    /// password with a zero byte and repeats it, so one that contains zero bytes could pass for a shorter one.
    pub(super) fn fits(&self, password: &[u8]) -> bool {
        #[cfg(test)]
        crate::work::add(1 << self.cost);
        let fits = bcrypt::verify(password, &self.text).unwrap_or(false);
        fits && !password.contains(&0)
    }

    /// Returns the cost; hashing takes 2^cost rounds.
    pub(super) fn cost(&self) -> u32 {
        self.cost
    }
}

/// Takes as long as checking a password against a hash of `cost`.
pub(super) fn waste(password: &[u8], cost: u32) {
    #[cfg(test)]
    crate::work::add(1 << cost);
    let _ = std::hint::black_box(bcrypt::hash_with_salt(password, cost, [0; 16]));
}

impl std::fmt::Debug for BcryptHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BcryptHash")
    }
}

impl Htpasswd {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, HtpasswdError> {
        if bytes.len() as u64 > MAX_BYTES {
            return Err(HtpasswdError::TooLarge);
        }
        let mut users = BTreeMap::new();
        for (index, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = index + 1;
            let text = text.strip_suffix(b"\r").unwrap_or(text).trim_ascii();
            if text.is_empty() || text.starts_with(b"#") {
                continue;
            }
            let malformed = HtpasswdError::Malformed { line };
            let text = std::str::from_utf8(text).map_err(|_| malformed.clone())?;
            let (user, rest) = text.split_once(':').ok_or_else(|| malformed.clone())?;
            // Apache allows further fields after a second colon.
            let hash = rest.split(':').next().unwrap_or_default();
            if user.is_empty() || hash.is_empty() {
                return Err(malformed);
            }
            let cost = check(hash, line)?;
            if users.insert(user.to_owned(), BcryptHash { text: hash.to_owned(), cost }).is_some() {
                return Err(HtpasswdError::Duplicate { line, user: user.chars().take(80).collect() });
            }
        }
        if users.is_empty() { Err(HtpasswdError::Empty) } else { Ok(Self(users)) }
    }
}

/// Checks a hash's form and returns its cost.
fn check(hash: &str, line: usize) -> Result<u32, HtpasswdError> {
    if !["$2y$", "$2b$", "$2a$", "$2x$"].iter().any(|prefix| hash.starts_with(prefix)) {
        let kind = match hash {
            hash if hash.starts_with("$apr1$") => HashKind::ApacheMd5,
            hash if hash.starts_with("{SHA}") => HashKind::Sha1,
            hash if hash.starts_with("$5$") || hash.starts_with("$6$") => HashKind::Sha2,
            _ => HashKind::Other,
        };
        return Err(HtpasswdError::HashKind { line, kind });
    }
    let parts: HashParts = hash.parse().map_err(|_| HtpasswdError::Damaged { line })?;
    match parts.get_cost() {
        cost @ 4..=MAX_COST => Ok(cost),
        0..4 => Err(HtpasswdError::Damaged { line }),
        cost => Err(HtpasswdError::Cost { line, cost }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash(password: &str) -> String {
        bcrypt::hash(password, 4).expect("hashed")
    }

    fn refused(text: &str) -> HtpasswdError {
        Htpasswd::parse(text.as_bytes()).expect_err(text)
    }

    #[test]
    fn passwords_count_as_htpasswd_counts_them() {
        let long = "a".repeat(72);
        // Made by `htpasswd -nbB u` of apache2-utils 2.4.71 from `long` and a further letter.
        let text = "u:$2y$05$rdCeNfw6QtXph1E.cU1nluHvAQbmZ3NHjPx4NhiD5Uxw6wpG34TXW";
        let users = Htpasswd::parse(text.as_bytes()).expect("a file").0;
        for (password, fits) in
            [(format!("{long}b"), true), (long.clone(), true), (format!("{long}c"), true), ("a".repeat(71), false)]
        {
            assert_eq!(users["u"].fits(password.as_bytes()), fits, "{password}");
        }
        let users = Htpasswd::parse(format!("u:{}", hash("abc")).as_bytes()).expect("a file").0;
        for (password, fits) in
            [("abc", true), ("abc\0abc", false), ("abc\0", false), ("abc\0abc\0abc", false), ("", false)]
        {
            assert_eq!(users["u"].fits(password.as_bytes()), fits, "{password:?}");
        }
    }

    #[test]
    fn users_and_their_passwords() {
        let text =
            format!("# comment\n\nalice:{}\r\n  bob:{}:extra  \n", hash("one").replace("$2b$", "$2y$"), hash("two"));
        let users = Htpasswd::parse(text.as_bytes()).expect("a file").0;
        assert_eq!(users.keys().collect::<Vec<_>>(), ["alice", "bob"]);
        assert!(users["alice"].fits(b"one") && !users["alice"].fits(b"two") && users["bob"].fits(b"two"));
        assert!(!format!("{users:?}").contains("$2"));
    }

    #[test]
    fn refusals_name_the_line() {
        let good = hash("x");
        for (text, expected) in [
            (String::new(), HtpasswdError::Empty),
            ("# no users\n".to_owned(), HtpasswdError::Empty),
            (format!("a:{good}\nnothing"), HtpasswdError::Malformed { line: 2 }),
            (format!(":{good}"), HtpasswdError::Malformed { line: 1 }),
            ("\na:".to_owned(), HtpasswdError::Malformed { line: 2 }),
            (format!("a:{good}\na:{good}"), HtpasswdError::Duplicate { line: 2, user: "a".into() }),
            ("a:$apr1$x$y".to_owned(), HtpasswdError::HashKind { line: 1, kind: HashKind::ApacheMd5 }),
            ("a:{SHA}x=".to_owned(), HtpasswdError::HashKind { line: 1, kind: HashKind::Sha1 }),
            ("a:$6$x$y".to_owned(), HtpasswdError::HashKind { line: 1, kind: HashKind::Sha2 }),
            ("a:hunter2".to_owned(), HtpasswdError::HashKind { line: 1, kind: HashKind::Other }),
            ("a:$2y$10$short".to_owned(), HtpasswdError::Damaged { line: 1 }),
            (format!("a:{}", good.replace("$04$", "$31$")), HtpasswdError::Cost { line: 1, cost: 31 }),
            (format!("a:{}", good.replace("$04$", "$03$")), HtpasswdError::Damaged { line: 1 }),
        ] {
            assert_eq!(refused(&text), expected, "{text}");
        }
        assert!(!refused("a:hunter2").to_string().contains("hunter2"));
        assert!(matches!(Htpasswd::parse(&[b'a', b':', 0xff]), Err(HtpasswdError::Malformed { line: 1 })));
        assert!(matches!(Htpasswd::parse(&vec![b'#'; 2 << 20]), Err(HtpasswdError::TooLarge)));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes: Vec<u8>, text in "[a-z]{0,3}:?\\$2[aby]\\$.{0,60}") {
            let _ = Htpasswd::parse(&bytes);
            let _ = Htpasswd::parse(text.as_bytes());
        }
    }
}
