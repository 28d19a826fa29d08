#!/usr/bin/env bash
# All checks and tests, with what they need installed first. Runs to the end even when something
# fails; the last line counts the suites.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/packages.sh
source scripts/packages.sh
# shellcheck source=scripts/steps.sh
source scripts/steps.sh

venv=.cache/venv
requirements=tests/requirements.txt
otel_venv=.cache/venv-otel
otel_requirements=tests/requirements-otel.txt
ddtrace_2_venv=.cache/venv-ddtrace-2
ddtrace_2_requirements=tests/requirements-ddtrace-2.txt
langfuse_2_venv=.cache/venv-langfuse-2
langfuse_2_requirements=tests/requirements-langfuse-2.txt

has_chromium() { have chromium || have chromium-browser || have google-chrome; }

has_japanese_font() { have fc-list && [[ -n "$(fc-list :lang=ja)" ]]; }

# The browser that the end-to-end tests drive, and a font in which Japanese is more than boxes.
install_browser() {
    local missing=()
    has_chromium || missing+=(chromium)
    has_japanese_font || missing+=(fontconfig fonts-noto-cjk)
    ((${#missing[@]} == 0)) || install_packages "the tests in a browser" "${missing[@]}"
}

# install_clients VENV REQUIREMENTS [OPTION…]: Python clients of the APIs that Andon speaks, at the
# versions that the tests were written for, in a venv of their own; options are pip's.
install_clients() {
    local venv=$1 requirements=$2 wanted
    shift 2
    wanted="$(sha256sum <"$requirements" | cut -c 1-64) $(python3 --version)"
    [[ "$(cat "$venv/andon-stamp" 2>/dev/null)" == "$wanted" ]] && return 0
    rm -rf "$venv"
    mkdir -p .cache
    if ! python3 -m venv "$venv" 2>/dev/null; then
        install_packages "the tests' Python clients" python3-venv || return 1
        rm -rf "$venv"
        python3 -m venv "$venv" || return 1
    fi
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" \
        --requirement "$requirements" || return 1
    printf '%s\n' "$wanted" >"$venv/andon-stamp"
}

# install_modules FOLDER: what a folder's lock of npm names.
install_modules() {
    local folder=$1 wanted stamp
    stamp=.cache/$(basename "$folder")-modules
    wanted="$(sha256sum <"$folder/package-lock.json" | cut -c 1-64) $(node --version)"
    [[ -d $folder/node_modules && "$(cat "$stamp" 2>/dev/null)" == "$wanted" ]] && return 0
    rm -f "$stamp"
    # The browser is the system's: none is to be downloaded.
    (cd "$folder" && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-fund --no-audit \
        --loglevel=error) || return 1
    mkdir -p .cache
    printf '%s\n' "$wanted" >"$stamp"
}

has_nextest() { cargo nextest --version >/dev/null 2>&1; }

unit_tests() {
    if ! has_nextest; then
        say "installing cargo-nextest, which runs the Rust tests side by side"
        cargo install --quiet --locked cargo-nextest || true
    fi
    if has_nextest; then
        scripts/cargo.sh nextest run --workspace --no-fail-fast
    else
        say "no cargo-nextest to be had: running the tests with cargo test"
        scripts/cargo.sh test --workspace --no-fail-fast
    fi
}

step "build tools" scripts/deps.sh
lint_scripts

lint_web
step "page tests" in_folder web npm run --silent test
step "the pages" scripts/web.sh --strict

lint_rust
step "the model" scripts/model.sh
step "Rust tests" unit_tests
step "fuzzing, a minute each" scripts/fuzz.sh 60

if [[ -x tests/run.sh ]]; then
    step "browser" install_browser
    if [[ -f $requirements ]]; then
        step "Python clients" install_clients "$venv" "$requirements"
    fi
    if [[ -f $otel_requirements ]]; then
        # The list is closed: pip would look for what no test needs.
        step "OpenTelemetry clients" install_clients "$otel_venv" "$otel_requirements" --no-deps
    fi
    if [[ -f $ddtrace_2_requirements ]]; then
        step "ddtrace 2" install_clients "$ddtrace_2_venv" "$ddtrace_2_requirements"
    fi
    if [[ -f $langfuse_2_requirements ]]; then
        step "Langfuse 2" install_clients "$langfuse_2_venv" "$langfuse_2_requirements"
    fi
    if [[ -f tests/e2e/package-lock.json ]]; then
        step "end-to-end modules" install_modules tests/e2e
    fi
    if [[ -f tests/e2e/dd-trace-6/package-lock.json ]]; then
        # It wants a newer Node than the rest, and brings it.
        step "dd-trace 6" install_modules tests/e2e/dd-trace-6
    fi
    step "end-to-end tests" tests/run.sh
else
    skip "end-to-end tests" "tests/run.sh is missing"
fi

finish
