//! Flags of docker's, podman's and buildah's commands about images that exist already.

use super::{Flag, flag};

const CONTENT_TRUST: Flag = flag(
    &["--disable-content-trust"],
    "turns Docker Content Trust off, which this command never uses",
    "leave it out; every blob is checked against its digest",
);

const SIGN: &str = "leave it out; sign the pushed reference, for example with cosign";
const SIGNATURES: &str = "is about signatures, which this command neither makes nor checks";
const WHOLE_PLATFORM: &str = "name the platform whole: --platform OS/ARCH[/VARIANT]";

/// `docker push`, `podman push`, `buildah push`.
pub(crate) const PUSH: &[Flag] = &[
    flag(
        &["-a", "--all-tags", "--all"],
        "pushes all that a repository has, and idpbuilder-push pushes what you name",
        "name each image; an index is always pushed with all its images",
    ),
    CONTENT_TRUST,
    flag(
        &["--platform", "--arch", "--os", "--variant"],
        "chooses one image of an index, and idpbuilder-push pushes what you name",
        "pull or build that platform under a name of its own, or push the image by its digest",
    ),
    flag(
        &["--compress", "--compression-format", "--compression-level", "--force-compression", "--add-compression"],
        "compresses layers anew, and idpbuilder-push sends the bytes that are stored",
        "choose the compression when you build: idpbuilder-build --compression-format FORMAT",
    ),
    flag(&["-f"], "chooses the manifest's format, and idpbuilder-push sends the bytes that are stored", "leave it out"),
    flag(&["--remove-signatures", "--signature-policy"], SIGNATURES, "leave it out"),
    flag(
        &["--sign-by", "--sign-by-sigstore", "--sign-by-sigstore-private-key", "--sign-passphrase-file"],
        SIGNATURES,
        SIGN,
    ),
    flag(
        &["--encryption-key", "--encrypt-layer"],
        "encrypts layers, and idpbuilder-push sends the bytes that are stored",
        "leave it out",
    ),
    flag(&["--rm"], "removes the image after the push", "run idpbuilder-rm NAME after the push"),
];

/// `docker pull`, `podman pull`, `buildah pull`.
pub(crate) const PULL: &[Flag] = &[
    flag(
        &["-a", "--all-tags"],
        "pulls all tags of a repository, and idpbuilder-pull pulls one image",
        "name each image; --all-platforms pulls all that an index has",
    ),
    CONTENT_TRUST,
    flag(&["--arch", "--os", "--variant"], "is one part of a platform", WHOLE_PLATFORM),
    flag(
        &["--policy"],
        "says when a registry is asked, and idpbuilder-pull always asks it",
        "leave it out; blobs that are stored are not fetched again",
    ),
    flag(&["--decryption-key"], "is about encrypted images, which idpbuilder-pull does not read", "leave it out"),
    flag(&["--remove-signatures", "--signature-policy"], SIGNATURES, "leave it out"),
];

/// `docker tag`, `buildah tag`.
pub(crate) const TAG: &[Flag] =
    &[flag(&["-f", "--force"], "is not needed: a name that another image has is moved, with a notice", "leave it out")];

/// `docker images`, `podman images`, `buildah images`.
pub(crate) const LIST: &[Flag] = &[
    flag(&["-a", "--all"], "is not needed: idpbuilder-list shows every image that is stored", "leave it out"),
    flag(&["--tree"], "shows the images of an index", "leave it out; idpbuilder-inspect NAME shows what an index has"),
    flag(
        &["--history"],
        "shows former names, and idpbuilder-list keeps none",
        "leave it out; idpbuilder-inspect NAME --history shows how an image was made",
    ),
    flag(
        &["-n", "--noheading"],
        "leaves the heading out",
        "say --quiet for ids alone, or give a template: --format '{{.Name}} {{.Size}}'",
    ),
    flag(&["--sort"], "chooses the order, and idpbuilder-list shows the newest first", "pipe the list through sort"),
    flag(&["--json"], "asks for JSON", "say --output json"),
];

/// `docker inspect`, `podman inspect`.
pub(crate) const INSPECT: &[Flag] = &[
    flag(&["-f"], "is a flag's short name that idpbuilder-inspect does not have", "say --format TEMPLATE"),
    flag(&["-s", "--size"], "is not needed: idpbuilder-inspect always shows the size", "leave it out"),
    flag(&["-t", "--type"], "is not needed: idpbuilder-inspect is about images alone", "leave it out"),
    flag(&["-l", "--latest"], "is about containers, and idpbuilder-inspect is about images", "name an image"),
    flag(&["--raw"], "shows the manifest's bytes", "say --manifest"),
];

/// `docker rmi`, `podman rmi`, `buildah rmi`.
pub(crate) const RM: &[Flag] = &[
    flag(&["--no-prune"], "is not needed: blobs stay until you prune", "leave it out; --prune frees their space"),
    flag(&["-p"], "is a flag's short name that idpbuilder-rm does not have", "say --prune"),
    flag(
        &["-i", "--ignore"],
        "hides that an image is not there",
        "leave it out, and let your script ignore the exit code: idpbuilder-rm NAME || true",
    ),
];

/// `docker save`, `podman save`.
pub(crate) const SAVE: &[Flag] = &[
    flag(
        &["--compress", "--uncompressed"],
        "compresses layers anew, and idpbuilder-save writes them as its format has them",
        "leave it out; --format oci-archive keeps layers as they are stored, and docker-archive writes plain ones",
    ),
    flag(&["-m", "--multi-image-archive"], "is not needed: an archive has every image that you name", "leave it out"),
];

/// `docker load`, `podman load`.
pub(crate) const LOAD: &[Flag] = &[flag(&["--signature-policy"], SIGNATURES, "leave it out")];
