#!/usr/bin/env bash
# How far off is the time that is said to be left while a prompt is read? Some ten seconds a call; nothing
# else should run on the machine meanwhile.
#   bench/timeleft.sh [--calls 40] [--seed N]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/web.sh
scripts/cargo.sh build --profile fast -p andon
scripts/model.sh
ANDON_TESTED=$(realpath "${CARGO_TARGET_DIR:-target}/fast/andon") exec node bench/timeleft/run.mjs "$@"
