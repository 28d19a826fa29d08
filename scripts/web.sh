#!/usr/bin/env bash
# Builds the pages into web/dist, when their sources changed since the last build.
#   scripts/web.sh            without Node, or without network: says so, and Andon is built with
#                             its placeholder page
#   scripts/web.sh --strict   that is an error (tests, releases)
#   scripts/web.sh --modules  only web/node_modules, strictly
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/packages.sh
source scripts/packages.sh

mode=${1:-}
modules_stamp=.cache/web-modules
build_stamp=.cache/web-build

# give_up REASON: the one way out when the pages cannot be built.
give_up() {
    if [[ -n "$mode" ]]; then
        warn "cannot build the pages: $1"
        exit 1
    fi
    warn "cannot build the pages: $1; going on with what there is (a placeholder page on a new" \
        "checkout)"
    exit 0
}

# Of every file that the pages are made from, names and contents.
sources_hash() {
    find web -type f -not -path 'web/node_modules/*' -not -path 'web/dist/*' -print0 |
        LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c 1-64
}

[[ -f web/package.json ]] || give_up "web/package.json is missing"
if ! have node || ! have npm; then
    give_up "Node.js (20.19 or newer, with npm) is not installed"
fi
node -e 'const [a, b] = process.versions.node.split(".").map(Number);
    process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    give_up "Node.js $(node --version) is too old, 20.19 or newer is needed"

mkdir -p .cache
modules="$(sha256sum <web/package-lock.json | cut -c 1-64) $(node --version)"
if [[ ! -d web/node_modules || "$(cat "$modules_stamp" 2>/dev/null)" != "$modules" ]]; then
    say "installing the pages' modules (npm ci)"
    rm -f "$modules_stamp"
    (cd web && npm ci --no-fund --no-audit --loglevel=error) || give_up "npm ci failed"
    printf '%s\n' "$modules" >"$modules_stamp"
fi
[[ "$mode" == --modules ]] && exit 0

sources=$(sources_hash)
if [[ ! -f web/dist/index.html || "$(cat "$build_stamp" 2>/dev/null)" != "$sources" ]]; then
    say "building the pages"
    rm -f "$build_stamp"
    (cd web && npm run --silent build) || give_up "npm run build failed"
    printf '%s\n' "$sources" >"$build_stamp"
fi
