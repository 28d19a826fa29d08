#!/usr/bin/env bash
# Measures the store beside DuckDB and SQLite over the same data, in one run: ten million spans over
# 30 days and two million texts; about 15 minutes after the build, and 3 GB of disk.
#   BENCH_PROFILE=release    instead of fast: link-time optimisation, half an hour more to build
#   SPANS=1000000 TEXTS=200000 DAYS=30
# Prints a table; all numbers go to bench/out/store.jsonl. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

profile=${BENCH_PROFILE:-fast}
target=${CARGO_TARGET_DIR:-target}
spans=${SPANS:-10000000}
texts=${TEXTS:-2000000}
days=${DAYS:-30}
out=bench/out
peers=.cache/store-peers

scripts/cargo.sh build --profile "$profile" -p andon-store --example bench_store
if [[ ! -x $peers/bin/python ]] || ! "$peers/bin/python" -c 'import duckdb' 2>/dev/null; then
    rm -rf "$peers"
    python3 -m venv "$peers"
    "$peers/bin/python" -m pip install --quiet --disable-pip-version-check duckdb==2.0.1
fi

mkdir -p "$out"
folder=$(mktemp -d "${TMPDIR:-/tmp}/andon-bench-store.XXXXXX")
trap 'rm -rf "$folder"' EXIT
bench=$target/$profile/examples/bench_store
{
    "$bench" fill "$folder/data" "$spans" "$texts" "$days"
    "$bench" ask "$folder/data" "$days"
    "$bench" replay "$folder/replay"
    "$peers/bin/python" bench/store_peers.py "$folder" "$days"
} | tee "$out/store.jsonl"
python3 bench/store_table.py "$out/store.jsonl"
