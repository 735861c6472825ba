//! Flags of `docker build`, `docker buildx build`, `podman build`, `buildah build` and kaniko.

use super::{Flag, flag};

const DOCKERFILE: &str = "is about Dockerfiles, which idpbuilder-build does not build";
const BY_A_BUILDER: &str = "build the Dockerfile with docker or podman, take the image over with `docker save IMAGE | \
                            idpbuilder-load`, and push that; or pack a directory onto a base: idpbuilder-build DIR \
                            --from BASE -t NAME";

const RUN: &str = "is about commands that run during a build, and idpbuilder-build runs none";
const LEAVE_OUT: &str =
    "leave it out; a Dockerfile with RUN needs docker or podman, whose image idpbuilder-load takes over";

const ATTESTATION: &str = "asks for an attestation, and idpbuilder-build makes none";
const ATTACH: &str = "leave it out, and attach one to the pushed reference, for example with cosign or oras";

const SIGNATURE: &str = "is about signatures, which idpbuilder-build neither makes nor checks";
const SIGN: &str = "leave it out; sign the pushed reference, for example with cosign";

const CACHE: &str = "is about a cache elsewhere, and idpbuilder-build keeps layers on this machine only";
const LEAVE_CACHE_OUT: &str =
    "leave it out; layers of unchanged files are taken from earlier builds, unless you say --no-cache";

const PLATFORM: &str = "is one part of a platform";
const WHOLE_PLATFORM: &str = "name the platform whole: --platform OS/ARCH[/VARIANT]";

const INHERITED: &str = "would leave out what the base has, which idpbuilder-build cannot do";

/// The flags, by what they are about.
pub(crate) const FLAGS: &[Flag] = &[
    // Dockerfiles
    flag(&["-f", "--file", "--dockerfile"], DOCKERFILE, BY_A_BUILDER),
    flag(
        &["--build-arg", "--build-arg-file"],
        "sets an argument of a Dockerfile, which idpbuilder-build does not build",
        "--env NAME=VALUE sets a variable of the image; a Dockerfile needs docker or podman, whose image idpbuilder-load \
         takes over",
    ),
    flag(
        &["--target", "--no-cache-filter", "--skip-unused-stages", "--save-stages", "--stage-labels"],
        DOCKERFILE,
        BY_A_BUILDER,
    ),
    flag(&["--call", "--check", "--print", "--cpp-flag"], DOCKERFILE, BY_A_BUILDER),
    flag(
        &["--build-context"],
        "names a further context of a Dockerfile, which idpbuilder-build does not build",
        "put a further directory into the image with --copy DIR:/PATH",
    ),
    // Commands during a build
    flag(
        &["--secret", "--ssh"],
        "gives a secret to commands that run during a build, and idpbuilder-build runs none",
        LEAVE_OUT,
    ),
    flag(
        &["--add-host", "--allow", "--network", "--net", "--no-hosts", "--no-hostname", "--http-proxy"],
        RUN,
        LEAVE_OUT,
    ),
    flag(&["--dns", "--dns-option", "--dns-search"], RUN, LEAVE_OUT),
    flag(
        &["--cap-add", "--cap-drop", "--device", "--group-add", "--security-opt", "--shm-size", "--ulimit"],
        RUN,
        LEAVE_OUT,
    ),
    flag(&["--cgroup-parent", "--cgroupns", "--cpu-period", "--cpu-quota", "-c", "--cpu-shares"], RUN, LEAVE_OUT),
    flag(&["--cpuset-cpus", "--cpuset-mems", "-m", "--memory", "--memory-swap"], RUN, LEAVE_OUT),
    flag(
        &["--hooks-dir", "--ipc", "--isolation", "--no-pivot", "--pid", "--runtime", "--runtime-flag"],
        RUN,
        LEAVE_OUT,
    ),
    flag(&["--stdin", "--transient-mounts", "--userns", "--userns-gid-map", "--userns-gid-map-group"], RUN, LEAVE_OUT),
    flag(&["--userns-uid-map", "--userns-uid-map-user", "--uts", "--compat-volumes"], RUN, LEAVE_OUT),
    flag(&["--rm", "--force-rm"], "removes containers of the build, and idpbuilder-build makes none", "leave it out"),
    // Where the image goes
    flag(
        &["--load"],
        "gives the image to the Docker Engine, and idpbuilder-build keeps it in the local store",
        "leave it out, and give the stored image to Docker: idpbuilder-save NAME | docker load",
    ),
    flag(
        &["-o", "--output"],
        "says where the image goes, and idpbuilder-build keeps it in the local store",
        "leave it out; write an archive with idpbuilder-save NAME -o FILE, or push while you build with --push",
    ),
    flag(
        &["-d", "--destination"],
        "says where the image is pushed",
        "name the image with -t, and push it while you build with --push=DEST",
    ),
    flag(&["--no-push"], "is not needed: without --push nothing is pushed", "leave it out"),
    flag(
        &["--manifest"],
        "adds the image to an index",
        "build all platforms at once with --platform OS/ARCH,OS/ARCH, or join images with idpbuilder-index create",
    ),
    flag(
        &["--format"],
        "chooses between OCI's and Docker's formats, and images of idpbuilder-build are always OCI images",
        "leave it out; idpbuilder-save --format docker-archive writes what docker load reads",
    ),
    // Layers, times and compression
    flag(&["--squash", "--squash-all", "--single-snapshot"], "asks for one layer", "say --layers single"),
    flag(
        &["--compress"],
        "compresses what goes to a daemon, and idpbuilder-build needs none",
        "leave it out; --compression-format chooses how layers are compressed",
    ),
    flag(&["--disable-compression"], "asks for plain layers", "say --compression-format none"),
    flag(&["--force-compression"], "is not needed: all layers that are packed are compressed alike", "leave it out"),
    flag(
        &["--rewrite-timestamp", "--reproducible"],
        "is not needed: all files get one time, and the same files make the same image",
        "leave it out; --timestamp SECONDS or SOURCE_DATE_EPOCH sets the time",
    ),
    flag(&["--stream"], "is not needed: files are never sent to a daemon", "leave it out"),
    flag(
        &["--omit-history", "--created-annotation", "--identity-label", "--layer-label"],
        "chooses what a builder notes in an image, and idpbuilder-build always notes the same",
        "leave it out; --label and --annotation add what you want to note",
    ),
    // The base
    flag(&["--pull-always"], "asks the registry for the base", "say --pull"),
    flag(
        &["--pull-never"],
        "forbids to ask a registry for the base",
        "leave it out; a base that the local store has is taken from there, unless you say --pull",
    ),
    flag(&["--unsetenv"], INHERITED, "set the variable to nothing: --env NAME="),
    flag(&["--unsetlabel", "--inherit-labels"], INHERITED, "set the label to nothing: --label KEY="),
    flag(
        &["--unsetannotation", "--inherit-annotations"],
        INHERITED,
        "set the annotation to nothing: --annotation KEY=",
    ),
    flag(
        &["--cw", "--decryption-key"],
        "is about encrypted images, which idpbuilder-build neither reads nor makes",
        "leave it out",
    ),
    // Platforms
    flag(&["--arch", "--os", "--variant"], PLATFORM, WHOLE_PLATFORM),
    flag(&["--os-feature", "--os-version"], PLATFORM, WHOLE_PLATFORM),
    flag(
        &["--all-platforms"],
        "builds for all platforms of the base",
        "name the platforms: --platform OS/ARCH,OS/ARCH",
    ),
    // Caches, attestations, signatures
    flag(&["--cache-from", "--cache-to", "--cache-ttl"], CACHE, LEAVE_CACHE_OUT),
    flag(
        &["--attest", "--provenance", "--sbom", "--sbom-image-output", "--sbom-image-purl-output"],
        ATTESTATION,
        ATTACH,
    ),
    flag(&["--sbom-merge-strategy", "--sbom-output", "--sbom-purl-output"], ATTESTATION, ATTACH),
    flag(&["--sbom-scanner-command", "--sbom-scanner-image"], ATTESTATION, ATTACH),
    flag(&["--sign-by", "--signature-policy", "--policy", "--source-policy-file"], SIGNATURE, SIGN),
    flag(
        &["--disable-content-trust"],
        "turns Docker Content Trust off, which idpbuilder-build never uses",
        "leave it out; every blob is checked against its digest",
    ),
    // How the build runs and what it says
    flag(&["--builder"], "chooses a BuildKit builder, and idpbuilder-build needs none", "leave it out"),
    flag(&["-D", "--debug", "--loglevel"], "asks for more output", "say -v"),
    flag(&["--jobs"], "is not needed: a build uses every core", "leave it out"),
    flag(
        &["--logfile", "--logsplit"],
        "writes what the build says to a file",
        "redirect standard error: idpbuilder-build ... 2>FILE",
    ),
    flag(
        &["--log-rusage", "--rusage", "--rusage-logfile"],
        "measures the build",
        "leave it out; time idpbuilder-build ... measures the whole command",
    ),
];
