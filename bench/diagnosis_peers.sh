#!/usr/bin/env bash
# What kvprof and ollama-llmwatch say of the same slow calls, beside Andon: the table goes to standard
# output. Some ten minutes a seed; nothing else should run on the machine meanwhile.
#   bench/diagnosis_peers.sh [--seeds 1] [--seed N] [--only NAME,NAME]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.cache/peers-diagnosis
# llama.cpp's own server comes with the first of them.
packages=(xllamacpp==2026.10.11549 kvprof==0.2.0 ollama-llmwatch==0.9.1)

scripts/web.sh
scripts/cargo.sh build --profile fast -p andon
scripts/model.sh
if [[ ! -x $venv/bin/kvprof ]]; then
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
fi
mkdir -p bench/out
ANDON_TESTED=$(realpath "${CARGO_TARGET_DIR:-target}/fast/andon") exec node bench/diagnosis/peers.mjs \
    --venv "$venv" --out bench/out/diagnosis-peers.json "$@"
