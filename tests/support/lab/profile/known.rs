//! The registries that are known to be different.

use super::{
    Access, BadToken, Bearer, Commit, Denied, Later, Location, Manifests, Mount, Patch, Post, Profile, RangeCheck,
    RangeRefusal, Scheme, Status, Torn,
};

const BEARER: Bearer = Bearer {
    service: Some("registry"),
    ping_scope: None,
    fields: &["token", "access_token"],
    expires_in: Some(300),
    jwt: None,
    per_repository: true,
    post: 405,
};

const TOKENS: Access = Access {
    scheme: Scheme::Bearer(BEARER),
    bad_token: BadToken::Challenge,
    denied: Denied::Forbidden,
    basic_too: false,
    open_reads: false,
};

/// The specification without surprises: what the others are told apart from.
pub const PLAIN: Profile = Profile {
    name: "plain",
    access: TOKENS,
    location: Location::Relative,
    open_range: None,
    patch: Patch {
        status: 202,
        range: RangeCheck::StartAndLength,
        ceiling: None,
        later: Later::Taken,
        minimum: None,
        refusal: RangeRefusal::Exact,
    },
    torn: Torn::Kept,
    status: Status { off_by_one: false, location: true, empty: None },
    post: Post::Stores,
    mount: Mount { anonymous: false, named: true, phantom: false },
    commit: Commit { tail_needs_range: false, wrong_digest_ends: false },
    cancel: 204,
    manifests: Manifests {
        digest_on_get: true,
        digest_on_head: true,
        needs_media_type: false,
        compares_digest: true,
        forgets_untagged: false,
        missing: 404,
        folds_case: false,
        names_missing: true,
    },
    referrers: false,
    made_before: false,
    dispersed: false,
};

/// Gitea 1.24.3, as idpbuilder has it.
pub const GITEA_1_24_3: Profile = Profile {
    name: "gitea 1.24.3",
    access: Access {
        scheme: Scheme::Bearer(Bearer {
            service: Some("container_registry"),
            ping_scope: Some("*"),
            fields: &["token"],
            expires_in: None,
            jwt: Some(24 * 3600),
            per_repository: false,
            post: 404,
        }),
        bad_token: BadToken::Plain("authGroup.Verify"),
        denied: Denied::Gitea,
        basic_too: true,
        open_reads: false,
    },
    patch: Patch { range: RangeCheck::Start, refusal: RangeRefusal::Nothing, ..PLAIN.patch },
    torn: Torn::Poisoned,
    mount: Mount { anonymous: true, named: true, phantom: false },
    manifests: Manifests {
        compares_digest: false,
        forgets_untagged: true,
        folds_case: true,
        names_missing: false,
        ..PLAIN.manifests
    },
    ..PLAIN
};

/// Gitea 1.22, and Forgejo: counts one too many.
pub const GITEA_1_22: Profile = Profile {
    name: "gitea 1.22",
    open_range: Some("0-0"),
    status: Status { off_by_one: true, location: false, empty: Some("0-0") },
    ..GITEA_1_24_3
};

/// distribution 2.8, Debian's docker-registry.
pub const DISTRIBUTION_2_8: Profile = Profile {
    name: "distribution 2.8",
    location: Location::State { strict: true },
    open_range: Some("0-0"),
    patch: Patch { range: RangeCheck::Ignored, ..PLAIN.patch },
    torn: Torn::Forgotten,
    status: Status { off_by_one: false, location: true, empty: Some("0-0") },
    post: Post::Ignores,
    commit: Commit { tail_needs_range: false, wrong_digest_ends: true },
    ..PLAIN
};

/// distribution 3.
pub const DISTRIBUTION_3: Profile = Profile {
    name: "distribution 3",
    location: Location::State { strict: false },
    patch: PLAIN.patch,
    torn: Torn::Kept,
    ..DISTRIBUTION_2_8
};

/// Harbor: distribution behind a token service that forgets its own scheme.
pub const HARBOR: Profile = Profile {
    name: "harbor",
    access: Access {
        scheme: Scheme::Bearer(Bearer {
            service: Some("harbor-registry"),
            fields: &["token", "access_token"],
            expires_in: Some(1800),
            ..BEARER
        }),
        bad_token: BadToken::Basic("harbor"),
        denied: Denied::Forbidden,
        basic_too: true,
        open_reads: false,
    },
    referrers: true,
    ..DISTRIBUTION_2_8
};

/// GHCR: small chunks only, no cancelling, mounts that may be phantoms.
pub const GHCR: Profile = Profile {
    name: "ghcr",
    access: Access {
        scheme: Scheme::Bearer(Bearer { service: Some("ghcr.io"), expires_in: None, ..BEARER }),
        ..TOKENS
    },
    patch: Patch { ceiling: Some(4 << 20), range: RangeCheck::Start, refusal: RangeRefusal::Nothing, ..PLAIN.patch },
    torn: Torn::Forgotten,
    mount: Mount { anonymous: false, named: true, phantom: true },
    cancel: 405,
    ..PLAIN
};

/// ECR: Basic only, repositories made before, one `PATCH` and no more.
pub const ECR: Profile = Profile {
    name: "ecr",
    access: Access {
        scheme: Scheme::Basic { realm: "https://ecr.example/" },
        bad_token: BadToken::Challenge,
        denied: Denied::Forbidden,
        basic_too: true,
        open_reads: false,
    },
    location: Location::Absolute,
    patch: Patch { status: 201, range: RangeCheck::Ignored, later: Later::Discarded, ..PLAIN.patch },
    torn: Torn::Forgotten,
    mount: Mount { anonymous: false, named: false, phantom: false },
    manifests: Manifests { digest_on_get: false, needs_media_type: true, ..PLAIN.manifests },
    made_before: true,
    ..PLAIN
};

/// Google's registries: no chunks, sessions outside `/v2/`.
pub const GAR: Profile = Profile {
    name: "gar",
    access: Access { scheme: Scheme::Bearer(Bearer { service: None, ..BEARER }), ..TOKENS },
    location: Location::Outside("/artifacts-uploads"),
    patch: Patch { range: RangeCheck::Ignored, later: Later::Refused, ..PLAIN.patch },
    torn: Torn::Forgotten,
    ..PLAIN
};

/// Quay: ranges with a unit and one too many.
pub const QUAY: Profile = Profile {
    name: "quay",
    location: Location::Absolute,
    open_range: Some("bytes=0--1"),
    patch: Patch { refusal: RangeRefusal::OffByOne, range: RangeCheck::Start, ..PLAIN.patch },
    torn: Torn::Kept,
    status: Status { off_by_one: false, location: true, empty: Some("bytes=0--1") },
    ..PLAIN
};

/// zot: a read error ends the session; searches for mounts itself.
pub const ZOT: Profile = Profile {
    name: "zot",
    access: Access {
        scheme: Scheme::Basic { realm: "zot" },
        bad_token: BadToken::Challenge,
        denied: Denied::Forbidden,
        basic_too: true,
        open_reads: false,
    },
    torn: Torn::Forgotten,
    post: Post::OctetsOnly,
    mount: Mount { anonymous: true, named: true, phantom: false },
    commit: Commit { tail_needs_range: true, wrong_digest_ends: false },
    referrers: true,
    ..PLAIN
};

/// Docker Hub: tokens of a minute, for one repository each.
pub const DOCKER_HUB: Profile = Profile {
    name: "docker hub",
    access: Access {
        scheme: Scheme::Bearer(Bearer { service: Some("registry.docker.io"), expires_in: None, ..BEARER }),
        ..TOKENS
    },
    ..DISTRIBUTION_2_8
};

/// ACR: relative addresses with a query.
pub const ACR: Profile = Profile {
    name: "acr",
    access: Access {
        scheme: Scheme::Bearer(Bearer { service: Some("acr"), fields: &["access_token"], post: 200, ..BEARER }),
        ..TOKENS
    },
    location: Location::Query,
    ..PLAIN
};

/// Artifactory: says 403 of manifests that are missing, and may not tell digests.
pub const ARTIFACTORY: Profile = Profile {
    name: "artifactory",
    manifests: Manifests { missing: 403, digest_on_head: false, ..PLAIN.manifests },
    ..PLAIN
};

/// One that wants chunks of a certain size.
pub const CHUNK_MINIMUM: Profile =
    Profile { name: "chunk minimum", patch: Patch { minimum: Some(1 << 20), ..PLAIN.patch }, ..PLAIN };

/// Open for reading and closed for writing, by name and password: nginx with `limit_except GET HEAD { auth_basic }`.
pub const OPEN_READS_BASIC: Profile = Profile {
    name: "reading open, writing by password",
    access: Access {
        scheme: Scheme::Basic { realm: "writers" },
        bad_token: BadToken::Challenge,
        denied: Denied::Forbidden,
        basic_too: true,
        open_reads: true,
    },
    ..PLAIN
};

/// Open for reading and closed for writing, by token.
pub const OPEN_READS_BEARER: Profile =
    Profile { name: "reading open, writing by token", access: Access { open_reads: true, ..TOKENS }, ..PLAIN };

/// Open for reading and closed for writing, by token, where identity tokens are exchanged by POST.
pub const OPEN_READS_IDENTITY: Profile = Profile {
    name: "reading open, writing by identity token",
    access: Access { scheme: Scheme::Bearer(Bearer { post: 200, ..BEARER }), open_reads: true, ..TOKENS },
    ..PLAIN
};

/// One that answers questions alone: uploads go on at another origin, and blobs are read and manifests written there.
pub const DISPERSED: Profile = Profile { name: "dispersed", access: TOKENS, dispersed: true, ..PLAIN };

/// The same for identity tokens.
pub const DISPERSED_IDENTITY: Profile = Profile {
    name: "dispersed, with identity tokens",
    access: Access { scheme: Scheme::Bearer(Bearer { post: 200, ..BEARER }), ..TOKENS },
    ..DISPERSED
};

/// All of those that are one origin.
pub const ALL: &[Profile] = &[
    PLAIN,
    GITEA_1_24_3,
    GITEA_1_22,
    DISTRIBUTION_2_8,
    DISTRIBUTION_3,
    HARBOR,
    GHCR,
    ECR,
    GAR,
    QUAY,
    ZOT,
    DOCKER_HUB,
    ACR,
    ARTIFACTORY,
    CHUNK_MINIMUM,
    OPEN_READS_BASIC,
    OPEN_READS_BEARER,
    OPEN_READS_IDENTITY,
];
