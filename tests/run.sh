#!/usr/bin/env bash
# End-to-end tests: the real binary, the real model, a real browser and real clients, all on
# loopback. Builds the binary first. `make test` brings what they need; alone they run after it:
#   tests/run.sh                      all of them
#   tests/run.sh tests/e2e/chat.test.mjs …   only these
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A test that hangs is ended after this; the slowest takes a tenth of it.
test_limit_ms=240000

# Not in the tests' time: on a clean checkout this compiles llama.cpp.
scripts/cargo.sh build -p andon

if (($# > 0)); then
    tests=("$@")
else
    tests=(tests/e2e/*.test.mjs)
fi

# One file at a time: each has a model at work and measures what becomes of it.
exec node --test --test-concurrency=1 --test-timeout="$test_limit_ms" --test-reporter=spec \
    "${tests[@]}"
