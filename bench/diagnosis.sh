#!/usr/bin/env bash
# Makes calls to the real model slow in known ways, and counts what Andon says of them: the table of
# causes goes to standard output, all single results to bench/out/diagnosis.json. Two and a half minutes
# a seed; nothing else should run on the machine meanwhile.
#   bench/diagnosis.sh [--seeds 20] [--seed N] [--only NAME,NAME]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/web.sh
scripts/cargo.sh build --profile fast -p andon
scripts/model.sh
mkdir -p bench/out
ANDON_TESTED=$(realpath "${CARGO_TARGET_DIR:-target}/fast/andon") \
    exec node bench/diagnosis/run.mjs --out bench/out/diagnosis.json "$@"
