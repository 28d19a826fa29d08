#!/usr/bin/env bash
# Measures Andon against baselines in the same run; about six minutes after the build. The table
# and all numbers go to bench/out/. Nothing else should run on the machine meanwhile.
#   BENCH_PROFILE=fast     instead of release (quicker to build, not what is shipped)
#   ARGS="--parts overhead,start --calls 1000"   see bench/harness/src/main.rs
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

profile=${BENCH_PROFILE:-release}
target=${CARGO_TARGET_DIR:-target}
out=bench/out
peers=()

# The pages are a part of the binary.
scripts/web.sh
# Apart, so that the binary is the one that `make build` makes.
scripts/cargo.sh build --profile "$profile" -p andon
scripts/cargo.sh build --profile "$profile" -p andon-runtime --example bench_direct
scripts/cargo.sh build --profile "$profile" -p andon-host --example collect
CARGO_TARGET_DIR="$target/bench" cargo build --release --locked --manifest-path bench/harness/Cargo.toml
scripts/model.sh
# What the capture is measured beside; without it, only Andon is.
# shellcheck source=scripts/packages.sh
source scripts/packages.sh
have nginx || install_packages "a baseline for the capture" nginx-light || true

# peer FLAG PROGRAM PACKAGE: one from PyPI, in a venv of its own; what cannot be had is left out.
peer() {
    local flag=$1 program=$2 package=$3 venv=.cache/peer-$2
    if [[ ! -x $venv/bin/$program ]]; then
        python3 -m venv "$venv" && "$venv/bin/python" -m pip install --quiet \
            --disable-pip-version-check "$package" || rm -rf "$venv"
    fi
    if [[ -x $venv/bin/$program ]]; then
        peers+=("$flag" "$venv/bin/$program")
    fi
}

# The usual proxy; its 750 MB of packages are for this alone.
peer --litellm litellm 'litellm[proxy]==1.108.7'
# Receivers of the same protocols.
peer --phoenix phoenix 'arize-phoenix==20.26.1'
peer --test-agent ddapm-test-agent 'ddapm-test-agent==1.69.1'

mkdir -p "$out"
read -r -a more <<<"${ARGS:-}"
exec "$target/bench/release/andon-bench" \
    --andon "$target/$profile/andon" \
    --direct "$target/$profile/examples/bench_direct" \
    --model data/models/gemma-3-270m-q4_k_m.gguf \
    --collect "$target/$profile/examples/collect" \
    --card crates/runtime/cards/gemma-3-270m.toml \
    --out "$out" ${peers[@]+"${peers[@]}"} ${more[@]+"${more[@]}"}
