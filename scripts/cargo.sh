#!/usr/bin/env bash
# cargo with what scripts/deps.sh found out, so that every build of this checkout has the same
# environment and nothing is compiled twice.
#   scripts/cargo.sh build -p andon …     adds --no-default-features where the runtime's tools lack
#   scripts/cargo.sh clippy --workspace … leaves out the runtime's crate as well, then
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ANDON_BUILTIN_RUNTIME=1
if [[ -f .cache/build.env ]]; then
    # shellcheck source=/dev/null
    source .cache/build.env
fi

command=$1
shift
# Subcommands of two words: nextest run.
words=("$command")
if [[ "$command" == nextest ]]; then
    words+=("$1")
    shift
fi
extra=()
if [[ "$ANDON_BUILTIN_RUNTIME" != 1 ]]; then
    extra+=(--no-default-features)
    for argument in "$@"; do
        [[ "$argument" == -- ]] && break
        [[ "$argument" == --workspace ]] && extra+=(--exclude andon-runtime)
    done
fi
# A submission must hold the lock file that it was tried with.
if [[ "${CI:-}" == true ]]; then
    extra+=(--locked)
fi
exec cargo "${words[@]}" ${extra[@]+"${extra[@]}"} "$@"
