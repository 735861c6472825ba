# shellcheck shell=bash
# What build.sh and whole.sh share: contexts, peers, a registry and the clock. Sourced, not run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

RUNS=${RUNS:-5}
SOURCES=${SOURCES:-/usr/include /usr/bin /usr/share /usr/lib}
SMALL_SOURCES=${SMALL_SOURCES:-${CARGO_HOME:-$HOME/.cargo}/registry/src /usr}

fail() {
    printf 'benches/%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

for program in docker-registry curl openssl python3; do
    command -v "$program" >/dev/null || fail "$program is missing"
done
[ -x /usr/bin/time ] || fail "Debian's package time is missing"
if [ -z "${BINARY:-}" ]; then
    cargo build --locked --release --quiet
    BINARY=$PWD/target/release/idpbuilder-oci
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/bench.XXXXXX")
host=127.0.0.1:$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
image=bench-$$
registry_pid=
head=
rows=()
absent=()
export HOME=$work/home XDG_RUNTIME_DIR=$work/run LC_ALL=C BINARY work host image
mkdir -p "$HOME" "$XDG_RUNTIME_DIR" "$work/made"
finish() {
    stop_registry
    cold
    rm -rf -- "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Nothing left of earlier runs.
cold() {
    rm -rf -- "$work/made" "$HOME"
    mkdir -p "$work/made" "$HOME"
    if [[ " ${rows[*]} " == *' buildah '* ]]; then
        containers rmi --all --force >/dev/null 2>&1 || true
    fi
    if [[ " ${rows[*]} " == *' docker '* ]]; then
        docker rmi --force "$image" "$host/bench:1" >/dev/null 2>&1 || true
    fi
}

# --- the registry, empty each time it starts

stop_registry() {
    if [ -n "$registry_pid" ]; then
        kill "$registry_pid" 2>/dev/null || true
        wait "$registry_pid" 2>/dev/null || true
        registry_pid=
    fi
}

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

# --- contexts

file_bytes() {
    find "$@" -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%.0f", sum }'
}

# real_files DIRECTORY MEBIBYTES: copies of this machine's own files, in the order of their names, the same share from each
# of SOURCES; what one of them lacks, the next ones give.
real_files() {
    local source sources bytes=$(($2 * 1048576))
    read -ra sources <<<"$SOURCES"
    local count=${#sources[@]} left=$bytes
    mkdir -p "$1"
    for source in "${sources[@]}"; do
        find "$source" -xdev -type f -readable ! -name $'*\n*' -printf '%s .%p\n' | sort -k 2 |
            awk -v share=$((left / count)) 'sum < 0.99 * share && $1 <= share - sum { sum += $1; sub(/^[0-9]+ /, ""); print }' |
            tar -cf - -C / --hard-dereference --no-unquote -T - | tar -xf - -C "$1"
        left=$((bytes - $(file_bytes "$1")))
        count=$((count - 1))
    done
    [ "$left" -lt $((bytes / 20)) ] || fail "SOURCES hold less than $2 MiB"
    chmod -R u+rwX "$1"
}

# small_files DIRECTORY COUNT: copies of this machine's own files of less than 64 KiB, in the order of their names, the same
# share from each of SMALL_SOURCES; what one of them lacks, the next ones give.
small_files() {
    local source sources left=$2
    read -ra sources <<<"$SMALL_SOURCES"
    local count=${#sources[@]}
    mkdir -p "$1"
    for source in "${sources[@]}"; do
        # sed reads to the end, which head would not.
        find "$source" -xdev -type f -readable -size -128 ! -name $'*\n*' -printf '.%p\n' | sort | sed -n "1,$((left / count))p" |
            tar -cf - -C / --hard-dereference --no-unquote -T - | tar -xf - -C "$1"
        left=$(($2 - $(find "$1" -type f -printf x | wc -c)))
        count=$((count - 1))
    done
    [ "$left" -eq 0 ] || fail "SMALL_SOURCES hold $left small files less than $2"
    chmod -R u+rwX "$1"
}

# table DIRECTORY NAME WHERE: the head of a table, printed over its first row. Reads everything once before the clock runs.
table() {
    local bytes
    bytes=$(tar -cf - -C "$1" . | wc -c)
    printf -v head '\n%s, %d MiB of tar, %d entries:\n\n| what | wall s | largest s | processor s | peak MiB | MiB %s |\n%s' \
        "$2" "$((bytes / 1048576))" "$(find "$1" | wc -l)" "$3" '|---|---|---|---|---|---|'
}

# --- who is there

# offer 'PROGRAM...' ROW...: these rows, if all programs are here.
offer() {
    local program
    for program in $1; do
        if ! command -v "$program" >/dev/null; then
            absent+=("$program")
            return
        fi
    done
    shift
    rows+=("$@")
}

# The rows that need an image builder: storage on overlays where that works, BuildKit where the client has it.
offer_builders() {
    mkdir "$work/tiny"
    printf x >"$work/tiny/x"
    printf 'FROM scratch\nCOPY . /\n' >"$work/Dockerfile"
    printf '{"default":[{"type":"insecureAcceptAnything"}]}' >"$work/policy.json"
    offer buildah buildah
    export driver=overlay DOCKER_BUILDKIT=1
    if wanted buildah && ! buildah_bud "$work/tiny" >/dev/null 2>&1; then
        driver=vfs
    fi
    engine=BuildKit
    if ! command -v docker >/dev/null || ! docker info >/dev/null 2>&1; then
        absent+=('an engine for docker')
        return
    fi
    rows+=(docker)
    if ! docker_build "$work/tiny" >/dev/null 2>&1; then
        DOCKER_BUILDKIT=0
        engine='classic builder'
    fi
    if [[ $(docker info -f '{{.DriverStatus}}') != *containerd.snapshotter* ]]; then
        engine+=', stores uncompressed'
    fi
    cold
}

# Says what is here, and takes ROWS alone, if there are any.
choose() {
    local row
    printf 'medians of %s, %s processors; %s\n' "$RUNS" "$(nproc)" "$("$BINARY" --version)"
    printf 'rows: %s; not here: %s\n' "${rows[*]}" "$(printf '%s, ' "${absent[@]:-nothing}" | sed 's/, $//')"
    for row in ${ROWS:-}; do
        wanted "$row" || fail "no row $row here"
    done
    if [ -n "${ROWS:-}" ]; then
        read -ra rows <<<"$ROWS"
    fi
}

wanted() {
    [[ " ${rows[*]} " == *" $1 "* ]]
}

# --- what runs under the clock

hash() {
    openssl dgst -sha256 -r | cut -d ' ' -f 1
}

# packed CONTEXT COMPRESSOR...: what a shell can do, a tar hashed before and after the compressor.
packed() {
    mkfifo "$work/made/tar"
    hash <"$work/made/tar" >"$work/made/diff" &
    tar -cf - -C "$1" . | tee "$work/made/tar" | "${@:2}" | tee "$work/made/layer" | hash >"$work/made/digest"
    wait
}

umoci_insert() {
    umoci init --layout "$work/made/layout"
    umoci new --image "$work/made/layout:1"
    umoci insert --rootless --image "$work/made/layout:1" "$1" /
}

containers() {
    buildah --root "$work/containers" --runroot "$work/run" --storage-driver "$driver" "$@"
}
buildah_bud() {
    containers bud --isolation chroot --layers=false --quiet --signature-policy "$work/policy.json" \
        -f "$work/Dockerfile" -t "$image" "$1"
}
# buildah_push DESTINATION
buildah_push() {
    containers push --signature-policy "$work/policy.json" --tls-verify=false --quiet "$image" "$1"
}

docker_build() {
    docker build --no-cache --force-rm --quiet -f "$work/Dockerfile" -t "$image" "$1"
}
export -f hash packed umoci_insert containers buildah_bud buildah_push docker_build

# --- the clock

# measure LABEL PREPARE COMMAND...: a row of the table. Processor time is that of all processes but an engine's; peak
# memory that of the largest process, which is less than all of a pipe take together.
measure() {
    local label=$1 prepare=$2 elsewhere=0
    shift 2
    if [[ $1 == docker_* ]]; then elsewhere=1; fi
    export -f "${1?}"
    : >"$work/times"
    # Not at the head of a pipe: the registry is the script's own child.
    for _ in $(seq "$RUNS"); do
        "$prepare"
        sync
        # The clock runs inside, so that it does not count the start of the shell.
        # shellcheck disable=SC2016
        /usr/bin/time -o "$work/time" -f '%U %S %M' bash -euo pipefail -c '
            begun=$EPOCHREALTIME
            "$@"
            ended=$EPOCHREALTIME
            printf "%d " "$((${ended/./} - ${begun/./}))" >>"$work/times"
        ' bench "$@" >"$work/out" 2>&1 || fail "$label: $(tail -n 3 "$work/out")"
        tail -n 1 "$work/time" >>"$work/times"
    done
    if [ -n "$head" ]; then printf '%s\n' "$head"; fi
    head=
    sort -n "$work/times" | awk -v n="$RUNS" -v label="$label" -v elsewhere="$elsewhere" -v made="$(made)" '
        NR == int((n + 1) / 2) { wall = $1; rest = elsewhere ? "- | -" : sprintf("%.2f | %.0f", $2 + $3, $4 / 1024) }
        END { printf "| %s | %.3f | %.3f | %s | %.1f |\n", label, wall / 1e6, $1 / 1e6, rest, made / 1048576 }'
}

# row NAME LABEL COMMAND...
row() {
    if wanted "$1"; then
        measure "$2" fresh "${@:3}"
    fi
}
