#!/usr/bin/env bash
# Builds an image layer from the same directory with idpbuilder-build and its peers, in one run, and prints a table of
# medians. Then builds a context of many files over and over: from nothing, unchanged, and after an edit of one file.
#
# Debian packages: umoci, pigz, zstd, time. A peer that is not there is an error, not a gap.
#
#   RUNS=5                     runs of each, of which the median counts
#   CONTEXTS='/usr/share ...'  directories to pack, read once before the clock runs; besides them, 500 MiB of noise
#   FILES=40000                files of the context that is built over and over, of 26 KiB each; 0 leaves it out
#   BINARY=...                 another build of idpbuilder-oci than target/release
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

RUNS=${RUNS:-5}
CONTEXTS=${CONTEXTS:-/usr/lib/x86_64-linux-gnu /usr/share}
NOISE_MIB=${NOISE_MIB:-500}
FILES=${FILES:-40000}

fail() {
    printf 'benches/build.sh: %s\n' "$*" >&2
    exit 1
}

for program in umoci pigz zstd sha256sum; do
    command -v "$program" >/dev/null || fail "$program is missing"
done
[ -x /usr/bin/time ] || fail "Debian's package time is missing"
if [ -z "${BINARY:-}" ]; then
    cargo build --locked --release --quiet
    BINARY=$PWD/target/release/idpbuilder-oci
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/build-bench.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
export HOME=$work/home BINARY
mkdir -p "$HOME"

# Each prints the bytes of the layer it made.
ours() {
    rm -rf -- "$work/store"
    "$BINARY" build "$1" -t bench:1 --store "$work/store" --progress none --quiet \
        --compression-format "$2" --compression-level "$3" >/dev/null
    du -cb "$work"/store/blobs/sha256/* | tail -n 1 | cut -f 1
}
# With what earlier builds left, in the number of layers that $2 says; $3 is done first.
again() {
    "$3" "$1"
    "$BINARY" build "$1" -t bench:1 --store "$work/again-$2" --progress none --quiet --layers "$2" >/dev/null
    du -cb "$work/again-$2"/blobs/sha256/* | tail -n 1 | cut -f 1
}
from_nothing() {
    rm -rf -- "$work"/again-* "$HOME/.idpbuilder/cache"
}
edit() {
    printf x >>"$1/d1/f200"
}
umoci_insert() {
    rm -rf -- "$work/umoci"
    umoci init --layout "$work/umoci"
    umoci new --image "$work/umoci:1"
    umoci insert --rootless --image "$work/umoci:1" "$1" /
    du -cb "$work"/umoci/blobs/sha256/* | tail -n 1 | cut -f 1
}
# What a shell can do: pack, hash before and after, write.
piped() {
    local context=$1
    shift
    tar -cf - -C "$context" . | tee >(sha256sum >/dev/null) | "$@" | tee "$work/layer" | sha256sum >/dev/null
    stat -c %s "$work/layer"
}

# Seconds of wall and processor, peak MiB (of the largest process), bytes.
measure() {
    local label=$1
    shift
    for _ in $(seq "$RUNS"); do
        sync
        /usr/bin/time -o "$work/time" -f '%e %U %S %M' bash -c '"$@"' bench "$@" >"$work/size"
        printf '%s %s\n' "$(cat "$work/time")" "$(tail -n 1 "$work/size")"
    done | sort -n | awk -v n="$RUNS" -v label="$label" 'NR == int((n + 1) / 2) {
        printf "| %s | %.2f | %.2f | %.0f | %.1f |\n", label, $1, $2 + $3, $4 / 1024, $5 / 1048576
    }'
}
export -f ours again from_nothing edit umoci_insert piped
export work

head -c "${NOISE_MIB}M" /dev/urandom >"$work/noise.bin"
mkdir "$work/noise"
mv "$work/noise.bin" "$work/noise/"

printf 'medians of %s, %s processors\n' "$RUNS" "$(nproc)"
for context in $CONTEXTS "$work/noise"; do
    bytes=$(tar -cf - -C "$context" . | wc -c)
    name=${context#"$work/"}
    printf '\n%s: %.0f MiB, %s entries\n\n' "$name" "$((bytes / 1048576))" "$(find "$context" | wc -l)"
    printf '| what | wall s | processor s | peak MiB | MiB made |\n|---|---|---|---|---|\n'
    for level in 1 4 6 9; do
        measure "ours, gzip $level" ours "$context" gzip "$level"
    done
    for level in 1 3; do
        measure "ours, zstd $level" ours "$context" zstd "$level"
    done
    measure 'ours, none' ours "$context" none 0
    measure 'umoci insert' umoci_insert "$context"
    measure 'tar, pigz' piped "$context" pigz
    measure 'tar, pigz -1' piped "$context" pigz -1
    measure 'tar, zstd -3 -T0' piped "$context" zstd -q -3 -T0
done

if [ "$FILES" -gt 0 ]; then
    for directory in $(seq $((FILES / 400))); do
        mkdir -p "$work/many/d$directory"
        # Three quarters of 400 files, which base64 makes whole again.
        head -c $((300 * 26844)) /dev/urandom | base64 -w 0 | split -b 26844 -a 3 -d - "$work/many/d$directory/f"
    done
    # Files that were written a moment ago are read again.
    sleep 3
    bytes=$(tar -cf - -C "$work/many" . | wc -c)
    printf '\n%s: %.0f MiB, %s entries\n\n' many "$((bytes / 1048576))" "$(find "$work/many" | wc -l)"
    printf '| what | wall s | processor s | peak MiB | MiB in the store |\n|---|---|---|---|---|\n'
    for layers in auto single; do
        measure "$layers, from nothing" again "$work/many" "$layers" from_nothing
        measure "$layers, unchanged" again "$work/many" "$layers" true
        measure "$layers, one file edited" again "$work/many" "$layers" edit
        sleep 3
    done
fi
