#!/usr/bin/env bash
# Builds an image of the same directory with idpbuilder-build and its peers, in one run, and prints tables of medians:
# of files of this machine, large and small ones, and of noise. Then builds and pushes over and over: from nothing,
# unchanged, and after edits of one file.
#
# Debian packages: docker-registry, curl, openssl, python3, time; peers are umoci, buildah, pigz, zstd, and Docker where an
# engine answers, whose own processor time and memory are not counted. A peer that is not there is named in the head,
# never left out in silence. Peak memory is that of the largest process.
#
#   RUNS=5                 runs of each, of which the median counts
#   SIZES='100 500 1024'   contexts of so many MiB of real files; the last one is built over and over, too
#   SOURCES='/usr/...'     directories that these files are copied from
#   FILES=40000            a context of so many small files, built over and over, too; 0 leaves it out
#   SMALL_SOURCES='/usr'   directories that these are copied from, the sources of crates and /usr unless told
#   NOISE_MIB=500          a context of one file that does not compress, and one of a file in base64, of which a quarter
#                          goes away; 0 leaves both out
#   CONTEXTS='/usr/share'  further directories, as they are
#   EDITS=10               files that are edited one after another, with a build each
#   ROWS='ours umoci ...'  only these of the rows that the head names
#   BINARY=...             another build of idpbuilder-oci than target/release
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

SIZES=${SIZES-100 500 1024}
FILES=${FILES:-40000}
NOISE_MIB=${NOISE_MIB:-500}
EDITS=${EDITS:-10}

ours() {
    "$BINARY" build "$1" -t bench:1 --store "$work/made/store" --progress none --quiet "${@:2}"
}
# With what earlier builds left.
again() {
    "$BINARY" build "$1" -t "$host/bench:1" --store "$work/kept" --progress none --quiet "${@:2}"
}
buildah_layout() {
    buildah_bud "$1"
    buildah_push "oci:$work/made/layout:1"
}
# The least that an image of these files can cost: each is read and hashed, by two at the same time.
floor() {
    find "$1" -type f -print0 | xargs -0 openssl dgst -sha256 >/dev/null &
    find "$1" -type f -print0 | xargs -0 openssl dgst -sha256 >/dev/null
    wait
}

# The bytes that the last run made.
made() {
    local kept=()
    if [ -d "$work/kept" ]; then kept=("$work/kept/blobs"); fi
    if wanted docker && docker image inspect "$image" >/dev/null 2>&1; then
        docker image inspect -f '{{.Size}}' "$image"
    else
        find "$work/made" "${kept[@]}" \( -name layer -o -path '*/blobs/*' \) -type f -printf '%s\n' |
            awk '{ sum += $1 } END { printf "%.0f", sum }'
    fi
}

fresh() {
    cold
}
from_nothing() {
    rm -rf -- "$work/kept" "$HOME/.idpbuilder"
}
edit() {
    local file
    read -r file <&3
    printf x >>"$file"
}
# The same ones each time, and no file twice.
to_edit() {
    find "$1" -type f ! -name $'*\n*' | python3 -c 'import random, sys
random.seed(1)
sys.stdout.writelines(random.sample(sorted(sys.stdin), int(sys.argv[1])))' $((2 * EDITS)) >"$work/edits"
}

# pack CONTEXT NAME
pack() {
    table "$1" "$2" made
    local level
    row ours 'ours, gzip (default)' ours "$1"
    for level in 1 4 6 9; do
        row "ours-gzip-$level" "ours, gzip $level" ours "$1" --compression-level "$level"
    done
    for level in 1 3; do
        row "ours-zstd-$level" "ours, zstd $level" ours "$1" --compression-format zstd --compression-level "$level"
    done
    row ours-none 'ours, none' ours "$1" --compression-format none
    row floor 'read + two sha256 overlapped' floor "$1"
    row umoci 'umoci insert' umoci_insert "$1"
    row buildah "buildah bud, push to a layout ($driver)" buildah_layout "$1"
    row docker "docker build ($engine)" docker_build "$1"
    row pigz 'tar, pigz' packed "$1" pigz
    row pigz-1 'tar, pigz -1' packed "$1" pigz -1
    row zstd-3 'tar, zstd -3 -T0' packed "$1" zstd -q -3 -T0
    row zstd-1 'tar, zstd -1 -T0' packed "$1" zstd -q -1 -T0
}

# over_again CONTEXT NAME
over_again() {
    cold
    wanted again || wanted single || wanted edits || return 0
    to_edit "$1"
    exec 3<"$work/edits"
    # Files that were written a moment ago are read again.
    sleep 3
    table "$1" "$2, over and over" 'in the store'
    if wanted single; then
        measure 'single, from nothing' from_nothing again "$1" --layers single
        measure 'single, unchanged' true again "$1" --layers single
    fi
    if wanted again; then
        measure 'auto, from nothing' from_nothing again "$1"
        measure 'auto, unchanged' true again "$1"
        RUNS=$EDITS measure "auto, $EDITS edits of one file" edit again "$1"
    fi
    if wanted edits; then
        from_nothing
        sleep 3
        start_registry
        again "$1" --push --plain-http >"$work/out" 2>&1 || fail "a first push: $(tail -n 3 "$work/out")"
        measure 'auto, unchanged, and push' true again "$1" --push --plain-http
        RUNS=$EDITS measure "auto, $EDITS edits of one file, and push" edit again "$1" --push --plain-http
        stop_registry
    fi
    from_nothing
}

rows=(ours ours-gzip-{1,4,6,9} ours-zstd-{1,3} ours-none floor)
offer umoci umoci
offer_builders
offer pigz pigz pigz-1
offer zstd zstd-3 zstd-1
rows+=(again single edits)
choose

for context in ${CONTEXTS:-}; do
    pack "$context" "$context"
done
for size in $SIZES; do
    real_files "$work/context" "$size"
    pack "$work/context" "$size MiB of real files"
    if [ "$size" = "${SIZES##* }" ]; then over_again "$work/context" "$size MiB of real files"; fi
    rm -rf -- "$work/context"
done
if [ "$FILES" -gt 0 ]; then
    small_files "$work/context" "$FILES"
    pack "$work/context" "$FILES small files"
    over_again "$work/context" "$FILES small files"
    rm -rf -- "$work/context"
fi
if [ "$NOISE_MIB" -gt 0 ]; then
    mkdir "$work/context"
    head -c "${NOISE_MIB}M" /dev/urandom >"$work/context/noise"
    pack "$work/context" 'Noise'
    # Three quarters, which base64 makes whole again.
    head -c "$((NOISE_MIB * 3 / 4))M" /dev/urandom | base64 -w 0 >"$work/context/noise"
    pack "$work/context" 'Noise in base64'
fi
