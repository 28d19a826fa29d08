#!/usr/bin/env bash
# What does Andon take from a model's tokens a second? Some six minutes; nothing else should run on the
# machine meanwhile.
#   bench/overhead.sh [--pairs 40] [--tokens 128] [--seed N]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/web.sh
scripts/cargo.sh build --profile fast -p andon
scripts/model.sh
ANDON_TESTED=$(realpath "${CARGO_TARGET_DIR:-target}/fast/andon") exec node bench/overhead/run.mjs "$@"
