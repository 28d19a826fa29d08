# shellcheck shell=bash
# Sourced by test.sh and lint.sh: runs a list of checks, all of them even when one fails, each with
# its time, and counts.

passed=0
failed=0
skipped=0
failures=()

# step NAME COMMAND...
step() {
    local name=$1 begin=$SECONDS status=0
    shift
    printf '\n=== %s\n' "$name"
    "$@" </dev/null || status=$?
    if ((status == 0)); then
        passed=$((passed + 1))
        printf -- '--- passed: %s (%d s)\n' "$name" $((SECONDS - begin))
    else
        failed=$((failed + 1))
        failures+=("$name")
        printf -- '--- FAILED: %s (%d s, status %d)\n' "$name" $((SECONDS - begin)) "$status"
    fi
}

# skip NAME REASON
skip() {
    skipped=$((skipped + 1))
    printf '\n--- skipped: %s (%s)\n' "$1" "$2"
}

# The closing line, and the exit status that goes with it.
finish() {
    printf '\n'
    local name
    for name in ${failures[@]+"${failures[@]}"}; do
        printf 'failed: %s\n' "$name"
    done
    printf 'all of it: %d s\n' "$SECONDS"
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    ((failed == 0 && passed > 0))
}

in_folder() {
    (cd "$1" && shift && "$@")
}

# The fuzz targets are a workspace of their own, so that nothing else is built with their flags.
lint_fuzz() {
    local folder=${CARGO_TARGET_DIR:-target}
    CARGO_TARGET_DIR=$folder/fuzz cargo clippy --manifest-path fuzz/Cargo.toml --all-targets -- \
        -D warnings
}

lint_rust() {
    step "Rust formatting" cargo fmt --all --check
    step "Rust lints" scripts/cargo.sh clippy --workspace --all-targets -- -D warnings
    step "formatting of the fuzz targets" cargo fmt --manifest-path fuzz/Cargo.toml --check
    step "lints of the fuzz targets" lint_fuzz
    if have cargo-deny; then
        # Advisories need the network: `cargo deny check advisories`.
        step "licences and sources" cargo deny --offline check licenses bans sources
    else
        skip "licences and sources" "cargo-deny is not installed"
    fi
}

lint_scripts() {
    if have shellcheck; then
        step "shell scripts" shellcheck --external-sources scripts/*.sh .ci/run
    else
        skip "shell scripts" "shellcheck is not installed"
    fi
}

lint_web() {
    step "the pages' modules" scripts/web.sh --modules
    step "page lints" in_folder web npm run --silent lint
    step "page types" in_folder web npm run --silent check
}
