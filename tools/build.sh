#!/usr/bin/env bash
# Builds the release preset, installing what is missing. Programs are then in build/release/bin/.
# Arguments are passed on to CMake's configuration.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/setup.sh
mkdir -p build
log=build/release-build.log
echo "Building (log in $log)" >&2
if ! { cmake --preset release -DVOCODE_TESTS=OFF "$@" && cmake --build --preset release; } >"$log" 2>&1 </dev/null; then
    tail -n 40 "$log" >&2
    echo "The build failed; the whole log is in $log." >&2
    exit 1
fi
echo "Built build/release/bin/vocode" >&2
