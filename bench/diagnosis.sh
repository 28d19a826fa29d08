#!/usr/bin/env bash
# Makes calls to the real model slow in known ways, and counts what Andon says of them: the tables go to
# standard output, all single results, round by round, to bench/out/diagnosis.json. Some four minutes a seed;
# nothing else should run on the machine meanwhile.
#   bench/diagnosis.sh [--seeds 20] [--seed N] [--only NAME,NAME] [--out FILE] [--with FILE]…
# In portions, each into a file of its own; the last line counts them together and runs nothing:
#   bench/diagnosis.sh --seeds 5 --out bench/out/diagnosis-1.json
#   bench/diagnosis.sh --seeds 5 --out bench/out/diagnosis-2.json
#   bench/diagnosis.sh --seeds 0 --with bench/out/diagnosis-1.json --with bench/out/diagnosis-2.json
# Other tools before the same calls: bench/diagnosis_peers.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/web.sh
scripts/cargo.sh build --profile fast -p andon
scripts/model.sh
mkdir -p bench/out
ANDON_TESTED=$(realpath "${CARGO_TARGET_DIR:-target}/fast/andon") \
    exec node bench/diagnosis/run.mjs --out bench/out/diagnosis.json "$@"
