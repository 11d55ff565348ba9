#!/usr/bin/env bash
# run.sh BUILD: installs that build folder to a temporary prefix, then uses what is there as a stranger would: the
# exported symbols, a C and a C++ program through pkg-config, a CMake project, and the program with its shipped model.
set -euo pipefail
build=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

cmake --install "$build" --prefix "$prefix" >"$work/log"
library=$(find "$prefix" -name libvocode.so)
libraries=$(dirname "$library")
model=$prefix/share/vocode/models/default.safetensors
export LD_LIBRARY_PATH=$libraries PKG_CONFIG_PATH=$libraries/pkgconfig

if nm -D --defined-only "$library" | awk '{ print $NF }' | grep -v '^vocode_'; then
    echo "libvocode.so exports the symbols above, expected vocode_* alone" >&2
    exit 1
fi
objdump -p "$library" | grep -q 'SONAME *libvocode\.so\.[0-9]*$'

read -ra flags < <(pkg-config --cflags --libs vocode)
"${CC:-cc}" -std=c11 -Wall -Wextra -Werror -pedantic "$here/consumer.c" -o "$work/consumer" "${flags[@]}" -lm
"$work/consumer" "$model"
if command -v "${CXX:-c++}" >/dev/null; then
    "${CXX:-c++}" -std=c++17 -Wall -Wextra -Werror -pedantic -x c++ "$here/consumer.c" -o "$work/consumer++" "${flags[@]}" -lm
    "$work/consumer++" "$model"
fi

# The examples as they are installed.
for example in speak serve density; do
    "${CC:-cc}" -std=c11 -Wall -Wextra -Werror -pedantic "$prefix/share/doc/vocode/examples/$example.c" \
        -o "$work/$example" "${flags[@]}" -pthread -lm
done
"$work/speak" "$model" >"$work/speak.f32"
test "$(wc -c <"$work/speak.f32")" -eq $((200 * 256 * 4))
test -s "$prefix/share/man/man1/vocode.1"
test -s "$prefix/share/man/man3/vocode.3"

cmake -G Ninja -S "$here" -B "$work/project" -DCMAKE_PREFIX_PATH="$prefix" >>"$work/log"
cmake --build "$work/project" >>"$work/log"
"$work/project/consumer" "$model"

# The program runs without the build tree and finds the installed model by itself.
unset LD_LIBRARY_PATH
"$prefix/bin/vocode" info >"$work/info"
grep -q frameflow "$work/info"
test -s "$prefix/share/vocode/models/default.md"
test -s "$prefix/share/doc/vocode/LICENSE"
