//! What a push client sees of a registry: the rules, as values. The registries themselves are in `known`.

mod known;

pub(crate) use known::*;

/// A registry's observable behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) access: Access,
    pub(crate) location: Location,
    /// `Range` of a new session.
    pub(crate) open_range: Option<&'static str>,
    pub(crate) patch: Patch,
    pub(crate) torn: Torn,
    pub(crate) status: Status,
    pub(crate) post: Post,
    pub(crate) mount: Mount,
    pub(crate) commit: Commit,
    /// The answer to a `DELETE` of a session.
    pub(crate) cancel: u16,
    pub(crate) manifests: Manifests,
    /// Whether there is a referrers API, and `OCI-Subject` in answers.
    pub(crate) referrers: bool,
    /// Whether repositories have to be made before a push.
    pub(crate) made_before: bool,
    /// Whether sessions, blobs and manifests are at the other origin, to which the registry sends every client.
    pub(crate) dispersed: bool,
}

/// Where a session's address leads, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Location {
    /// A path below `/v2/`.
    Relative,
    /// The same with scheme and host.
    Absolute,
    /// Absolute, with a query that knows the session's count of bytes. `strict`: a query that knows another count ends
    /// the session.
    State { strict: bool },
    /// A path with a query that must come back.
    Query,
    /// A path outside `/v2/`.
    Outside(&'static str),
}

/// Rules of `PATCH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patch {
    pub(crate) status: u16,
    pub(crate) range: RangeCheck,
    /// Bytes that one request may have; more is 416.
    pub(crate) ceiling: Option<u64>,
    /// Which requests are taken.
    pub(crate) later: Later,
    /// `OCI-Chunk-Min-Length` of a new session; a smaller chunk that is not the last is 416.
    pub(crate) minimum: Option<u64>,
    /// What a 416 tells.
    pub(crate) refusal: RangeRefusal,
}

/// What is looked at of `Content-Range`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RangeCheck {
    Ignored,
    /// The start; missing is allowed for a session's first bytes only.
    Start,
    /// The start and the length.
    StartAndLength,
}

/// What becomes of a session's second and later `PATCH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Later {
    Taken,
    /// Answered as taken, and thrown away: `Range` stays.
    Discarded,
    /// Refused: there are no chunked uploads.
    Refused,
}

/// What a 416 carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RangeRefusal {
    Nothing,
    /// `Location` and a `Range` that is one too high.
    OffByOne,
    /// `Location` and the right `Range`.
    Exact,
}

/// What becomes of a session whose body broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Torn {
    /// It lives and says the old count, and every later `PATCH` and `PUT` is 500.
    Poisoned,
    /// It is gone, or the next request with an old address ends it.
    Forgotten,
    /// It keeps what has arrived, and counts it.
    Kept,
}

/// The answer to `GET` of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status {
    /// `Range` is one too high.
    pub(crate) off_by_one: bool,
    pub(crate) location: bool,
    /// `Range` while there is no byte.
    pub(crate) empty: Option<&'static str>,
}

/// `POST` with a digest and a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Post {
    Stores,
    /// 202 without reading the body.
    Ignores,
    /// Stores what says that it is octets; 415 otherwise.
    OctetsOnly,
}

/// `POST` with `mount`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Searches by itself when no repository is named.
    pub(crate) anonymous: bool,
    /// Takes a named repository.
    pub(crate) named: bool,
    /// Says 201 and has nothing.
    pub(crate) phantom: bool,
}

/// Rules of the finalising `PUT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Commit {
    /// A body needs a `Content-Range` once the session has bytes.
    pub(crate) tail_needs_range: bool,
    /// A wrong digest ends the session.
    pub(crate) wrong_digest_ends: bool,
}

/// Rules of manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manifests {
    /// `Docker-Content-Digest` in answers to `GET` and to `HEAD`.
    pub(crate) digest_on_get: bool,
    pub(crate) digest_on_head: bool,
    /// The body must have a `mediaType`.
    pub(crate) needs_media_type: bool,
    /// The body's digest must be the one in the address.
    pub(crate) compares_digest: bool,
    /// A digest that loses its last tag is gone.
    pub(crate) forgets_untagged: bool,
    /// The answer for one that is missing.
    pub(crate) missing: u16,
    /// Tags are one whatever their case.
    pub(crate) folds_case: bool,
    /// Whether a refusal says which blob is missing.
    pub(crate) names_missing: bool,
}

/// Who asks, and how it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) scheme: Scheme,
    /// 401 to a token that is no good.
    pub(crate) bad_token: BadToken,
    /// The answer to somebody who may not.
    pub(crate) denied: Denied,
    /// Whether name and password are taken for repositories, too.
    pub(crate) basic_too: bool,
    /// Whether anybody may read, and only writing is asked about.
    pub(crate) open_reads: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Basic { realm: &'static str },
    Bearer(Bearer),
}

/// A token service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bearer {
    pub(crate) service: Option<&'static str>,
    /// `scope` of the challenge to a ping; repositories are challenged with their own.
    pub(crate) ping_scope: Option<&'static str>,
    /// Where the answer has the token.
    pub(crate) fields: &'static [&'static str],
    pub(crate) expires_in: Option<u32>,
    /// Seconds that the token says of itself.
    pub(crate) jwt: Option<u32>,
    /// Whether a token is good for its scope only.
    pub(crate) per_repository: bool,
    /// The status of `POST`; 200 is served.
    pub(crate) post: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadToken {
    /// Plain text without a challenge.
    Plain(&'static str),
    /// The same challenge as to nobody.
    Challenge,
    /// Another challenge.
    Basic(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// 401, plain text, and a challenge that is no help.
    Gitea,
    /// 403 and the envelope.
    Forbidden,
}
