#!/usr/bin/env bash
# Makes sure that what the built-in runtime (llama.cpp) is compiled with is there: cmake, a C++
# compiler and libclang. Writes what it found to .cache/build.env, from where scripts/cargo.sh
# takes it; where the tools cannot be had, Andon is built without the built-in runtime.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/packages.sh
source scripts/packages.sh

build_env=.cache/build.env

has_compiler() { have c++ || have g++ || have clang++; }

# The library itself, as the binding generator looks for it.
has_libclang() {
    [[ -n "${LIBCLANG_PATH:-}" ]] && return 0
    local file
    for file in /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* /usr/lib64/libclang*.so* \
        /usr/local/lib/libclang*.so* /Library/Developer/CommandLineTools/usr/lib/libclang.dylib; do
        [[ -e "$file" && "$file" != *libclang-cpp* ]] && return 0
    done
    return 1
}

# Its own headers (stddef.h and the like), which Debian packs apart from the library.
has_clang_headers() {
    local file
    for file in /usr/lib/llvm-*/lib/clang/*/include/stddef.h /usr/lib/clang/*/include/stddef.h \
        /usr/lib64/clang/*/include/stddef.h /usr/local/lib/clang/*/include/stddef.h \
        /Library/Developer/CommandLineTools/usr/lib/clang/*/include/stddef.h; do
        [[ -e "$file" ]] && return 0
    done
    return 1
}

if ! have cargo; then
    warn "Rust is missing: install it with rustup (version: rust-version in Cargo.toml)"
    exit 1
fi

missing=()
have cmake || missing+=(cmake)
has_compiler || missing+=(g++)
has_libclang || missing+=(libclang-dev)

builtin_runtime=1
if ((${#missing[@]} > 0)) &&
    ! install_packages "compiling the built-in runtime (llama.cpp)" "${missing[@]}"; then
    builtin_runtime=0
    warn "building without the built-in runtime (--no-default-features); Andon then needs an" \
        "Ollama or another model server"
fi

# With a bare libclang1 the C compiler's headers serve as well. The value stays the same from
# build to build: a changed one compiles everything anew.
clang_args=${BINDGEN_EXTRA_CLANG_ARGS:-}
if [[ -z "$clang_args" && $builtin_runtime == 1 ]] && ! has_clang_headers && have gcc; then
    clang_args="-I$(gcc -print-file-name=include)"
fi

mkdir -p .cache
{
    printf 'ANDON_BUILTIN_RUNTIME=%q\n' "$builtin_runtime"
    if [[ -n "$clang_args" ]]; then
        printf 'export BINDGEN_EXTRA_CLANG_ARGS=%q\n' "$clang_args"
    fi
} >"$build_env.$$"
mv "$build_env.$$" "$build_env"
