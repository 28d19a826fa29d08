# shellcheck shell=bash
# Sourced by the other scripts: how they speak, and how they install system packages.
# Nothing is installed without a line before it that names the packages and the reason.

say() { printf 'andon: %s\n' "$*"; }

warn() { printf 'andon: %s\n' "$*" >&2; }

have() { command -v "$1" >/dev/null 2>&1; }

# as_root COMMAND...: runs it with root's rights; fails, without asking for a password, where
# there are none to be had.
as_root() {
    if [[ "$(id -u)" == 0 ]]; then
        "$@"
    elif have sudo && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

# install_packages REASON PACKAGE...: on Debian and its kin; elsewhere, or without the rights,
# says what is missing and fails.
install_packages() {
    local reason=$1
    shift
    if ! have apt-get; then
        warn "missing for $reason; install what your system calls these: $*"
        return 1
    fi
    if ! as_root true; then
        warn "missing for $reason, and no rights to install it; run: sudo apt-get install $*"
        return 1
    fi
    say "installing with apt-get, for $reason: $*"
    local log
    log=$(mktemp)
    # A machine that has never updated its lists knows no package; one that has needs no update.
    if apt_install "$@" >"$log" 2>&1 ||
        { as_root apt-get update >"$log" 2>&1 && apt_install "$@" >>"$log" 2>&1; }; then
        rm -f "$log"
        return 0
    fi
    tail -n 5 "$log" >&2
    rm -f "$log"
    warn "apt-get could not install: $*"
    return 1
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends "$@" </dev/null
}
