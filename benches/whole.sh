#!/usr/bin/env bash
# From a folder to a registry, with nothing left of earlier runs: idpbuilder-build --push beside crane, umoci with skopeo,
# buildah and docker, and beside what a shell can do. Prints a table of medians.
#
# Debian packages: docker-registry, curl, openssl, python3, time; peers are umoci, skopeo, buildah, pigz, Docker where an
# engine answers, whose own processor time and memory are not counted, and crane where it is on PATH. A peer that is not
# there is named in the head, never left out in silence. Peak memory is that of the largest process.
#
#   RUNS=5                 runs of each, of which the median counts
#   SIZE=500               MiB of the folder, real files
#   SOURCES='/usr/...'     directories that these are copied from
#   FILES=0                in place of these, so many small files
#   SMALL_SOURCES='/usr'   directories that these are copied from, the sources of crates and /usr unless told
#   ROWS='ours crane ...'  only these of the rows that the head names
#   BINARY=...             another build of idpbuilder-oci than target/release
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

SIZE=${SIZE:-500}
FILES=${FILES:-0}

ours() {
    "$BINARY" build "$work/folder" -t "$host/bench:1" --store "$work/made/store" --push --plain-http --progress none --quiet "$@"
}
crane_append() {
    tar -cf - -C "$work/folder" . | crane append --insecure -f - -t "$host/bench:1"
}
umoci_skopeo() {
    umoci_insert "$work/folder"
    skopeo copy --quiet --insecure-policy --dest-tls-verify=false "oci:$work/made/layout:1" "docker://$host/bench:1"
}
buildah_whole() {
    buildah_bud "$work/folder"
    buildah_push "docker://$host/bench:1"
}
docker_whole() {
    docker_build "$work/folder"
    docker tag "$image" "$host/bench:1"
    docker push --quiet "$host/bench:1"
}
# upload FILE HEX: in one request
upload() {
    local location
    location=$(curl -sf -o /dev/null -D - -X POST "http://$host/v2/bench/blobs/uploads/" | tr -d '\r' |
        sed -n 's/^[Ll]ocation: //p')
    curl -sf -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' -T "$1" "$location&digest=sha256:$2"
}
# A layer and a configuration, a blob each, and a manifest.
shell() {
    local layer config
    packed "$work/folder" "$@"
    layer=$(cat "$work/made/digest")
    printf '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
        "$(cat "$work/made/diff")" >"$work/made/config"
    config=$(hash <"$work/made/config")
    upload "$work/made/layer" "$layer"
    upload "$work/made/config" "$config"
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:%s","size":%s}]}' \
        "$config" "$(stat -c %s "$work/made/config")" "$layer" "$(stat -c %s "$work/made/layer")" >"$work/made/manifest"
    curl -sf -o /dev/null -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
        --data-binary "@$work/made/manifest" "http://$host/v2/bench/manifests/1"
}
export -f upload

# The bytes that the last run made, once its image is there.
made() {
    curl -sf -o /dev/null "http://$host/v2/bench/manifests/1" \
        -H 'Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json' ||
        fail 'no image was pushed'
    file_bytes "$work/data"
}

fresh() {
    cold
    start_registry
}

rows=(ours ours-gzip-1 ours-zstd)
offer crane crane
offer 'umoci skopeo' umoci
offer_builders
offer pigz pigz pigz-1
choose

if [ "$FILES" -gt 0 ]; then
    name="$FILES small files"
    small_files "$work/folder" "$FILES"
else
    name="$SIZE MiB of real files"
    real_files "$work/folder" "$SIZE"
fi
table "$work/folder" "$name" 'in the registry'
row ours 'ours, gzip (default)' ours
row ours-gzip-1 'ours, gzip 1' ours --compression-level 1
row ours-zstd 'ours, zstd' ours --compression-format zstd
row crane 'tar, crane append' crane_append
row umoci 'umoci insert, skopeo copy' umoci_skopeo
row buildah "buildah bud and push ($driver)" buildah_whole
row docker "docker build and push ($engine)" docker_whole
row pigz 'tar, pigz, curl' shell pigz
row pigz-1 'tar, pigz -1, curl' shell pigz -1
