#!/usr/bin/env bash
# The kernel tests on 64-bit ARM under qemu, for machines that are something else. The kernels need nothing but libc and
# OpenMP, so this compiles them by hand, without the libraries that the rest of the project links. On Debian:
#     dpkg --add-architecture arm64 && apt-get update
#     apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user libcmocka-dev:arm64 libgomp1:arm64
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

flags=(-std=gnu11 -O3 -ffp-contract=off -fopenmp -D_GNU_SOURCE -DVOCODE_SIMD -Wall -Wextra -Wshadow -Wconversion
    -Wno-sign-conversion -Wno-maybe-uninitialized -Werror -Isrc -Iinclude -Itests)
libraries=(-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc -lcmocka -lm)
sources=(src/kernels/*.c src/core/arena.c src/core/rng.c tests/kernels/helpers.c tests/support/allocations.c)

for test in kernels packed functions levels; do
    aarch64-linux-gnu-gcc "${flags[@]}" "${sources[@]}" "tests/kernels/test_$test.c" -o "$folder/test_$test" \
        "${libraries[@]}"
    qemu-aarch64 "$folder/test_$test"
done
