#!/usr/bin/env bash
# Everything that can be found wrong without running Andon.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/packages.sh
source scripts/packages.sh
# shellcheck source=scripts/steps.sh
source scripts/steps.sh

lint_rust
lint_scripts
lint_web
finish
