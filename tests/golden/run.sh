#!/usr/bin/env bash
# run.sh GOLDEN_CHECK FOLDER [OPTION...]: golden_check over a folder; status 77 (skipped) where it is absent.
set -euo pipefail
check=$1 folder=$2
shift 2
if [ ! -d "$folder" ]; then
    echo "skipped: $folder is not here"
    exit 77
fi
exec "$check" "$folder" "$@"
