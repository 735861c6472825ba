#!/usr/bin/env bash
# How long docker-credential-idpbuilder takes to say "not found": for a registry of others, which every build asks for,
# and for a cluster that does not run. Prints a table; hyperfine measures where it is installed, a loop elsewhere.
#
#     cargo build --release --locked && benches/helper.sh
#
# Needs bash and python3 (for a server that never answers).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

executable=$PWD/target/release/idpbuilder-oci
[ -x "$executable" ] || { echo "benches/helper.sh: run cargo build --release --locked first" >&2; exit 1; }
place=$(mktemp -d)
silent=
finish() {
    if [ -n "$silent" ]; then kill "$silent" 2>/dev/null || true; fi
    rm -rf -- "$place"
}
trap finish EXIT

mkdir -p "$place/bin" "$place/home/.kube" "$place/run"
ln -s "$executable" "$place/bin/docker-credential-idpbuilder"
printf '#!/bin/sh\necho credentials not found in native keychain\nexit 1\n' >"$place/bin/docker-credential-shell"
chmod 755 "$place/bin/docker-credential-shell"
# Five hundred stored entries: nobody has as many.
mkdir -p "$place/many/.idpbuilder"
python3 - "$place/many/.idpbuilder/credentials.json" <<'PYTHON'
import json, sys
item = json.dumps({"kind": "basic", "username": "u", "secret": "x" * 40})
entries = {f"r{n}.example": {"server": f"r{n}.example", "username": "u", "item": item} for n in range(500)}
json.dump({"version": 1, "entries": entries}, open(sys.argv[1], "w"))
PYTHON

kubeconfig() {
    printf '{"current-context":"kind-localdev","clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:%s"}}],' "$1"
    printf '"users":[{"name":"u","user":{}}],"contexts":[{"name":"kind-localdev","context":{"cluster":"c","user":"u"}}]}\n'
}
# The kernel takes connections, and nobody reads from them.
python3 -c 'import signal, socket, sys
listener = socket.create_server(("127.0.0.1", 0), backlog=512)
print(listener.getsockname()[1], flush=True)
signal.pause()' >"$place/port" &
silent=$!
until [ -s "$place/port" ]; do :; done
kubeconfig "$(cat "$place/port")" >"$place/silent"
kubeconfig 1 >"$place/refused"

# ask HELPER HOME KUBECONFIG: a command line without a shell.
ask() {
    printf 'env -i HOME=%s PATH=%s:/usr/bin:/bin XDG_RUNTIME_DIR=%s KUBECONFIG=%s docker-credential-%s get' \
        "$place/$2" "$place/bin" "$place/run" "$place/$3" "$1"
}

# milliseconds RUNS ADDRESS COMMAND: median and maximum, a shell's start to redirect standard input included.
milliseconds() {
    printf '%s' "$2" >"$place/address"
    printf 'exec %s <%s\n' "$3" "$place/address" >"$place/ask"
    if command -v hyperfine >/dev/null; then
        hyperfine --shell none --style none --ignore-failure --warmup 3 --runs "$1" --export-json "$place/result" \
            "sh $place/ask" >"$place/log" 2>&1 || { cat "$place/log" >&2; exit 1; }
        python3 -c 'import json, sys
result = json.load(open(sys.argv[1]))["results"][0]
print("%.1f %.1f" % (result["median"] * 1000, result["max"] * 1000))' "$place/result"
    else
        python3 -c 'import statistics, subprocess, sys, time
times = []
for _ in range(int(sys.argv[1])):
    begun = time.perf_counter()
    subprocess.run(["sh", sys.argv[2]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    times.append((time.perf_counter() - begun) * 1000)
print("%.1f %.1f" % (statistics.median(times), max(times)))' "$1" "$place/ask"
    fi
}

base=
row() {
    local median maximum
    read -r median maximum < <(milliseconds "$2" "$3" "$4")
    base=${base:-$median}
    printf '| %s | %s | %s | %s |\n' "$1" "$median" "$maximum" \
        "$(awk -v a="$median" -v b="$base" 'BEGIN { printf "%.1f", a / b }')"
}

echo '| what | median ms | maximum ms | times the script |'
echo '|---|---|---|---|'
cluster=gitea.cnoe.localtest.me:8443
row 'a shell script that says "not found"' 100 quay.io "$(ask shell home refused)"
row 'a registry of others' 100 quay.io "$(ask idpbuilder home refused)"
row 'a registry of others, 500 stored entries' 100 quay.io "$(ask idpbuilder many refused)"
row "the cluster's registry, its API server refuses" 30 "$cluster" "$(ask idpbuilder home refused)"
row "the cluster's registry, its API server is silent" 10 "$cluster" "$(ask idpbuilder home silent)"
