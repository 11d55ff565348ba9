#!/usr/bin/env bash
# Static analysis of src/: cppcheck and clang-tidy, whose findings are errors (.clang-tidy says which checks and why).
# tools/check_static.sh [PRESET]: whose compile commands are used, dev by default.
set -euo pipefail
cd "$(dirname "$0")/.."

preset=${1:-dev}
build=build/$preset
cmake --preset "$preset" >/dev/null
cmake --build "$build" --target vocode_messages >/dev/null # headers that are generated
jobs=$(nproc)

# memleak: it takes a pointer that leaves through a conditional for lost; the leak sanitizer watches every test.
# uninitvar in npy.c: it does not see that two loops have the same bounds.
cppcheck --quiet -j "$jobs" --std=c11 --language=c --enable=warning,performance,portability --inline-suppr \
    --suppress=missingIncludeSystem --suppress=unmatchedSuppression --suppress=memleak \
    --suppress=uninitvar:src/io/npy.c --error-exitcode=1 \
    -D_GNU_SOURCE -DVOCODE_BLAS -DVOCODE_VERSION='"0"' -DVOCODE_DATA_DIR='"/usr/share/vocode"' -DVOCODE_LIB_UP='"../lib"' \
    -I src -I include src
echo "cppcheck is clean"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
tidy=(clang-tidy --quiet -p "$build" '--warnings-as-errors=*' --extra-arg=-Wno-unknown-warning-option)
status=0
find src -name '*.c' ! -path src/core/fail.c -print0 | sort -z |
    xargs -0 -P "$jobs" -n 4 "${tidy[@]}" --extra-arg=-include --extra-arg="$PWD/tools/analysis.h" >"$log" 2>&1 || status=1
"${tidy[@]}" src/core/fail.c >>"$log" 2>&1 || status=1
grep -vE '^[0-9]+ (warnings?|errors?)( and [0-9]+ errors?)? generated|^Suppressed |^Use -header-filter' "$log" || true
if [ $status -ne 0 ]; then exit 1; fi
echo "clang-tidy is clean"
