//! Documents as real tools write them: all of them are read.

use super::*;
use crate::image::{Document, ImageConfig, Index};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Replaces `@` by a digest.
fn filled(text: &str) -> Vec<u8> {
    text.replace('@', DIGEST).into_bytes()
}

#[test]
fn manifests_and_indexes_of_real_tools_are_read() {
    for (tool, text) in [
        (
            "docker push",
            r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":
            {"mediaType":"application/vnd.docker.container.image.v1+json","size":7023,"digest":"@"},"layers":
            [{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":32654,"digest":"@2"}]}"#,
        ),
        (
            "a foreign layer of Windows",
            r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":
            {"mediaType":"application/vnd.docker.container.image.v1+json","size":7023,"digest":"@"},"layers":
            [{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","size":1,"digest":"@2",
            "urls":["https://mcr.microsoft.com/v2/windows/nanoserver/blobs/sha256:00"]}]}"#,
        ),
        (
            "docker manifest push",
            r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":
            [{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":7143,"digest":"@","platform":
            {"architecture":"ppc64le","os":"linux","features":["sse4"]}},{"mediaType":
            "application/vnd.docker.distribution.manifest.v2+json","size":7682,"digest":"@2","platform":
            {"architecture":"amd64","os":"windows","os.version":"10.0.20348.1607","os.features":["win32k"]}}]}"#,
        ),
        (
            "buildkit",
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":
            "application/vnd.oci.image.manifest.v1+json","digest":"@","size":480,"annotations":
            {"org.opencontainers.image.created":"2024-01-01T00:00:00Z"},"platform":{"architecture":"arm","os":"linux",
            "variant":"v7"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"@2","size":566,
            "annotations":{"vnd.docker.reference.digest":"@","vnd.docker.reference.type":"attestation-manifest"},
            "platform":{"architecture":"unknown","os":"unknown"}}]}"#,
        ),
        (
            "buildkit's attestation",
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":
            "application/vnd.oci.image.config.v1+json","digest":"@","size":167},"layers":[{"mediaType":
            "application/vnd.in-toto+json","digest":"@2","size":1833,"annotations":
            {"in-toto.io/predicate-type":"https://slsa.dev/provenance/v0.2"}}]}"#,
        ),
        (
            "buildah and podman",
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":
            "application/vnd.oci.image.config.v1+json","digest":"@","size":692},"layers":[],"annotations":
            {"org.opencontainers.image.base.digest":"","org.opencontainers.image.base.name":""}}"#,
        ),
        (
            "umoci",
            r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"@",
            "size":134},"layers":null}"#,
        ),
        (
            "oras",
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":
            "application/vnd.acme.rocket","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"data":"e30="},"layers":
            [{"mediaType":"application/vnd.oci.empty.v1+json","digest":
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"data":"e30="}],
            "subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"@","size":1},
            "annotations":{"org.opencontainers.image.created":"2024-01-01T00:00:00Z"}}"#,
        ),
    ] {
        let text = text.replace("@2", &DIGEST.replace('e', "f"));
        Document::parse(None, filled(&text)).unwrap_or_else(|error| panic!("{tool}: {error:?}"));
    }
}

#[test]
fn indexes_of_layouts_of_real_tools_are_read() {
    for (tool, text) in [
        ("umoci init", r#"{"schemaVersion":2,"manifests":null}"#),
        (
            "skopeo",
            r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"@",
            "size":192,"annotations":{"org.opencontainers.image.ref.name":"1"}}]}"#,
        ),
        (
            "docker save",
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":
            "application/vnd.oci.image.manifest.v1+json","digest":"@","size":401,"annotations":
            {"io.containerd.image.name":"docker.io/library/x:1","org.opencontainers.image.ref.name":"1"},"platform":
            {"architecture":"amd64","os":"linux"}}]}"#,
        ),
    ] {
        from_slice::<Index>(&filled(text)).unwrap_or_else(|error| panic!("{tool}: {error}"));
    }
}

#[test]
fn configurations_of_real_tools_are_read() {
    for (tool, text) in [
        (
            "docker commit",
            r#"{"architecture":"amd64","config":{"Hostname":"4a1","Domainname":"","User":"","AttachStdin":false,
            "AttachStdout":true,"AttachStderr":true,"ExposedPorts":{"80/tcp":{}},"Tty":false,"OpenStdin":false,
            "StdinOnce":false,"Env":["PATH=/bin"],"Cmd":["sh"],"ArgsEscaped":true,"Healthcheck":{"Test":["CMD-SHELL",
            "true"],"Interval":30000000000,"Timeout":3000000000,"StartPeriod":0,"Retries":3},"Image":"@","Volumes":
            {"/data":{}},"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":{},"StopSignal":"SIGTERM",
            "MacAddress":"","NetworkDisabled":false,"PublishService":"","StopTimeout":10,"Shell":["/bin/sh","-c"]},
            "container":"4a1","container_config":{"Hostname":"4a1","Cmd":["/bin/sh","-c","(nop) "],"Env":null,
            "Labels":{}},"created":"2019-01-01T00:00:00.1Z","docker_version":"18.06.1-ce","history":[{"created":
            "2019-01-01T00:00:00Z","created_by":"/bin/sh -c","empty_layer":true}],"os":"linux","rootfs":
            {"type":"layers","diff_ids":["@"]},"id":"","parent":"@","comment":""}"#,
        ),
        (
            "buildkit",
            r#"{"architecture":"arm64","config":{"Env":["PATH=/bin"],"Cmd":["sh"],"WorkingDir":"/","ArgsEscaped":true,
            "OnBuild":null},"created":"2024-01-01T00:00:00Z","history":[{"created":"2024-01-01T00:00:00Z","created_by":
            "RUN x","comment":"buildkit.dockerfile.v0"}],"moby.buildkit.buildinfo.v1":"eyJ9","moby.buildkit.cache.v0":
            "W3sibGF5ZXJzIjpbXX1d","os":"linux","rootfs":{"type":"layers","diff_ids":["@"]},"variant":"v8"}"#,
        ),
        (
            "buildkit's attestation",
            r#"{"architecture":"unknown","os":"unknown","config":{},"rootfs":{"type":"layers","diff_ids":["@"]}}"#,
        ),
        (
            "buildah and podman",
            r#"{"created":"2024-01-01T00:00:00Z","architecture":"amd64","os":"linux","config":{"Cmd":["sh"],"Labels":
            {"io.buildah.version":"1.33.7"}},"rootfs":{"type":"layers","diff_ids":["@"]},"history":[{"created":
            "2024-01-01T00:00:00Z","created_by":"/bin/sh","comment":"FROM docker.io/library/busybox:latest"}]}"#,
        ),
        (
            "kaniko",
            r#"{"architecture":"amd64","author":"kaniko","config":{"Cmd":["sh"],"Env":["PATH=/bin"],"Image":""},
            "created":"0001-01-01T00:00:00Z","history":[{"author":"kaniko","created":"0001-01-01T00:00:00Z",
            "created_by":"RUN x"}],"os":"linux","rootfs":{"type":"layers","diff_ids":["@"]}}"#,
        ),
        (
            "jib",
            r#"{"created":"1970-01-01T00:00:00Z","architecture":"amd64","os":"linux","config":{"Env":[],"Entrypoint":
            ["java","Main"],"ExposedPorts":{},"Labels":{},"Volumes":{}},"history":[{"created":"1970-01-01T00:00:00Z",
            "author":"Jib","created_by":"jib-maven-plugin:3.4.0","comment":"classes"}],"rootfs":{"type":"layers",
            "diff_ids":["@"]}}"#,
        ),
        (
            "ko",
            r#"{"architecture":"amd64","author":"github.com/ko-build/ko","created":"0001-01-01T00:00:00Z","history":
            [{"author":"apko","created":"0001-01-01T00:00:00Z","created_by":"apko"}],"os":"linux","rootfs":{"type":
            "layers","diff_ids":["@"]},"config":{"Entrypoint":["/ko-app/x"],"Env":["KO_DATA_PATH=/var/run/ko"],
            "User":"65532","WorkingDir":"/"}}"#,
        ),
        (
            "bazel",
            r#"{"architecture":"amd64","author":"Bazel","config":{"Cmd":null,"Entrypoint":["/app"],"Env":["A=1"]},
            "created":"1970-01-01T00:00:00Z","history":[{"author":"Bazel","created":"1970-01-01T00:00:00Z",
            "created_by":"bazel build ..."}],"os":"linux","rootfs":{"diff_ids":["@"],"type":"layers"}}"#,
        ),
        (
            "crane on an empty base",
            r#"{"architecture":"","created":"0001-01-01T00:00:00Z","history":null,"os":"","rootfs":{"type":"layers",
            "diff_ids":null},"config":{}}"#,
        ),
        (
            "umoci",
            r#"{"created":"2026-11-30T19:52:12.910346301Z","architecture":"amd64","os":"linux","config":{},"rootfs":
            {"type":"layers","diff_ids":[]}}"#,
        ),
    ] {
        from_slice::<ImageConfig>(&filled(text)).unwrap_or_else(|error| panic!("{tool}: {error}"));
    }
}
