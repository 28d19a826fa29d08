#!/usr/bin/env bash
# Fuzzes the receivers: what no client would send, guided by which code it reaches.
#   scripts/fuzz.sh [SECONDS] [TARGET…]   60 seconds each, and all targets, where nothing is said
# An input that crashes, hangs, takes too much memory or breaks a property is kept; the last lines say
# how to try it again. What reached something new is kept as well, in <target dir>/fuzz/corpus, and is where
# the next run begins.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/packages.sh
source scripts/packages.sh

seconds=60
if [[ "${1:-}" =~ ^[0-9]+$ ]]; then
    seconds=$1
    shift
fi
target_dir=$(realpath -m "${CARGO_TARGET_DIR:-target}")/fuzz
corpora=$target_dir/corpus
artifacts=$target_dir/artifacts
logs=$target_dir/logs
# Everything is run once before the clock starts: more than this takes longer than it is worth.
most_corpus_kib=$((32 * 1024))
# Larger inputs reach nothing that smaller ones do not, and take their time.
most_bytes=16384

mapfile -t all < <(cd fuzz/fuzz_targets && printf '%s\n' *.rs | sed 's/\.rs$//')
targets=("${@:-${all[@]}}")
for name in "${targets[@]}"; do
    if [[ ! -f fuzz/fuzz_targets/$name.rs ]]; then
        warn "there is no target $name; there are: ${all[*]}"
        exit 2
    fi
done

# What `cargo fuzz` passes with `--sanitizer none`, which needs neither that nor a nightly compiler. A
# sanitizer of addresses would look for what cannot be: there is no unsafe code in these crates.
coverage_flags() {
    printf -- '-Cllvm-args=-sanitizer-coverage-%s ' level=4 inline-8bit-counters pc-table \
        trace-compares stack-depth
    printf -- '-Cpasses=sancov-module -Cllvm-args=-simplifycfg-branch-fold-threshold=0 --cfg fuzzing'
}

# With its triple named, build scripts and macros are built without these flags.
host=$(rustc -vV | sed -n 's/^host: //p')

build() {
    local locked=()
    [[ "${CI:-}" == true ]] && locked=(--locked)
    CARGO_TARGET_DIR=$target_dir RUSTFLAGS=$(coverage_flags) cargo build --quiet --release \
        --manifest-path fuzz/Cargo.toml --target "$host" ${locked[@]+"${locked[@]}"}
}

# The words that a target's inputs are made of.
dictionary() {
    case $1 in
        otlp_json) cat fuzz/dictionaries/{names,otlp_json}.dict ;;
        datadog_*) cat fuzz/dictionaries/{names,datadog}.dict ;;
        langfuse) cat fuzz/dictionaries/{names,langfuse}.dict ;;
        dogstatsd) cat fuzz/dictionaries/dogstatsd.dict ;;
        *) cat fuzz/dictionaries/names.dict ;;
    esac
}

# Runs one target, silently; its output and its status are in files.
fuzz() {
    local name=$1 corpus=$corpora/$1 status=0
    mkdir -p "$corpus"
    if (($(du -sk "$corpus" | cut -f 1) > most_corpus_kib)); then
        rm -rf "$corpus"
        mkdir -p "$corpus"
    fi
    dictionary "$name" >"$logs/$name.dict"
    # The first folder is written, the other is only read.
    "$target_dir/$host/release/$name" "$corpus" "fuzz/seeds/$name" \
        -max_total_time="$seconds" -max_len=$most_bytes -timeout=10 -rss_limit_mb=1024 \
        -dict="$logs/$name.dict" -artifact_prefix="$artifacts/$name-" \
        -print_final_stats=1 >"$logs/$name.log" 2>&1 || status=$?
    printf '%s\n' "$status" >"$logs/$name.status"
}

# The last number behind a word of a log.
figure() {
    local found
    found=$(grep -oE "$2 *[0-9]+" "$logs/$1.log" | tail -n 1 | grep -oE '[0-9]+$') || found='?'
    printf '%s' "$found"
}

# One line of a target, and more where something was found.
report() {
    local name=$1 status outcome=well artifact
    status=$(cat "$logs/$name.status" 2>/dev/null || echo '?')
    [[ "$status" == 0 ]] || outcome="FAILED (status $status)"
    printf '%-16s %9s runs  %6s coverage  %6s a second  %5s MB  %s\n' "$name" \
        "$(figure "$name" 'stat::number_of_executed_units:')" "$(figure "$name" 'cov:')" \
        "$(figure "$name" 'stat::average_exec_per_sec:')" \
        "$(figure "$name" 'stat::peak_rss_mb:')" "$outcome"
    [[ "$status" != 0 ]] || return 0
    tail -n 40 "$logs/$name.log"
    artifact=$(grep -oE 'Test unit written to .*' "$logs/$name.log" | tail -n 1 | cut -d ' ' -f 5) || true
    if [[ -n "$artifact" ]]; then
        say "again: $target_dir/$host/release/$name $artifact"
        say "smaller: $target_dir/$host/release/$name -minimize_crash=1 -max_total_time=60 $artifact"
        # Where this machine is gone with the run that found it.
        (($(stat -c %s "$artifact") > 4096)) || say "the input: $(base64 -w 0 "$artifact")"
    fi
    return 1
}

say "building the fuzz targets"
build
mkdir -p "$artifacts" "$logs"
rm -f "$logs"/*.status
say "fuzzing ${targets[*]}, $seconds s each"
running=0
for name in "${targets[@]}"; do
    if ((running >= $(nproc))); then
        wait -n
        running=$((running - 1))
    fi
    fuzz "$name" &
    running=$((running + 1))
done
wait
failed=0
for name in "${targets[@]}"; do
    report "$name" || failed=1
done
exit "$failed"
