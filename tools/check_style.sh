#!/usr/bin/env bash
# What a reviewer should not have to say: clang-format, files of at most 400 lines, functions of at most 60, nothing left
# to do, no white space at line ends, scripts that parse. Prints every fault; status 1 if there is any.
set -euo pipefail
cd "$(dirname "$0")/.."

max_file=400
max_function=60
faults=0
fault() {
    echo "$1"
    faults=$((faults + 1))
}

mapfile -t sources < <(find src include tests docs -name '*.[ch]' | sort)
mapfile -t bodies < <(find src -name '*.inc' -o -name '*.def' | sort)
mapfile -t scripts < <(find tools tests .ci -type f \( -name '*.sh' -o -path .ci/run \) | sort)
mapfile -t texts < <(find . -path ./build -prune -o -path ./.git -prune -o -type f \
    \( -name '*.md' -o -name '*.cmake' -o -name CMakeLists.txt -o -name '*.json' -o -name '*.def' \) -print | sort)

if ! clang-format --dry-run -Werror "${sources[@]}"; then fault "clang-format would change the files above"; fi

for file in "${sources[@]}" "${bodies[@]}"; do
    lines=$(wc -l <"$file")
    if [ "$lines" -gt $max_file ]; then fault "$file: $lines lines, at most $max_file"; fi
done

# clang-format puts a function's opening brace at the end of a line that begins in column 0 (or of its continuation), and
# its closing brace alone in column 0; tables and types close with a semicolon.
long=$(awk -v most=$max_function '
    FNR == 1 { begin = 0 }
    /^[A-Za-z_]/ { begin = FNR; name = $0 }
    /^}$/ && begin { if (FNR - begin + 1 > most) printf "%s:%d: %d lines: %s\n", FILENAME, begin, FNR - begin + 1, name }
' "${sources[@]}" "${bodies[@]}")
if [ -n "$long" ]; then fault "Functions of more than $max_function lines:"$'\n'"$long"; fi

words='TO''DO|FIX''ME|XX''X'
if grep -nE "\b($words)\b" "${sources[@]}" "${bodies[@]}" "${scripts[@]}" "${texts[@]}"; then fault "Left to do, above"; fi
if grep -nE '[[:blank:]]+$' "${sources[@]}" "${bodies[@]}" "${scripts[@]}"; then fault "White space at line ends, above"; fi

for script in "${scripts[@]}"; do
    if ! bash -n "$script"; then fault "$script does not parse"; fi
    if [ ! -x "$script" ]; then fault "$script is not executable"; fi
done

if [ $faults -gt 0 ]; then
    echo "$faults faults of style" >&2
    exit 1
fi
echo "Style: ${#sources[@]} C files and ${#scripts[@]} scripts are clean"
