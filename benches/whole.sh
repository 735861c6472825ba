#!/usr/bin/env bash
# From a folder to a registry, with nothing left of earlier runs: idpbuilder-build and idpbuilder-push beside umoci and
# skopeo, and beside what a shell can do. Prints a table of medians.
#
# Debian packages: docker-registry, umoci, skopeo, pigz, curl, time. A peer that is not there is an error, not a gap.
#
#   RUNS=3         runs of each, of which the median counts
#   FILES=20000    files of the folder, of 26 KiB each, a quarter of which compression takes away
#   BINARY=...     another build of idpbuilder-oci than target/release
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

RUNS=${RUNS:-3}
FILES=${FILES:-20000}

fail() {
    printf 'benches/whole.sh: %s\n' "$*" >&2
    exit 1
}

for program in docker-registry umoci skopeo pigz curl python3 sha256sum; do
    command -v "$program" >/dev/null || fail "$program is missing"
done
[ -x /usr/bin/time ] || fail "Debian's package time is missing"
if [ -z "${BINARY:-}" ]; then
    cargo build --locked --release --quiet
    BINARY=$PWD/target/release/idpbuilder-oci
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/whole-bench.XXXXXX")
registry_pid=
stop_registry() {
    if [ -n "$registry_pid" ]; then
        kill "$registry_pid" 2>/dev/null || true
        wait "$registry_pid" 2>/dev/null || true
        registry_pid=
    fi
}
trap 'stop_registry; rm -rf -- "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
host=127.0.0.1:$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export HOME=$work/home BINARY work host
mkdir -p "$HOME" "$work/folder"

# Empty each time it starts.
start_registry() {
    stop_registry
    rm -rf -- "$work/data"
    printf 'version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %s}\n' \
        "$work/data" "$host" >"$work/registry.yml"
    OTEL_TRACES_EXPORTER=none docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
    registry_pid=$!
    local deadline=$((SECONDS + 20))
    until curl -sf -o /dev/null "http://$host/v2/"; do
        kill -0 "$registry_pid" 2>/dev/null || fail "docker-registry: $(tail -n 3 "$work/registry.log")"
        [ "$SECONDS" -lt "$deadline" ] || fail 'docker-registry does not answer'
    done
}

ours() {
    "$BINARY" build "$work/folder" -t "$host/bench:1" --store "$work/made/store" --progress none --quiet "$@" >/dev/null
    "$BINARY" push "$host/bench:1" --store "$work/made/store" --plain-http --progress none --quiet >/dev/null
}
umoci_skopeo() {
    umoci init --layout "$work/made/layout"
    umoci new --image "$work/made/layout:1"
    umoci insert --rootless --image "$work/made/layout:1" "$work/folder" /
    skopeo copy --quiet --insecure-policy --dest-tls-verify=false "oci:$work/made/layout:1" "docker://$host/bench:1"
}
# An upload of a file in one request, as its digest.
upload() {
    local location
    location=$(curl -sf -o /dev/null -D - -X POST "http://$host/v2/bench/blobs/uploads/" | tr -d '\r' |
        sed -n 's/^[Ll]ocation: //p')
    curl -sf -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' -T "$1" "$location&digest=sha256:$2"
}
# A tar, hashed before and after the compressor, a blob each, and a manifest.
shell() {
    local layer diff config
    tar -cf - -C "$work/folder" . | tee >(sha256sum | cut -d ' ' -f 1 >"$work/made/diff") | "$@" |
        tee "$work/made/layer" | sha256sum | cut -d ' ' -f 1 >"$work/made/digest"
    layer=$(cat "$work/made/digest")
    until [ -s "$work/made/diff" ]; do :; done
    diff=$(cat "$work/made/diff")
    printf '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$diff" \
        >"$work/made/config"
    config=$(sha256sum "$work/made/config" | cut -d ' ' -f 1)
    upload "$work/made/layer" "$layer"
    upload "$work/made/config" "$config"
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:%s","size":%s}]}' \
        "$config" "$(stat -c %s "$work/made/config")" "$layer" "$(stat -c %s "$work/made/layer")" >"$work/made/manifest"
    curl -sf -o /dev/null -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
        --data-binary "@$work/made/manifest" "http://$host/v2/bench/manifests/1"
}
export -f ours umoci_skopeo upload shell

# Seconds of wall and processor, peak MiB (of the largest process), MiB in the registry.
measure() {
    local label=$1
    shift
    # Not at the head of a pipe: the registry is the script's own child.
    : >"$work/runs"
    for _ in $(seq "$RUNS"); do
        rm -rf -- "$work/made" "$HOME/.idpbuilder"
        mkdir "$work/made"
        start_registry
        sync
        /usr/bin/time -o "$work/time" -f '%e %U %S %M' bash -euo pipefail -c '"$@"' bench "$@" >"$work/out" 2>&1 ||
            fail "$label: $(tail -n 3 "$work/out")"
        curl -sf -o /dev/null -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$host/v2/bench/manifests/1" ||
            fail "$label pushed no image"
        printf '%s %s\n' "$(cat "$work/time")" "$(du -sb "$work/data" | cut -f 1)" >>"$work/runs"
    done
    stop_registry
    sort -n "$work/runs" | awk -v n="$RUNS" -v label="$label" 'NR == int((n + 1) / 2) {
        printf "| %s | %.2f | %.2f | %.0f | %.1f |\n", label, $1, $2 + $3, $4 / 1024, $5 / 1048576
    }'
}

for directory in $(seq $((FILES / 400))); do
    mkdir -p "$work/folder/d$directory"
    # Three quarters of 400 files, which base64 makes whole again.
    head -c $((300 * 26844)) /dev/urandom | base64 -w 0 | split -b 26844 -a 3 -d - "$work/folder/d$directory/f"
done
# Files that were written a moment ago are never taken from the cache, and everything is in the page cache.
bytes=$(tar -cf - -C "$work/folder" . | wc -c)
printf 'medians of %s, %s processors: %.0f MiB, %s entries\n\n' "$RUNS" "$(nproc)" "$((bytes / 1048576))" \
    "$(find "$work/folder" | wc -l)"
printf '| what | wall s | processor s | peak MiB | MiB in the registry |\n|---|---|---|---|---|\n'
measure 'ours, build and push (gzip 6, default)' ours
measure 'ours, build and push (gzip 1)' ours --compression-level 1
measure 'ours, build and push (zstd 3)' ours --compression-format zstd
measure 'umoci insert, skopeo copy' umoci_skopeo
measure 'tar, pigz, curl' shell pigz
measure 'tar, pigz -1, curl' shell pigz -1
