//! What a push client sees of a registry: the rules, as values. The registries themselves are in `known`.

mod known;

pub use known::*;

/// A registry's observable behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// The registry's name in tests' messages.
    pub name: &'static str,
    /// How the registry authenticates and refuses clients.
    pub access: Access,
    /// What session URLs look like.
    pub location: Location,
    /// `Range` of a new session.
    pub open_range: Option<&'static str>,
    /// Rules of `PATCH`.
    pub patch: Patch,
    /// What remains of a `PATCH` whose connection breaks.
    pub torn: Torn,
    /// The answer to a `GET` of a session.
    pub status: Status,
    /// What a `POST` with digest and body does.
    pub post: Post,
    /// What a request to mount does.
    pub mount: Mount,
    /// Rules of `PUT`.
    pub commit: Commit,
    /// The answer to a `DELETE` of a session.
    pub cancel: u16,
    /// Rules of manifests and tags.
    pub manifests: Manifests,
    /// Whether there is a referrers API, and `OCI-Subject` in answers.
    pub referrers: bool,
    /// Whether repositories have to be made before a push.
    pub made_before: bool,
    /// Whether sessions, blobs and manifests are at the other origin, to which the registry sends every client.
    pub dispersed: bool,
}

/// Where a session's address leads, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// A path below `/v2/`.
    Relative,
    /// The same with scheme and host.
    Absolute,
    /// Absolute, with a query that knows the session's count of bytes. `strict`: a query that knows another count ends
    /// the session.
    State {
        /// Whether a wrong count ends the session.
        strict: bool,
    },
    /// A path with a query that must come back.
    Query,
    /// A path outside `/v2/`.
    Outside(&'static str),
}

/// Rules of `PATCH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patch {
    /// The status of an accepted chunk.
    pub status: u16,
    /// How the registry checks `Content-Range`.
    pub range: RangeCheck,
    /// Bytes that one request may have; more is 416.
    pub ceiling: Option<u64>,
    /// Which requests are taken.
    pub later: Later,
    /// `OCI-Chunk-Min-Length` of a new session; a smaller chunk that is not the last is 416.
    pub minimum: Option<u64>,
    /// What a 416 tells.
    pub refusal: RangeRefusal,
}

/// What is looked at of `Content-Range`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeCheck {
    /// The registry does not look at the header.
    Ignored,
    /// The start; missing is allowed for a session's first bytes only.
    Start,
    /// The start and the length.
    StartAndLength,
}

/// What becomes of a session's second and later `PATCH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Later {
    /// The chunk is appended.
    Taken,
    /// Answered as taken, and thrown away: `Range` stays.
    Discarded,
    /// Refused: there are no chunked uploads.
    Refused,
}

/// What a 416 carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeRefusal {
    /// The answer has no `Range`.
    Nothing,
    /// `Location` and a `Range` that is one too high.
    OffByOne,
    /// `Location` and the right `Range`.
    Exact,
}

/// What becomes of a session whose body broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Torn {
    /// It lives and says the old count, and every later `PATCH` and `PUT` is 500.
    Poisoned,
    /// It is gone, or the next request with an old address ends it.
    Forgotten,
    /// It keeps what has arrived, and counts it.
    Kept,
}

/// The answer to `GET` of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// `Range` is one too high.
    pub off_by_one: bool,
    /// Whether the answer has a `Location`.
    pub location: bool,
    /// `Range` while there is no byte.
    pub empty: Option<&'static str>,
}

/// `POST` with a digest and a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Post {
    /// The blob is stored with the one request.
    Stores,
    /// 202 without reading the body.
    Ignores,
    /// Stores what says that it is octets; 415 otherwise.
    OctetsOnly,
}

/// `POST` with `mount`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mount {
    /// Searches by itself when no repository is named.
    pub anonymous: bool,
    /// Takes a named repository.
    pub named: bool,
    /// Says 201 and has nothing.
    pub phantom: bool,
}

/// Rules of the finalising `PUT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// A body needs a `Content-Range` once the session has bytes.
    pub tail_needs_range: bool,
    /// A wrong digest ends the session.
    pub wrong_digest_ends: bool,
}

/// Rules of manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manifests {
    /// `Docker-Content-Digest` in answers to `GET` and to `HEAD`.
    pub digest_on_get: bool,
    /// `Docker-Content-Digest` in answers to `HEAD`.
    pub digest_on_head: bool,
    /// The body must have a `mediaType`.
    pub needs_media_type: bool,
    /// The body's digest must be the one in the address.
    pub compares_digest: bool,
    /// A digest that loses its last tag is gone.
    pub forgets_untagged: bool,
    /// The answer for one that is missing.
    pub missing: u16,
    /// Tags are one whatever their case.
    pub folds_case: bool,
    /// Whether a refusal says which blob is missing.
    pub names_missing: bool,
}

/// Who asks, and how it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The authentication scheme of the challenge.
    pub scheme: Scheme,
    /// 401 to a token that is no good.
    pub bad_token: BadToken,
    /// The answer to somebody who may not.
    pub denied: Denied,
    /// Whether name and password are taken for repositories, too.
    pub basic_too: bool,
    /// Whether anybody may read, and only writing is asked about.
    pub open_reads: bool,
}

/// An authentication scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Basic authentication.
    Basic {
        /// The realm of the challenge.
        realm: &'static str,
    },
    /// Bearer tokens of a token service.
    Bearer(Bearer),
}

/// A token service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bearer {
    /// The `service` parameter of the challenge.
    pub service: Option<&'static str>,
    /// `scope` of the challenge to a ping; repositories are challenged with their own.
    pub ping_scope: Option<&'static str>,
    /// Where the answer has the token.
    pub fields: &'static [&'static str],
    /// `expires_in` of the answer, in seconds.
    pub expires_in: Option<u32>,
    /// Seconds that the token says of itself.
    pub jwt: Option<u32>,
    /// Whether a token is good for its scope only.
    pub per_repository: bool,
    /// The status of `POST`; 200 is served.
    pub post: u16,
}

/// The 401 to a token that is expired or unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadToken {
    /// Plain text without a challenge.
    Plain(&'static str),
    /// The same challenge as to nobody.
    Challenge,
    /// Another challenge.
    Basic(&'static str),
}

/// The refusal of a client without the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// 401, plain text, and a challenge that is no help.
    Gitea,
    /// 403 and the envelope.
    Forbidden,
}
