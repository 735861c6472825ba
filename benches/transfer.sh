#!/usr/bin/env bash
# Moves an image that idpbuilder-build made: a cold push, a first pull into an empty store, and a second pull of the same
# image, beside crane and skopeo, over loopback and plain http. Prints a table of medians.
#
# Debian packages: docker-registry, curl, openssl, python3, time; peers are skopeo, and crane where it is on PATH. A peer
# that is not there is named in the head, never left out in silence.
#
#   RUNS=5                 runs of each, of which the median counts
#   LAYERS=10 SIZE=50      layers, and MiB of each, which do not compress
#   ROWS='ours crane ...'  only these of the rows that the head names
#   BINARY=...             another build of idpbuilder-oci than target/release
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

LAYERS=${LAYERS:-10}
SIZE=${SIZE:-50}
store=$work/own
layout=$work/layout
export store layout

ours_push() {
    "$BINARY" push bench:1 "$host/bench:1" --store "$store" --plain-http --quiet
}
crane_push() {
    crane push --insecure "$layout" "$host/bench:1"
}
skopeo_push() {
    skopeo copy --quiet --insecure-policy --dest-tls-verify=false "oci:$layout:bench:1" "docker://$host/bench:1"
}
ours_pull() {
    "$BINARY" pull "$host/bench:1" --tag pulled:1 --store "$work/made/store" --plain-http --quiet "$@"
}
crane_pull() {
    crane pull --insecure --format oci "$host/bench:1" "$work/made/crane"
}
skopeo_pull() {
    skopeo copy --quiet --insecure-policy --src-tls-verify=false "docker://$host/bench:1" "oci:$work/made/skopeo:1"
}
# Bytes of the image, in the registry and in what was pulled.
made() {
    file_bytes "$work/data"
}

pushed() {
    start_registry
    rm -rf -- "$HOME/.idpbuilder/cache"
}
pulled() {
    rm -rf -- "$work/made"
    mkdir -p "$work/made"
}
# What there is stays.
again() {
    :
}

rows=(ours ours-verify)
offer crane crane
offer skopeo skopeo
choose

mkdir "$work/folder"
for at in $(seq "$LAYERS"); do
    openssl enc -aes-128-ctr -nosalt -K "$(printf '%032x' "$at")" -iv 0 -in /dev/zero 2>/dev/null |
        head -c "$((SIZE * 1024 * 1024))" >"$work/folder/layer$at" || true
done
"$BINARY" build "$work/folder" --tag bench:1 --layers "$LAYERS" --store "$store" --quiet >/dev/null
# The peers read the same files.
cp -r "$store" "$layout"

table "$work/folder" "A push of $LAYERS layers" 'in the registry'
if wanted ours; then measure 'ours' pushed ours_push; fi
if wanted crane; then measure 'crane' pushed crane_push; fi
if wanted skopeo; then measure 'skopeo' pushed skopeo_push; fi

pushed
ours_push >/dev/null
table "$work/folder" 'A pull into an empty store' 'in the registry'
if wanted ours; then measure 'ours' pulled ours_pull; fi
if wanted crane; then measure 'crane' pulled crane_pull; fi
if wanted skopeo; then measure 'skopeo' pulled skopeo_pull; fi

pulled
table "$work/folder" 'A second pull' 'in the registry'
if wanted ours; then ours_pull >/dev/null && measure 'ours' again ours_pull; fi
if wanted ours-verify; then ours_pull >/dev/null && measure 'ours, --verify' again ours_pull --verify; fi
if wanted crane; then crane_pull && measure 'crane' again crane_pull; fi
if wanted skopeo; then skopeo_pull && measure 'skopeo' again skopeo_pull; fi
