#!/usr/bin/env bash
# Does what the simulation says come true? Some ten minutes; nothing else should run on the machine
# meanwhile.
#   bench/capacity.sh [--calls 60] [--people 4] [--seed N]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/web.sh
scripts/cargo.sh build --profile fast -p andon
scripts/model.sh
ANDON_TESTED=$(realpath "${CARGO_TARGET_DIR:-target}/fast/andon") exec node bench/capacity/run.mjs "$@"
