#!/usr/bin/env bash
# Pushes the same image to the same registry with idpbuilder-push and its peers, in one run, and prints a table of medians.
#
# Debian packages: docker-registry, skopeo, buildah, podman, curl, openssl, time; Docker where an engine answers, crane
# where it is on PATH. A peer that is not there is named in the table's head, never left out in silence.
#
#   RUNS=5                  runs of each, of which the median counts
#   SHAPES='1x500 10x50'    layers x mebibytes
#   WIRES='http tls'        what the registry speaks
#   CLIENTS='...'           only these, ours first: ours skopeo buildah podman crane docker curl1 curl3 heads; curl1 and curl3
#                           are raw uploads of the same blobs, one or three at a time, and heads asks what a warm push
#                           has to ask, eight questions at a time, and does nothing else
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

RUNS=${RUNS:-5}
SHAPES=${SHAPES:-1x500 10x50}
WIRES=${WIRES:-http tls}

fail() {
    printf 'benches/push.sh: %s\n' "$*" >&2
    exit 1
}

for program in docker-registry skopeo curl openssl sha256sum python3; do
    command -v "$program" >/dev/null || fail "$program is missing"
done
[ -x /usr/bin/time ] || fail "Debian's package time is missing"

cargo build --locked --release --quiet
ours=$PWD/target/release/idpbuilder-oci

work=$(mktemp -d "${TMPDIR:-/tmp}/push-bench.XXXXXX")
registry_pid=
finish() {
    status=$?
    trap - EXIT
    stop_registry
    if [ -n "${docker_loaded:-}" ]; then
        # shellcheck disable=SC2086
        docker rmi -f $docker_loaded >/dev/null 2>&1 || true
    fi
    rm -rf -- "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

export HOME=$work/home
export XDG_RUNTIME_DIR=$work/run
mkdir -p "$HOME" "$XDG_RUNTIME_DIR"
docker_loaded=

# --- the registry, empty each time it starts

stop_registry() {
    if [ -n "$registry_pid" ]; then
        kill "$registry_pid" 2>/dev/null || true
        wait "$registry_pid" 2>/dev/null || true
        registry_pid=
    fi
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

port=$(free_port)
host=127.0.0.1:$port

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=bench \
    -addext 'subjectAltName=IP:127.0.0.1,DNS:localhost' -keyout "$work/tls.key" -out "$work/ca.crt" 2>/dev/null
mkdir -p "$work/certs"
cp "$work/ca.crt" "$work/certs/ca.crt"

start_registry() {
    local wire=$1
    stop_registry
    rm -rf -- "$work/data"
    {
        printf 'version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n'
        printf 'storage: {filesystem: {rootdirectory: %s}}\n' "$work/data"
        printf 'http:\n  addr: %s\n' "$host"
        if [ "$wire" = tls ]; then
            printf '  tls: {certificate: %s, key: %s}\n' "$work/ca.crt" "$work/tls.key"
        fi
    } >"$work/registry.yml"
    OTEL_TRACES_EXPORTER=none docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
    registry_pid=$!
    local deadline=$((SECONDS + 20))
    until curl -ksf -o /dev/null "$(url "$wire")/v2/"; do
        kill -0 "$registry_pid" 2>/dev/null || fail "docker-registry: $(tail -n 3 "$work/registry.log")"
        [ "$SECONDS" -lt "$deadline" ] || fail 'docker-registry does not answer'
    done
}

url() {
    if [ "$1" = tls ]; then printf 'https://%s' "$host"; else printf 'http://%s' "$host"; fi
}

# --- images: noise, which gzip makes no smaller, in layers of one file each

# layer DIRECTORY NAME MEBIBYTES SEED: appends to the lists of layers and of diff_ids
layer() {
    local directory=$1 name=$2 size=$3 seed=$4 tar=$work/layer.tar blob digest diff
    mkdir -p "$work/tree"
    openssl enc -aes-128-ctr -nosalt -K "$(printf '%032x' "$seed")" -iv 0 -in /dev/zero 2>/dev/null |
        head -c "$((size * 1024 * 1024))" >"$work/tree/$name" || true
    tar --sort=name --owner=0 --group=0 --mtime=@1 -C "$work/tree" -cf "$tar" "$name"
    rm "$work/tree/$name"
    diff=$(sha256sum "$tar" | cut -d' ' -f1)
    blob=$work/layer.gz
    gzip -1 -n -c "$tar" >"$blob"
    rm "$tar"
    digest=$(sha256sum "$blob" | cut -d' ' -f1)
    size=$(stat -c %s "$blob")
    mv "$blob" "$directory/blobs/sha256/$digest"
    layers+=("{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"sha256:$digest\",\"size\":$size}")
    diffs+=("\"sha256:$diff\"")
}

joined() {
    local IFS=,
    printf '%s' "$*"
}

# document DIRECTORY TEXT: stores it and prints its descriptor's digest and size
document() {
    local digest
    printf '%s' "$2" >"$work/document"
    digest=$(sha256sum "$work/document" | cut -d' ' -f1)
    printf '"digest":"sha256:%s","size":%d' "$digest" "$(stat -c %s "$work/document")"
    mv "$work/document" "$1/blobs/sha256/$digest"
}

# image DIRECTORY COUNT MEBIBYTES CHANGED: the last layer is another one where CHANGED is 1
image() {
    local directory=$1 count=$2 size=$3 changed=$4 at config manifest
    local layers=() diffs=()
    mkdir -p "$directory/blobs/sha256"
    for at in $(seq 1 "$count"); do
        if [ "$at" -eq "$count" ] && [ "$changed" -eq 1 ]; then
            layer "$directory" "file$at" "$size" 1000
        else
            layer "$directory" "file$at" "$size" "$at"
        fi
    done
    config=$(document "$directory" "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[$(joined "${diffs[@]}")]}}")
    manifest=$(document "$directory" "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",$config},\"layers\":[$(joined "${layers[@]}")]}")
    printf '{"imageLayoutVersion":"1.0.0"}' >"$directory/oci-layout"
    printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",%s,"annotations":{"org.opencontainers.image.ref.name":"bench"}}]}' \
        "$manifest" >"$directory/index.json"
}

# --- the clients: each is given LAYOUT and WIRE, and pushes to $host/bench/app:v1

push_ours() {
    local flags=(--plain-http)
    if [ "$2" = tls ]; then flags=(--ca-file "$work/ca.crt"); fi
    "$ours" push bench "$host/bench/app:v1" --store "$1" --quiet "${flags[@]}"
}

push_skopeo() {
    local flags=(--dest-tls-verify=false)
    if [ "$2" = tls ]; then flags=(--dest-cert-dir "$work/certs"); fi
    skopeo --insecure-policy copy --quiet --dest-no-creds "${flags[@]}" "oci:$1:bench" "docker://$host/bench/app:v1"
}

push_buildah() {
    local flags=(--tls-verify=false)
    if [ "$2" = tls ]; then flags=(--cert-dir "$work/certs"); fi
    buildah --root "$work/containers" --runroot "$work/run" --storage-driver vfs \
        push --signature-policy "$work/policy.json" --quiet "${flags[@]}" "localhost/$(basename "$1"):v1" "docker://$host/bench/app:v1"
}

push_podman() {
    local flags=(--tls-verify=false)
    if [ "$2" = tls ]; then flags=(--cert-dir "$work/certs"); fi
    podman --root "$work/containers" --runroot "$work/run" --storage-driver vfs \
        push --signature-policy "$work/policy.json" --quiet "${flags[@]}" "localhost/$(basename "$1"):v1" "docker://$host/bench/app:v1"
}

push_docker() {
    docker tag "bench-$(basename "$1"):v1" "$host/bench/app:v1"
    docker push --quiet "$host/bench/app:v1"
}

push_crane() {
    local flags=(--insecure)
    if [ "$2" = tls ]; then export SSL_CERT_FILE=$work/ca.crt flags=(); fi
    crane push "${flags[@]}" "$1" "$host/bench/app:v1"
}

# One blob by POST and PUT, unless it is there.
curl_blob() {
    local base=$1 blob=$2 digest location
    digest=sha256:$(basename "$blob")
    if curl -sf --cacert "$work/ca.crt" -o /dev/null --head "$base/v2/bench/app/blobs/$digest"; then
        return
    fi
    location=$(curl -sf --cacert "$work/ca.crt" -o /dev/null -w '%header{location}' -X POST "$base/v2/bench/app/blobs/uploads/")
    curl -sf --cacert "$work/ca.crt" -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' -H 'Expect:' \
        -T "$blob" "$location&digest=$digest"
}

curl_manifest() {
    local base=$1 layout=$2 digest
    digest=$(sed 's/.*"digest":"sha256:\([0-9a-f]*\)".*/\1/' "$layout/index.json")
    curl -sf --cacert "$work/ca.crt" -o /dev/null -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
        --data-binary "@$layout/blobs/sha256/$digest" "$base/v2/bench/app/manifests/v1"
}

# Blobs are all but the manifest; $3 at a time.
push_curl() {
    local base manifest
    base=$(url "$2")
    manifest=$(sed 's/.*"digest":"sha256:\([0-9a-f]*\)".*/\1/' "$1/index.json")
    export -f curl_blob
    export work
    # shellcheck disable=SC2016
    find "$1/blobs/sha256" -type f ! -name "$manifest" -print0 |
        xargs -0 -n 1 -P "$3" bash -c 'set -e; curl_blob "$0" "$1"' "$base"
    curl_manifest "$base" "$1"
}

# The questions of a warm push by one process: whether each blob is there, and what the tag stands for.
push_heads() {
    local list=$1/heads.$2 manifest blob
    if [ ! -s "$list" ]; then
        manifest=$(sed 's/.*"digest":"sha256:\([0-9a-f]*\)".*/\1/' "$1/index.json")
        for blob in "$1"/blobs/sha256/*; do
            if [ "${blob##*/}" = "$manifest" ]; then
                printf 'url = %s/v2/bench/app/manifests/v1\noutput = /dev/null\n' "$(url "$2")"
            else
                printf 'url = %s/v2/bench/app/blobs/sha256:%s\noutput = /dev/null\n' "$(url "$2")" "${blob##*/}"
            fi
        done >"$list"
    fi
    curl -sf --cacert "$work/ca.crt" --head -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
        --parallel --parallel-max 8 --config "$list"
}

push_curl1() { push_curl "$1" "$2" 1; }
push_curl3() { push_curl "$1" "$2" 3; }

# --- who is there

printf '{"default":[{"type":"insecureAcceptAnything"}]}' >"$work/policy.json"
clients=(ours skopeo)
absent=()
for peer in buildah podman crane; do
    if command -v "$peer" >/dev/null; then clients+=("$peer"); else absent+=("$peer"); fi
done
if command -v docker >/dev/null && docker info >/dev/null 2>&1; then clients+=(docker); else absent+=(docker); fi
clients+=(curl1 curl3 heads)
if [ -n "${CLIENTS:-}" ]; then
    for client in $CLIENTS; do
        [[ " ${clients[*]} " == *" $client "* ]] || fail "$client is not here"
    done
    read -ra clients <<<"$CLIENTS"
fi

prepare() {
    local layout=$1 name
    name=$(basename "$layout")
    if [[ " ${clients[*]} " == *' buildah '* || " ${clients[*]} " == *' podman '* ]]; then
        skopeo --insecure-policy copy --quiet "oci:$layout:bench" \
            "containers-storage:[vfs@$work/containers+$work/run]localhost/$name:v1"
    fi
    if [[ " ${clients[*]} " == *' docker '* ]]; then
        skopeo --insecure-policy copy --quiet "oci:$layout:bench" "docker-archive:$work/$name.tar:bench-$name:v1"
        docker load --quiet --input "$work/$name.tar" >/dev/null
        rm "$work/$name.tar"
        docker_loaded="$docker_loaded bench-$name:v1 $host/bench/app:v1"
    fi
}

# --- measuring

# Our median in each case, in microseconds: what the others are compared with.
declare -A first=()

# measured CLIENT LAYOUT WIRE: appends a line `microseconds user-seconds kibibytes` to $work/times
measured() {
    local client=$1
    export -f "push_$client" push_curl url curl_blob curl_manifest
    export ours host work
    # The clock runs inside, so that it does not count the start of the shell.
    # shellcheck disable=SC2016
    /usr/bin/time -o "$work/time" -f '%U %M' bash -c '
        set -euo pipefail
        begun=$EPOCHREALTIME
        "push_$2" "$0" "$1"
        ended=$EPOCHREALTIME
        printf "%d " "$((${ended/./} - ${begun/./}))" >>"$work/times"
    ' "$2" "$3" "$client" >"$work/client.log" 2>&1 || fail "$client: $(tail -n 5 "$work/client.log")"
    tail -n 1 "$work/time" >>"$work/times"
}

# report WIRE SHAPE CASE CLIENT: medians of $work/times
report() {
    local column medians=()
    for column in 1 2 3; do
        medians+=("$(cut -d' ' -f"$column" "$work/times" | sort -n | sed -n "$(((RUNS + 1) / 2))p")")
    done
    if [ "$4" = ours ]; then first["$3"]=${medians[0]}; fi
    awk -v at="| $1 | $2 | $3 | $4 |" -v wall="${medians[0]}" -v user="${medians[1]}" -v kib="${medians[2]}" -v ours="${first[$3]}" \
        'BEGIN { printf "%s %.3f | %.2f | %.2f | %d |\n", at, wall / 1e6, ours / wall, user, kib / 1024 }'
}

printf 'RUNS=%s; %s; %s processors\n' "$RUNS" "$("$ours" --version)" "$(nproc)"
printf 'peers: %s; not here: %s\n\n' "${clients[*]:1}" "${absent[*]:-none}"
printf '| wire | layers x MiB | case | client | s | ours / it | user s | MiB |\n|---|---|---|---|---|---|---|---|\n'
for shape in $SHAPES; do
    count=${shape%x*}
    size=${shape#*x}
    image "$work/base$shape" "$count" "$size" 0
    prepare "$work/base$shape"
    if [ "$count" -gt 1 ]; then
        image "$work/next$shape" "$count" "$size" 1
        prepare "$work/next$shape"
    fi
    for wire in $WIRES; do
        for client in "${clients[@]}"; do
            for what in cold warm changed; do
                if [ "$what" = changed ] && [ "$count" -eq 1 ]; then continue; fi
                if [ "$what" != warm ] && [ "$client" = heads ]; then continue; fi
                : >"$work/times"
                for _ in $(seq "$RUNS"); do
                    layout=$work/base$shape
                    # Nobody may remember what an earlier registry at this address had.
                    rm -rf -- "$HOME/.idpbuilder" "$HOME/.local/share/containers/cache" "$HOME/.cache"
                    if [ "$what" != warm ] || [ ! -s "$work/times" ]; then
                        start_registry "$wire"
                    fi
                    if [ "$client" = heads ]; then
                        push_ours "$layout" "$wire" >"$work/client.log" 2>&1 || fail "ours: $(tail -n 5 "$work/client.log")"
                    fi
                    if [ "$what" != cold ]; then
                        "push_$client" "$layout" "$wire" >"$work/client.log" 2>&1 || fail "$client: $(tail -n 5 "$work/client.log")"
                    fi
                    if [ "$what" = changed ]; then layout=$work/next$shape; fi
                    measured "$client" "$layout" "$wire"
                done
                report "$wire" "$shape" "$what" "$client"
            done
        done
    done
done
