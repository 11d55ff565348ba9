#!/usr/bin/env bash
# Builds the release preset with its tests, installing what is missing, and runs every test.
# Arguments are passed on to ctest, such as -R conformance.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/setup.sh --tests
tools/build.sh -DVOCODE_TESTS=ON
ctest --preset release -j "$(nproc)" "$@"
