#!/usr/bin/env bash
# Installs the packages that vocode needs and that are missing: tools/setup.sh [--tests] [--ci] [--samples] [--mpi]
# With apt-get (Debian, Ubuntu) it installs them; elsewhere it prints the list and stops.
set -euo pipefail

# The one list: the group that needs the package | package, or packages of which any serves (the first is installed) | why.
packages() {
    cat <<'TABLE'
build    gcc                        the C compiler
build    cmake                      the build, 3.25 or newer
build    ninja-build                the build
build    pkg-config                 finds the libraries
build    libc6-dev                  headers of the C library
build    libsndfile1-dev            WAV and FLAC files
build    libsoxr-dev                resampling
build    libfftw3-dev               Fourier transforms
build    libopenblas-openmp-dev|libopenblas-pthread-dev|libopenblas-serial-dev  matrix products
build    libjansson-dev             JSON
build    libzip-dev                 PyTorch checkpoints
build    libpng-dev                 pictures in reports
build    libsodium-dev              base64 in reports
build    libprotobuf-c-dev          TensorBoard event files
build    protobuf-c-compiler        the same: protoc-c
tests    libcmocka-dev              unit tests
tests    python3-numpy              tests of the Python package
tests    python3-pytest             the same
ci       g++                        the installed headers in a C++ program
ci       clang                      the second compiler
ci       libclang-rt-dev|libclang-rt-14-dev  sanitizers and libFuzzer
ci       libomp-dev                 OpenMP for clang
ci       clang-format               style
ci       clang-tidy                 static analysis
ci       cppcheck                   static analysis
ci       valgrind                   memory checks
mpi      libopenmpi-dev             training on several machines
mpi      openmpi-bin                the same: mpirun
samples  espeak-ng                  the speech of audio/
samples  sox                        cuts and resamples it
TABLE
}

groups=" build "
for argument in "$@"; do
    case $argument in
    --tests) groups+="tests " ;;
    --ci) groups+="tests ci mpi " ;;
    --mpi) groups+="mpi " ;;
    --samples) groups+="samples " ;;
    *)
        echo "usage: tools/setup.sh [--tests] [--ci] [--samples] [--mpi]" >&2
        exit 2
        ;;
    esac
done

# Installed, as far as dpkg knows; without dpkg everything counts as missing.
installed() {
    command -v dpkg-query >/dev/null &&
        dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

missing=()
while read -r group names _; do
    [[ $groups == *" $group "* ]] || continue
    found=no
    IFS='|' read -ra alternatives <<<"$names"
    for name in "${alternatives[@]}"; do
        if installed "$name"; then found=yes; fi
    done
    if [ $found = no ]; then missing+=("${alternatives[0]}"); fi
done < <(packages)

if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

if ! command -v apt-get >/dev/null; then
    echo "This system has no apt-get. Install what Debian calls (or check that you have it, then call cmake yourself," >&2
    echo "see CONTRIBUTING.md):" >&2
    printf '  %s\n' "${missing[@]}" >&2
    exit 1
fi

root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "As root, run: apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    root=(sudo)
fi

# Package mirrors drop connections now and then.
retry() {
    local pause
    for pause in 2 5 10; do
        if "$@"; then return 0; fi
        echo "That failed; trying again in $pause seconds." >&2
        sleep "$pause"
    done
    "$@"
}

echo "Installing: ${missing[*]}" >&2
apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0)
retry "${apt[@]}" update >&2
retry "${apt[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null >&2
